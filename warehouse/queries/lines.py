"""Read queries that a caller's sites bound: each takes the `scope` of who asks and never looks beyond it.

What belongs here: what the API and its pages read. What does not: writes (`store`) and anything an asset computes.
"""

import datetime as dt
import json
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
import sqlalchemy.orm

from forecasting.terms import ALL_GROUPS, JOINED_BY, Action, ResultType
from warehouse.schema import Base
from warehouse.schema.explanations import Explanation
from warehouse.schema.inputs import Dispensing, Facility, Product, Supplier
from warehouse.schema.ledger import Decision, Load, User
from warehouse.schema.reference import Guidance
from warehouse.schema.results import (
    CleanDemand,
    Forecast,
    GeneticShift,
    Prevalence,
    Problem,
    Recommendation,
    Run,
    SiteRelease,
)
from warehouse.schema.worklist import RoutineRule

Scope = frozenset[str] | None

STAYING = (Action.STANDARD, Action.NO_NUMBER, Action.NO_RECOMMENDATION)
"""Sites a caller may see; None = all of them and the whole network ('*')."""

Rows = Sequence[sa.RowMapping]


def within(column: Any, scope: Scope) -> sa.ColumnElement[bool]:
    """The condition that a row's site is one the caller may see.

    >>> str(within(sa.column("facility_id"), None))
    'true'
    """
    return sa.true() if scope is None else column.in_(sorted(scope))


def table(name: str) -> sa.Table:
    """The declared table of that name."""
    return Base.metadata.tables[name]


def recommendations_query(scope: Scope) -> sa.Select[Any]:
    """Lines with what a person needs beside them: drug, strength, form, pack terms, names of site and supplier."""
    return (
        sa.select(
            *Recommendation.__table__.columns,
            *(table("products").columns[name] for name in PRODUCT_TERMS),
            Facility.name.label("facility_name"),
            Supplier.name.label("supplier_name"),
        )
        .join(Product, Product.product_id == Recommendation.product_id)
        .join(Facility, Facility.facility_id == Recommendation.facility_id)
        .outerjoin(Supplier, Supplier.supplier_id == Recommendation.supplier_id)
        .where(within(Recommendation.facility_id, scope))
    )


PRODUCT_TERMS = (
    "drug",
    "strength_value",
    "strength_unit",
    "dose_form",
    "pack_size",
    "pack_price",
    "minimum_order_packs",
    "order_multiple_packs",
    "code_system",
    "code",
    "criticality",
)


def recommendation(
    connection: sa.Connection, scope: Scope, recommendation_id: str, *, for_update: bool = False
) -> sa.RowMapping | None:
    """One line, or None when there is none in scope; `for_update` holds it until the transaction ends."""
    query = recommendations_query(scope).where(Recommendation.recommendation_id == recommendation_id)
    if for_update:
        query = query.with_for_update(of=Recommendation)
    return connection.execute(query).mappings().one_or_none()


def explanation(connection: sa.Connection, recommendation_id: str) -> dict[str, Any] | None:
    """Stored calculation of a line: `run_id`, `document` (decoded), `paragraph` and who wrote it; None without one.

    The paragraph is the model's where one wrote it, else the template's.
    """
    query = sa.select(Explanation.__table__).where(Explanation.recommendation_id == recommendation_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    shown = row["written_paragraph"] or row["paragraph"]
    writer = f"model {row['writer_model']}" if row["written_paragraph"] else "template"
    decoded = {"document": json.loads(row["document"]), "paragraph": shown, "paragraph_by": writer}
    return {**row, **decoded}


def decisions(connection: sa.Connection, recommendation_id: str) -> Rows:
    """What people decided about a line, oldest first, with their names; `rule_by` set the rule it was routine by."""
    author = sa.orm.aliased(User)
    query = (
        sa.select(Decision.__table__, User.display_name, author.display_name.label("rule_by"))
        .join(User, User.user_id == Decision.user_id)
        .outerjoin(RoutineRule, RoutineRule.rule_id == Decision.routine_rule_id)
        .outerjoin(author, author.user_id == RoutineRule.user_id)
        .where(Decision.recommendation_id == recommendation_id)
        .order_by(Decision.decision_id)
    )
    return connection.execute(query).mappings().all()


def decisions_by(connection: sa.Connection, user_id: int, since: dt.datetime, scope: Scope) -> Rows:
    """What a person has decided since, newest first, with the line as it stands now (`line_status`, `line_version`)."""
    names = (Facility.name.label("facility_name"), Product.drug, Product.dose_form)
    strength = (Product.strength_value, Product.strength_unit, Product.pack_size)
    line = (Recommendation.status.label("line_status"), Recommendation.version.label("line_version"))
    query = (
        sa.select(Decision.__table__, *line, *names, *strength)
        .join(Recommendation, Recommendation.recommendation_id == Decision.recommendation_id)
        .join(Facility, Facility.facility_id == Recommendation.facility_id)
        .join(Product, Product.product_id == Recommendation.product_id)
        .where(Decision.user_id == user_id, Decision.decided_at >= since, within(Recommendation.facility_id, scope))
        .order_by(Decision.decision_id.desc())
    )
    return connection.execute(query).mappings().all()


def newest_origin(connection: sa.Connection, results: sa.Table, scope: Scope) -> dt.date | None:
    """Newest origin day of a result table within scope; None when it has no row."""
    query = sa.select(sa.func.max(results.c.as_of)).where(within(results.c.facility_id, scope))
    return connection.execute(query).scalar_one()


def demand_history(connection: sa.Connection, as_of: dt.date, facility_id: str, product_id: str) -> Rows:
    """`period_start` and `quantity` (dose units; None = unknown) as the forecast saw them, else as dispensed."""
    series = (CleanDemand.facility_id == facility_id, CleanDemand.product_id == product_id)
    cleaned = sa.select(CleanDemand.period_start, CleanDemand.quantity).where(CleanDemand.as_of == as_of, *series)
    rows = connection.execute(cleaned.order_by(CleanDemand.period_start)).mappings().all()
    if rows:
        return rows
    dispensed = sa.select(Dispensing.period_start, Dispensing.quantity).where(
        Dispensing.facility_id == facility_id, Dispensing.product_id == product_id, Dispensing.period_start < as_of
    )
    return connection.execute(dispensed.order_by(Dispensing.period_start)).mappings().all()


def forecasts(connection: sa.Connection, as_of: dt.date, facility_id: str, product_id: str) -> Rows:
    """The published forecast of one site and product, by period."""
    query = sa.select(Forecast.__table__).where(
        Forecast.as_of == as_of, Forecast.facility_id == facility_id, Forecast.product_id == product_id
    )
    return connection.execute(query.order_by(Forecast.period_start)).mappings().all()


def planning_run(connection: sa.Connection, run_id: str) -> sa.RowMapping | None:
    """The run of that id."""
    return connection.execute(sa.select(Run.__table__).where(Run.run_id == run_id)).mappings().one_or_none()


def genetic_shifts(
    connection: sa.Connection, as_of: dt.date, facility_id: str, product_id: str
) -> list[dict[str, Any]]:
    """What each guidance row does to a product, largest first, with the row itself and its genes' intervals.

    The rows are those of the release that the site's results of the day rest on; where two guidelines stand together
    (`A+B`), both are named. `intervals` holds one entry per gene of the row: gene, result, mean, low, high.
    """
    shift = (GeneticShift.as_of == as_of, GeneticShift.facility_id == facility_id)
    query = (
        sa.select(GeneticShift.__table__)
        .where(*shift, GeneticShift.product_id == product_id)
        .order_by(sa.func.abs(GeneticShift.quantity).desc(), GeneticShift.recommendation_id)
    )
    rows = connection.execute(query).mappings().all()
    keys = {pair for row in rows for pair in _genes_and_keys(row)}
    genes = {gene for gene, _ in keys}
    rows_of_keys = prevalence_intervals(connection, as_of, facility_id, genes, ResultType.LOOKUP_KEY)
    intervals = {(row["gene"], row["result"]): row for row in rows_of_keys}
    guidance = _guidance(connection, as_of, facility_id, {name for row in rows for name in _guidance_rows(row)})
    return [
        {
            **row,
            **_joined_guidance([guidance[name] for name in _guidance_rows(row) if name in guidance]),
            "intervals": [intervals[pair] for pair in _genes_and_keys(row) if pair in intervals],
        }
        for row in rows
    ]


def _guidance(
    connection: sa.Connection, as_of: dt.date, facility_id: str, recommendation_ids: set[str]
) -> dict[str, sa.RowMapping]:
    """Guidance rows of the release that a site's results of a day rest on."""
    release = (
        sa.select(SiteRelease.release_id)
        .where(
            SiteRelease.as_of == as_of,
            SiteRelease.facility_id == facility_id,
            SiteRelease.kind == "guidance",
            SiteRelease.in_force,
        )
        .scalar_subquery()
    )
    columns = [Guidance.recommendation_id, *(Guidance.__table__.columns[name] for name in GUIDANCE_COLUMNS)]
    query = sa.select(*columns).where(
        Guidance.release_id == release, Guidance.recommendation_id.in_(sorted(recommendation_ids))
    )
    return {row["recommendation_id"]: row for row in connection.execute(query).mappings()}


GUIDANCE_COLUMNS = (
    "source",
    "guideline_id",
    "version",
    "year",
    "pmid",
    "population",
    "action",
    "fallback_action",
    "strength",
)


def _joined_guidance(rows: Sequence[sa.RowMapping]) -> dict[str, Any]:
    """The guidance rows of a shift in one: each distinct value of a column once."""
    values = {
        name: list(dict.fromkeys(row[name] for row in rows if row[name] is not None)) for name in GUIDANCE_COLUMNS
    }
    changing = [action for action in values["action"] if action not in STAYING]
    joined: dict[str, Any] = {
        name: f" {JOINED_BY} ".join(map(str, values_of)) or None for name, values_of in values.items()
    }
    # one publication can be linked to, several cannot
    return joined | {
        "year": max(values["year"], default=None),
        "pmid": values["pmid"][0] if len(values["pmid"]) == 1 else None,
        "action": next(iter([*changing, *values["action"]]), None),
        "fallback_action": next(iter(values["fallback_action"]), None),
    }


def _guidance_rows(row: sa.RowMapping) -> list[str]:
    """Ids of the guidance rows of a shift: its own, or those that it stands for."""
    joined = str(row["recommendation_id"])
    return list(dict.fromkeys([joined, *joined.split(JOINED_BY)]))


def _genes_and_keys(row: sa.RowMapping) -> list[tuple[str, str]]:
    return list(zip(row["gene"].split(JOINED_BY), row["lookup_key"].split(JOINED_BY), strict=False))


def prevalence_intervals(
    connection: sa.Connection, as_of: dt.date, facility_id: str, genes: Collection[str], result_type: ResultType
) -> Rows:
    """Shares of a gene's results in all people served, with their 90 % intervals, by gene, the most common first."""
    query = sa.select(Prevalence.gene, Prevalence.result, Prevalence.mean, Prevalence.low, Prevalence.high).where(
        Prevalence.as_of == as_of,
        Prevalence.facility_id == facility_id,
        Prevalence.biogeographic_group == ALL_GROUPS,
        Prevalence.result_type == result_type.value,
        Prevalence.gene.in_(sorted(genes)),
    )
    return connection.execute(query.order_by(Prevalence.gene, Prevalence.mean.desc())).mappings().all()


def newest_problems(connection: sa.Connection, scope: Scope) -> Rows:
    """Problems of the newest day that has any, those of all sites included."""
    seen = sa.or_(Problem.facility_id.is_(None), within(Problem.facility_id, scope))
    newest = sa.select(sa.func.max(Problem.as_of)).where(seen).scalar_subquery()
    query = sa.select(Problem.__table__).where(seen, Problem.as_of == newest)
    return connection.execute(query.order_by(Problem.stage, Problem.asset, Problem.number)).mappings().all()


def drug_problems(connection: sa.Connection, as_of: dt.date, facility_id: str, drug: str) -> list[str]:
    """What a run could not do with the guidance or genetics of a drug at a site, or of every drug, in sentences."""
    query = sa.select(Problem.message).where(
        Problem.as_of == as_of,
        Problem.subject.in_((drug, "*")),
        sa.or_(Problem.facility_id.is_(None), Problem.facility_id == facility_id),
    )
    messages = connection.scalars(query.order_by(Problem.stage, Problem.asset, Problem.number)).all()
    return list(dict.fromkeys(messages))


def newest_loads(connection: sa.Connection, limit: int) -> Rows:
    """The last loads, newest first."""
    return connection.execute(sa.select(Load.__table__).order_by(Load.load_id.desc()).limit(limit)).mappings().all()


def newest_run(connection: sa.Connection) -> sa.RowMapping | None:
    """The run that began last."""
    query = sa.select(Run.__table__).order_by(Run.started_at.desc(), Run.run_id).limit(1)
    return connection.execute(query).mappings().one_or_none()


def facilities_query(scope: Scope) -> sa.Select[Any]:
    """Sites without the number of people they serve."""
    names = ("facility_id", "name", "network", "closed_on", "successor_id")
    return sa.select(*(table("facilities").columns[name] for name in names)).where(within(Facility.facility_id, scope))


def suppliers(connection: sa.Connection) -> Rows:
    """Suppliers by name."""
    query = sa.select(Supplier.supplier_id, Supplier.name).order_by(Supplier.name, Supplier.supplier_id)
    return connection.execute(query).mappings().all()
