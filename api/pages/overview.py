"""The overview: key figures of the last weeks for a site or all, how good the forecast was, and what is not known."""

import dataclasses
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from markupsafe import Markup
from pydantic import BeforeValidator

from api.access.roles import Principal
from api.display import labels
from api.display.sparkline import sparkline
from api.display.templating import page
from api.http.context import Db, Now, refuse_repeated_parameters
from api.http.errors import NotFound
from api.http.fields import Strict
from api.pages.page_session import Visitor
from api.pages.worklist import OneName
from warehouse.queries.kpi_sources import WHOLE, Window, forecast_scores
from warehouse.queries.kpis import COUNT, DAYS, DEFINITIONS, PER_YEAR, SHARE, KeyFigure, key_figures
from warehouse.queries.lines import facilities_query
from warehouse.schema.inputs import Facility

router = APIRouter()

PERIODS = (4, 13, 26, 52)
STEPS = {
    "seasonal_naive": "Same season of the year before",
    "baseline": "Baseline forecast",
    "genetic": "With the genetic step",
    "override": "With people's overrides",
}


def _number(value: Any) -> Any:
    return int(value) if str(value).isdecimal() else value


class OverviewParameters(Strict):
    """Which site, and how many weeks back."""

    facility_id: OneName = None
    weeks: Annotated[Literal[4, 13, 26, 52], BeforeValidator(_number)] = 13


@dataclasses.dataclass(frozen=True)
class Card:
    """A key figure of the site that is shown; several amounts where there are several currencies."""

    kpi: str
    figures: list[KeyFigure]
    picture: Markup


@router.get("/overview", dependencies=[Depends(refuse_repeated_parameters)])
def show_overview(
    parameters: Annotated[OverviewParameters, Query()], person: Visitor, db: Db, now: Now
) -> HTMLResponse:
    """Key figures of a site or of all, site by site, and the forecast's error by step."""
    today = now.date()
    sites = db.execute(facilities_query(person.sites).order_by(Facility.name)).mappings().all()
    open_sites = [one for one in sites if one["closed_on"] is None]
    shown = parameters.facility_id or WHOLE
    if shown != WHOLE and shown not in {one["facility_id"] for one in open_sites}:
        raise NotFound(f"there is no open site {shown}")
    figures = key_figures(db, person.sites, today, parameters.weeks)
    return page(
        "overview.html",
        person=person,
        here="overview",
        today=today,
        since=Window.of(today, parameters.weeks).start,
        parameters=parameters,
        periods=PERIODS,
        sites=open_sites,
        shown=next((one["name"] for one in open_sites if one["facility_id"] == shown), _all(person)),
        cards=[_card(kpi, figures, shown) for kpi in DEFINITIONS],
        by_site=_by_site(figures, open_sites),
        definitions=DEFINITIONS,
        written=written,
        steps=_steps(db),
        step_names=STEPS,
    )


def written(figure: KeyFigure) -> str:
    """The figure's value as people read it.

    >>> written(Figure("days_on_hand", "*", 26.28, DAYS)), written(Figure("expired_value", "*", 4.5, "GBP"))
    ('26.3 days', '4.50 GBP')
    """
    return "not known" if figure.value is None else _written(figure.value, figure.unit)


def _written(value: float, unit: str) -> str:
    if unit == SHARE:
        return labels.percent(value)
    if unit == COUNT:
        return labels.number(value, 0)
    if unit == PER_YEAR:
        return f"{labels.number(value)} a year"
    return f"{labels.number(value)} days" if unit == DAYS else f"{value:,.2f} {unit}"


def _all(person: Principal) -> str:
    return "All sites" if person.sites is None else "All your sites"


def _card(kpi: str, figures: list[KeyFigure], site: str) -> Card:
    mine = [one for one in figures if one.kpi == kpi and one.facility_id == site]
    picture = sparkline(mine[0].trend, f"{DEFINITIONS[kpi].name}, by week", lambda value: _written(value, mine[0].unit))
    return Card(kpi, mine, picture)


def _by_site(figures: list[KeyFigure], sites: list[Any]) -> list[tuple[str, str, list[list[KeyFigure]]]]:
    """Per site its id, its name and, in the order of the definitions, its figures."""
    found: dict[tuple[str, str], list[KeyFigure]] = {}
    for one in figures:
        found.setdefault((one.facility_id, one.kpi), []).append(one)
    return [(one["facility_id"], one["name"], [found[one["facility_id"], kpi] for kpi in DEFINITIONS]) for one in sites]


def _steps(db: Any) -> list[dict[str, Any]]:
    """Error, value added and coverage of each step that the newest backtest scored."""
    found: dict[str, dict[str, Any]] = {}
    for row in forecast_scores(db):
        told = found.setdefault(
            row["stage"], {"as_of": row["as_of"], "series": row["series"], "origins": row["origins"]}
        )
        told[row["metric"]] = row["value"]
        if row["metric"] == "wape":
            told["value_added"] = row["value_added"]
    return [{"stage": one, **found[one]} for one in STEPS if one in found]
