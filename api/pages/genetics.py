"""The genetics page: which products genotype-guided prescribing moves, where and when, and what that rests on."""

import dataclasses
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from api.display.charts.column_chart import column_chart
from api.display.formatting import signed
from api.display.labels import product
from api.display.templating import Page, render
from api.http.context import ONCE_EACH, Db
from api.http.errors import NotFound
from api.http.fields import Strict
from api.pages.forms import OptionalText, sites_by_name
from api.pages.page_session import Visitor
from forecasting.terms import JOINED_BY
from warehouse.queries import genetics
from warehouse.queries.lines import Rows, Scope, newest_origin, table

router = APIRouter()


class GeneticsParameters(Strict):
    """Which site and which drug."""

    facility_id: OptionalText = None
    drug: OptionalText = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneticsPage(Page, template="genetics.html", menu_entry="genetics"):
    """Products whose demand moves; of a chosen drug also its sites, guidance and what was learned."""

    parameters: GeneticsParameters
    sites: Rows  # to choose from
    as_of: dt.date | None  # origin of the newest plan; None = nothing is planned
    products: Sequence[dict[str, Any]] = ()  # those that move, most packs first
    months: Sequence[dt.date] = ()  # in which periods of the plan begin
    places: Sequence[dict[str, Any]] = ()  # the drug's change by site and month
    behind: Rows = ()  # guidance rows behind the drug's change
    coverage: Sequence[dict[str, Any]] = ()  # of the genes of these rows
    learned: Rows = ()  # how strongly the advice acts at each site
    thin: Sequence[dict[str, Any]] = ()  # drugs and genes with thin evidence
    guidance: Sequence[str] = ()  # releases of guidance in force


@router.get("/genetics", dependencies=ONCE_EACH)
def show_genetics(parameters: Annotated[GeneticsParameters, Query()], person: Visitor, db: Db) -> HTMLResponse:
    """Products that move, with a picture by month; of a chosen drug also sites, guidance and what was learned."""
    sites = sites_by_name(db, person)
    scope = _scope(parameters, frozenset(site["facility_id"] for site in sites))
    as_of = newest_origin(db, table("forecasts"), scope)
    page = GeneticsPage(person=person, parameters=parameters, sites=sites, as_of=as_of)
    if as_of is None:
        return render(page)
    moves = genetics.product_shifts(db, scope, as_of, parameters.drug)
    page = dataclasses.replace(
        page,
        products=_products(moves),
        months=[month for month, _ in _by_month(moves)],
        thin=_thin_evidence(genetics.thin_evidence(db, scope, as_of, parameters.drug)),
        guidance=genetics.guidance_releases(db, scope, as_of),
    )
    return render(page if parameters.drug is None else _with_drug(page, db, scope, moves))


def _with_drug(page: GeneticsPage, db: sa.Connection, scope: Scope, moves: Rows) -> GeneticsPage:
    """The page with what is shown of a chosen drug alone."""
    drug, as_of = page.parameters.drug, page.as_of
    assert drug is not None
    assert as_of is not None
    behind = genetics.guidance_shifts(db, scope, as_of, drug)
    genes = {gene for row in behind for gene in row["gene"].split(JOINED_BY)}
    return dataclasses.replace(
        page,
        places=_places(moves),
        behind=behind,
        coverage=genetics.exposure_ranges(db, scope, as_of, genes) if genes else [],
        learned=genetics.learned_effects(db, scope, as_of, drug),
    )


def _scope(parameters: GeneticsParameters, sites: frozenset[str]) -> Scope:
    if parameters.facility_id is None:
        return sites
    if parameters.facility_id not in sites:
        raise NotFound(f"there is no site {parameters.facility_id}")
    return frozenset({parameters.facility_id})


def _grouped(rows: Rows, key: Callable[[sa.RowMapping], Any]) -> dict[Any, list[sa.RowMapping]]:
    groups: dict[Any, list[sa.RowMapping]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _products(moves: Rows) -> list[dict[str, Any]]:
    """Products by how many packs move: change and baseline over all sites and periods, and the change by month."""
    products = []
    for rows in _grouped(moves, lambda row: row["product_id"]).values():
        shift, baseline = (sum(row[name] for row in rows) for name in ("shift", "baseline"))
        title = f"Change of {product(rows[0])} by month"
        picture = column_chart(_by_month(rows), title, lambda value: signed(round(value)))
        packs = shift / float(rows[0]["pack_size"])
        share = shift / baseline if any(row["baseline"] for row in rows) else None
        products.append({**rows[0], "total": shift, "packs": packs, "share": share, "picture": picture})
    return sorted(products, key=lambda item: (-abs(item["packs"]), item["product_id"]))


def _places(moves: Rows) -> list[dict[str, Any]]:
    """Site and product by site: the change by month."""
    groups = _grouped(moves, lambda row: (row["facility_name"], row["product_id"]))
    return [
        {**rows[0], "months": dict(_by_month(rows)), "total": sum(row["shift"] for row in rows)}
        for _, rows in sorted(groups.items())
    ]


def _by_month(rows: Iterable[sa.RowMapping]) -> list[tuple[dt.date, float]]:
    """The change by month in which the periods begin."""
    sums: dict[dt.date, float] = defaultdict(float)
    for row in rows:
        sums[row["period_start"].replace(day=1)] += row["shift"]
    return sorted(sums.items())


def _thin_evidence(rows: Rows) -> list[dict[str, Any]]:
    """Thin evidence by drug, gene and basis, the names of its sites in one text."""
    groups = _grouped(rows, lambda row: (row["drug"], row["gene"], row["basis"]))
    return [
        {"drug": drug, "gene": gene, "basis": basis, "sites": ", ".join(row["facility_name"] for row in group)}
        for (drug, gene, basis), group in groups.items()
    ]
