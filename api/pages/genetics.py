"""The genetics page: which products genotype-guided prescribing moves, where and when, and what that rests on."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse

from api.access.roles import Principal
from api.display import labels
from api.display.column_chart import columns
from api.display.templating import page
from api.http.context import Db, refuse_repeated_parameters
from api.http.errors import NotFound
from api.http.fields import Strict
from api.pages.page_session import Visitor
from api.pages.worklist import OneName
from forecasting.terms import JOINED_BY
from warehouse.queries import genetics
from warehouse.queries.lines import Rows, Scope, facilities_query, newest_origin, table
from warehouse.schema.inputs import Facility

router = APIRouter()

BASES = {
    "counts": "Own counts beside published figures",
    "published": "Published figures",
    "stand_in": "Other groups' figures that stand in",
    "nothing": "Nothing",
}


class GeneticsParameters(Strict):
    """Which site and which drug."""

    facility_id: OneName = None
    drug: OneName = None


@router.get("/genetics", dependencies=[Depends(refuse_repeated_parameters)])
def show_genetics(parameters: Annotated[GeneticsParameters, Query()], person: Visitor, db: Db) -> HTMLResponse:
    """Products that move, with a picture by month; of a chosen drug also sites, guidance and what was learned."""
    sites = db.execute(facilities_query(person.sites).order_by(Facility.name)).mappings().all()
    scope = _scope(person, parameters, {one["facility_id"] for one in sites})
    as_of = newest_origin(db, table("forecasts"), scope)
    found = [] if as_of is None else genetics.product_shifts(db, scope, as_of, parameters.drug)
    behind = genetics.guidance_shifts(db, scope, as_of, parameters.drug) if as_of and parameters.drug else []
    genes = {gene for row in behind for gene in row["gene"].split(JOINED_BY)}
    return page(
        "genetics.html",
        person=person,
        here="genetics",
        parameters=parameters,
        sites=sites,
        as_of=as_of,
        products=_products(found),
        months=[month for month, _ in _months(found)],
        places=_places(found) if parameters.drug else [],
        behind=behind,
        coverage=genetics.exposure_ranges(db, scope, as_of, genes) if as_of and genes else [],
        learned=genetics.learned_effects(db, scope, as_of, parameters.drug) if as_of and parameters.drug else [],
        thin=[] if as_of is None else _joined(genetics.thin_evidence(db, scope, as_of, parameters.drug)),
        bases=BASES,
        guidance=[] if as_of is None else genetics.guidance_releases(db, scope, as_of),
    )


def _scope(person: Principal, parameters: GeneticsParameters, known: set[str]) -> Scope:
    if parameters.facility_id is None:
        return frozenset(known)
    if parameters.facility_id not in known:
        raise NotFound(f"there is no site {parameters.facility_id}")
    return frozenset({parameters.facility_id})


def _products(rows: Rows) -> list[dict[str, Any]]:
    """Products by how many packs move: change and baseline over all sites and periods, and the change by month."""
    groups: dict[str, list[sa.RowMapping]] = defaultdict(list)
    for row in rows:
        groups[row["product_id"]].append(row)
    told = []
    for of in groups.values():
        shift = sum(row["shift"] for row in of)
        months = _months(of)
        picture = columns(
            months, f"Change of {labels.product(of[0])} by month", lambda value: labels.signed(round(value))
        )
        told.append(
            {**of[0], "total": shift, "packs": shift / float(of[0]["pack_size"]), "months": months, "picture": picture}
            | {"share": shift / sum(row["baseline"] for row in of) if any(row["baseline"] for row in of) else None}
        )
    return sorted(told, key=lambda one: (-abs(one["packs"]), one["product_id"]))


def _places(rows: Rows) -> list[dict[str, Any]]:
    """Site and product by site: the change by month."""
    groups: dict[tuple[str, str], list[sa.RowMapping]] = defaultdict(list)
    for row in rows:
        groups[row["facility_name"], row["product_id"]].append(row)
    return [
        {**of[0], "months": dict(_months(of)), "total": sum(row["shift"] for row in of)}
        for _, of in sorted(groups.items())
    ]


def _months(rows: Iterable[sa.RowMapping]) -> list[tuple[dt.date, float]]:
    """The change by month in which the periods begin."""
    sums: dict[dt.date, float] = defaultdict(float)
    for row in rows:
        sums[row["period_start"].replace(day=1)] += row["shift"]
    return sorted(sums.items())


def _joined(rows: Rows) -> list[dict[str, Any]]:
    """Thin evidence by drug and gene, its sites together."""
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for row in rows:
        groups[row["drug"], row["gene"], row["basis"]].append(row["facility_name"])
    return [
        {"drug": drug, "gene": gene, "basis": basis, "sites": ", ".join(of)}
        for (drug, gene, basis), of in groups.items()
    ]
