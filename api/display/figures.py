"""Key figures as people read them."""

from api.display.formatting import number, percent
from warehouse.queries.kpis import COUNT, DAYS, PER_YEAR, SHARE, KeyFigure


def figure_text(figure: KeyFigure) -> str:
    """The figure's value as people read it.

    >>> figure_text(KeyFigure("expired_value", "*", 4.5, "GBP")), figure_text(KeyFigure("decisions", "*", None, COUNT))
    ('4.50 GBP', 'not known')
    """
    return "not known" if figure.value is None else value_text(figure.value, figure.unit)


def value_text(value: float, unit: str) -> str:
    """A value in one of the units of key figures, or an amount in a currency."""
    if unit == SHARE:
        return percent(value)
    if unit == COUNT:
        return number(value, 0)
    if unit == PER_YEAR:
        return f"{number(value)} a year"
    return f"{number(value)} days" if unit == DAYS else f"{value:,.2f} {unit}"
