"""Numbers, money and days as people read them, with the separators of the reader's language.

Words stay English, and so do months and units; only the marks of thousands and decimals change, in groups of three.
"""

import contextlib
import contextvars
import datetime as dt
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.numbers import get_decimal_symbol, get_group_symbol

from forecasting.terms import dose_noun

ENGLISH = "en"
MOST_LANGUAGES = 10
_LOCALE: contextvars.ContextVar[str] = contextvars.ContextVar("locale", default=ENGLISH)


@contextlib.contextmanager
def in_locale(identifier: str) -> Iterator[None]:
    """Numbers are written for that locale within; what is stored or sent on is written for `ENGLISH`.

    >>> with in_locale("de"):
    ...     number(1234.5), money(Decimal("1234.5"), "EUR")
    ('1.234,5', '1.234,50 EUR')
    """
    token = _LOCALE.set(identifier)
    try:
        yield
    finally:
        _LOCALE.reset(token)


@lru_cache(maxsize=256)
def locale_of(accept_language: str) -> str:
    """The locale that a browser asks for first and that is known; English when there is none.

    >>> locale_of("de-CH, de;q=0.9, en;q=0.8"), locale_of("xx, fr;q=0.3"), locale_of(""), locale_of("q=;;,*")
    ('de_CH', 'fr', 'en', 'en')
    """
    weighed = []
    for place, part in enumerate(accept_language[:200].split(",")[:MOST_LANGUAGES]):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), place, tag))
        except ValueError:
            continue
    for negative, _, language in sorted(weighed):
        with contextlib.suppress(UnknownLocaleError, ValueError):
            if negative < 0:
                return str(Locale.parse(language, sep="-"))
    return ENGLISH


@lru_cache(maxsize=256)
def _marks(identifier: str) -> dict[int, str]:
    """What stands for ',' and '.' in the locale, with Western digits."""
    locale = Locale.parse(identifier)
    return str.maketrans(
        {
            ",": get_group_symbol(locale, numbering_system="latn"),
            ".": get_decimal_symbol(locale, numbering_system="latn"),
        }
    )


def local(text: str) -> str:
    """A number that was written with ',' for thousands and '.' for decimals, with the locale's marks."""
    identifier = _LOCALE.get()
    return text if identifier == ENGLISH else text.translate(_marks(identifier))


def number(value: Any, decimals: int = 1) -> str:
    """A number as people read it: thousands separated, no needless decimals; a dash when unknown.

    >>> number(Decimal("1234.50")), number(7.04), number(None), number("280")
    ('1,234.5', '7', '–', '280')
    """
    if value is None:
        return "–"
    text = f"{Decimal(str(value)):,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else local(text)


def signed(value: float) -> str:
    """A change with its sign.

    >>> signed(2.25), signed(-0.004), signed(-1.5)
    ('+2.25', '-0.004', '-1.5')
    """
    return f"{'+' if value > 0 else ''}{number(value, 2 if abs(value) >= 0.01 else 4)}"


def exact(value: Any) -> str:
    """A number in full, thousands separated.

    >>> exact("12345.678")
    '12,345.678'
    """
    return number(value, 6)


def percent(share: float | None) -> str:
    """A share in per cent; never a rounded 0 or 100 that is not one.

    >>> percent(0.342), percent(0.0004), percent(0.9996), percent(0.0)
    ('34 %', '<1 %', '>99 %', '0 %')
    """
    if share is None:
        return "–"
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"


def share(value: float | None) -> str:
    """A share in per cent with the decimals a genotype frequency needs.

    >>> share(0.2834), share(0.00042), share(3e-7)
    ('28.3 %', '0.042 %', '<0.001 %')
    """
    if value is None:
        return "–"
    if 0 < value < 1e-5:
        return local("<0.001 %")
    return local(f"{100 * value:.1f} %" if value >= 0.01 or value == 0 else f"{100 * value:.2g} %")


def money(value: Decimal | None, currency: str | None) -> str:
    """An amount with its currency.

    >>> money(Decimal("1234.5"), "GBP")
    '1,234.50 GBP'
    """
    return "price unknown" if value is None else f"{local(f'{value:,.2f}')} {currency or '(currency unknown)'}"


def total_cost(lines: Iterable[Any]) -> str:
    """Cost of lines by currency, and how many have no price.

    >>> total_cost([{"cost": Decimal("2.50"), "currency": "GBP"}, {"cost": None, "currency": None}])
    '2.50 GBP + 1 line without price'
    """
    sums: dict[str, Decimal] = {}
    unpriced = 0
    for line in lines:
        if line["cost"] is None:
            unpriced += 1
        else:
            currency = line["currency"] or "(currency unknown)"
            sums[currency] = sums.get(currency, Decimal(0)) + line["cost"]
    parts = [money(amount, currency) for currency, amount in sorted(sums.items())]
    if unpriced:
        parts.append(f"{unpriced} line{'s' * (unpriced > 1)} without price")
    return " + ".join(parts) or "–"


def day(value: dt.date | dt.datetime | None) -> str:
    """A day as people write it.

    >>> day(dt.date(2026, 11, 3))
    '3 Nov 2026'
    """
    return "–" if value is None else f"{value.day} {value:%b %Y}"


def next_day(value: dt.date) -> dt.date:
    """The day after."""
    return value + dt.timedelta(days=1)


def moment(value: dt.datetime | None) -> str:
    """A day and time, in UTC."""
    return "–" if value is None else f"{day(value)}, {value:%H:%M} UTC"


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun.

    >>> counted(1, "pack"), counted(1200, "pack")
    ('1 pack', '1,200 packs')
    """
    return f"{local(f'{count:,}')} {one if count == 1 else many or one + 's'}"


def doses(quantity: Any, dose_form: str) -> str:
    """A quantity in its dose form where that is countable, else in dose units.

    >>> doses(Decimal(280), "gastro-resistant tablet"), doses(2, "oral solution")
    ('280 tablets', '2 dose units')
    """
    return f"{number(quantity)} {dose_noun(dose_form, plural=quantity != 1)}"
