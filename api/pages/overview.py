"""The overview: key figures of the last weeks for a site or all, how good the forecast was, and what is not known."""

import dataclasses
import datetime as dt
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from markupsafe import Markup
from pydantic import BeforeValidator

from api.display.charts.sparkline import sparkline
from api.display.figures import value_text
from api.display.templating import Page, render
from api.http.context import ONCE_EACH, Db, Now
from api.http.errors import NotFound
from api.http.fields import Strict
from api.pages.forms import OptionalText, sites_by_name
from api.pages.page_session import Visitor
from api.principal import Principal
from warehouse.queries.kpi_sources import WHOLE, Window, forecast_scores
from warehouse.queries.kpis import DEFINITIONS, Definition, KeyFigure, key_figures

router = APIRouter()

WEEKS = (4, 13, 26, 52)
"""Lengths of the period to choose from: a month, a quarter, half a year, a year."""
STEPS = {
    "seasonal_naive": "Same season of the year before",
    "baseline": "Baseline forecast",
    "genetic": "With the genetic step",
    "override": "With people's overrides",
}


def _whole_number(value: Any) -> Any:
    return int(value) if str(value).isdecimal() else value


class OverviewParameters(Strict):
    """Which site, and how many weeks back."""

    facility_id: OptionalText = None
    weeks: Annotated[Literal[4, 13, 26, 52], BeforeValidator(_whole_number)] = 13


@dataclasses.dataclass(frozen=True)
class Card:
    """A key figure of the site that is shown; several amounts where there are several currencies."""

    kpi: str
    figures: list[KeyFigure]
    picture: Markup


@dataclasses.dataclass(frozen=True)
class SiteFigures:
    """The figures of one site, in the order of `DEFINITIONS`; of each as many as there are currencies."""

    facility_id: str
    name: str
    figures: list[list[KeyFigure]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OverviewPage(Page, template="overview.html", menu_entry="overview"):
    """Key figures, and the forecast's error by step."""

    today: dt.date
    since: dt.date  # first day of the period
    parameters: OverviewParameters
    weeks: tuple[int, ...]  # lengths of the period to choose from
    sites: list[Any]  # open sites, to choose from
    scope_name: str  # the chosen site, or that all are meant
    cards: list[Card]
    by_site: list[SiteFigures]
    definitions: dict[str, Definition]  # of each key figure
    steps: list[dict[str, Any]]  # error, value added and coverage of each step of the newest backtest


@router.get("/overview", dependencies=ONCE_EACH)
def show_overview(
    parameters: Annotated[OverviewParameters, Query()], person: Visitor, db: Db, now: Now
) -> HTMLResponse:
    """Key figures of a site or of all, site by site, and the forecast's error by step."""
    today = now.date()
    sites = [site for site in sites_by_name(db, person) if site["closed_on"] is None]
    names = {site["facility_id"]: site["name"] for site in sites}
    chosen = parameters.facility_id or WHOLE
    if chosen != WHOLE and chosen not in names:
        raise NotFound(f"there is no open site {chosen}")
    figures = key_figures(db, person.sites, today, parameters.weeks)
    page = OverviewPage(
        person=person,
        today=today,
        since=Window.of(today, parameters.weeks).start,
        parameters=parameters,
        weeks=WEEKS,
        sites=sites,
        scope_name=names.get(chosen, _all_sites(person)),
        cards=[_card(kpi, figures, chosen) for kpi in DEFINITIONS],
        by_site=_by_site(figures, names),
        definitions=DEFINITIONS,
        steps=_steps(db),
    )
    return render(page)


def _all_sites(person: Principal) -> str:
    return "All sites" if person.sites is None else "All your sites"


def _card(kpi: str, figures: list[KeyFigure], facility_id: str) -> Card:
    own = [figure for figure in figures if figure.kpi == kpi and figure.facility_id == facility_id]
    title = f"{DEFINITIONS[kpi].name}, by week"
    return Card(kpi, own, sparkline(own[0].trend, title, lambda value: value_text(value, own[0].unit)))


def _by_site(figures: list[KeyFigure], names: dict[str, str]) -> list[SiteFigures]:
    by_kpi: dict[tuple[str, str], list[KeyFigure]] = {}
    for figure in figures:
        by_kpi.setdefault((figure.facility_id, figure.kpi), []).append(figure)
    return [SiteFigures(site, name, [by_kpi[site, kpi] for kpi in DEFINITIONS]) for site, name in names.items()]


def _steps(db: sa.Connection) -> list[dict[str, Any]]:
    """Label, error, value added and coverage of each step that the newest backtest scored; None = not known."""
    steps: dict[str, dict[str, Any]] = {}
    for row in forecast_scores(db):
        about = {"as_of": row["as_of"], "series": row["series"], "origins": row["origins"]}
        scores = dict.fromkeys(("wape", "value_added", "coverage_80"))
        step = steps.setdefault(row["stage"], {"label": STEPS.get(row["stage"]), **about, **scores})
        step[row["metric"]] = row["value"]
        if row["metric"] == "wape":
            step["value_added"] = row["value_added"]
    return [steps[stage] for stage in STEPS if stage in steps]
