"""Figures in the reader's language on pages, and in one form in what is stored or sent to systems."""

from decimal import Decimal

import pytest
import sqlalchemy as sa
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st

from api.display import formatting
from tests.api.recommendations.test_triage import call
from warehouse.engine import writing
from warehouse.queries.lines import table

LOCALES = ("en", "de", "fr", "sv", "pl", "pt_BR")


@given(st.decimals(-(10**9), 10**9, places=2), st.sampled_from(LOCALES))
def test_money_is_written_as_the_language_does(amount, locale):
    with formatting.in_locale(locale):
        told = formatting.money(amount, "EUR")
    assert told == f"{format_decimal(amount, '#,##0.00', locale)} EUR"


def test_money_has_swiss_apostrophes():
    # by hand: format_decimal of babel 2.19 takes the text between two apostrophes for quoted and drops them
    with formatting.in_locale("de_CH"):
        told = formatting.money(Decimal(1234567), "CHF")
    assert told.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'") == "1'234'567.00 CHF"


@pytest.mark.parametrize(
    ("asked", "cost", "quantity"),
    [
        (None, "1,404.00 GBP", "2,800 tablets"),
        ("de-DE,de;q=0.9,en;q=0.5", "1.404,00 GBP", "2.800 tablets"),
        ("xx;q=1, fr;q=0.7, de;q=0.3", "1\u202f404,00 GBP", "2\u202f800 tablets"),
        ("de;q=0, en", "1,404.00 GBP", "2,800 tablets"),
        ("\x7f;;;q=,,*", "1,404.00 GBP", "2,800 tablets"),
    ],
)
def test_a_page_writes_figures_as_the_browser_asks(signed_in, database, asked, cost, quantity):
    lines = table("recommendations")
    with writing(database) as connection:
        changed = {"packs": 100, "quantity": Decimal(2800), "cost": Decimal(1404)}
        connection.execute(lines.update().where(lines.c.recommendation_id == "rec-02").values(**changed))
    ben = signed_in("ben")
    headers = {} if asked is None else {"accept-language": asked}
    for path in ("/", "/recommendations/rec-02"):
        page = ben.get(path, headers=headers).text
        assert cost in page
        assert quantity in page


def test_what_is_stored_or_sent_to_systems_is_the_same_in_every_language(signed_in, database):
    with writing(database) as connection:
        products = table("products")
        odd = products.update().where(products.c.product_id == "ondansetron-inj")
        connection.execute(odd.values(strength_value=2.5))
    ben = signed_in("ben")
    ben.headers["accept-language"] = "de"
    assert ben.get("/v1/recommendations?status=proposed").json()["items"][0]["cost"] == "655.2"
    refused = call(ben, 1, kind="snooze", until="2026-11-24", reason="x")
    assert "46%" in refused.json()["detail"]
    shown = ben.get("/orders").text
    key = shown.split('name="idempotency_key" value="')[1].split('"')[0]
    form = {"csrf_token": ben.csrf_token, "idempotency_key": key}
    assert ben.post("/orders", data=form).status_code == 303
    with database.begin() as connection:
        told = connection.scalars(sa.select(table("order_lines").c.description)).all()
    assert "ondansetron 2.5 mg ampoule, pack of 5" in told
