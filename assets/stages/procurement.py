"""Stage 5, procurement: lead times, and what to order today with the whole calculation."""

import datetime as dt
from typing import Any

import dagster as dg
import pandas as pd

from assets.dagster_io.asset_result import PROBLEM_COLUMNS, Staged, problems_frame
from assets.dagster_io.metadata import markdown_table, table_schema
from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import RUNS, Warehouse, replace_problems
from assets.dagster_io.table_asset import PROCUREMENT, stage_of, table_asset
from assets.sites.paragraph_writer import told_of_run, urgency_of, write
from assets.sites.reference_demand import known_panel, site_genetics
from assets.sites.site_orders import latest_count, orders_of_sites
from assets.sites.thin_evidence import thin_evidence
from forecasting.procurement.explanation.calculation import Document
from forecasting.procurement.explanation.paragraph import render_paragraph
from forecasting.procurement.recommend import Recommendations, recommend
from forecasting.procurement.supply.lead_time import lead_times as learn_lead_times
from warehouse.engine import writing
from warehouse.publication import LINES, WRITTEN, known_lines, publish
from warehouse.schema.results import LeadTime
from warehouse.writer_settings import WriterSettings


@table_asset(LeadTime, group=PROCUREMENT)
def lead_times(
    runs: pd.DataFrame,
    receipts: pd.DataFrame,
    suppliers: pd.DataFrame,
    products: pd.DataFrame,
    open_orders: pd.DataFrame,
) -> Staged:
    """Lead time per product, learned from receipts and open orders that were known at the origin."""
    run = PlanningRun.from_frame(runs)
    as_of = pd.Timestamp(run.as_of)
    known = receipts[receipts["received_at"] <= as_of]
    backwards = known["received_at"] < known["ordered_at"]
    problems = [
        (row.facility_id, row.product_id, "received_before_ordered", f"receipt {row.order_id} precedes its order")
        for row in known[backwards].itertuples()
    ]
    if receipts.empty and suppliers.empty:
        message = "suppliers and receipts are missing: lead times are assumed, and said so on every line"
        problems.append((None, None, "input_missing", message))
    waiting = open_orders[open_orders["ordered_at"] <= as_of]
    frame = learn_lead_times(known[~backwards], suppliers, products, waiting, run.as_of)
    return Staged(frame.assign(as_of=run.as_of), problems_frame(problems))


@dg.asset(
    group_name=PROCUREMENT,
    description=LINES.comment,
    metadata={"dagster/column_schema": table_schema(LINES)},
    kinds={"table"},
    deps=["forecasts"],
    ins={
        name: dg.AssetIn(input_manager_key="warehouse_io")
        for name in (
            "runs",
            "site_releases",
            "reference_demand",
            "baseline_forecasts",
            "acting_overrides",
            "prevalence",
            "exposure",
            "regimen_moves",
            "genetic_effects",
            "representation",
            "lead_times",
            "products",
            "suppliers",
            "stock",
            "open_orders",
            "receipts",
            "clean_demand",
            "policies",
            "shortages",
            "alternatives",
        )
    },
)
def recommendations(
    warehouse: Warehouse,
    runs: pd.DataFrame,
    site_releases: pd.DataFrame,
    reference_demand: pd.DataFrame,
    baseline_forecasts: pd.DataFrame,
    acting_overrides: pd.DataFrame,
    prevalence: pd.DataFrame,
    exposure: pd.DataFrame,
    regimen_moves: pd.DataFrame,
    genetic_effects: pd.DataFrame,
    representation: pd.DataFrame,
    lead_times: pd.DataFrame,
    products: pd.DataFrame,
    suppliers: pd.DataFrame,
    stock: pd.DataFrame,
    open_orders: pd.DataFrame,
    receipts: pd.DataFrame,
    clean_demand: pd.DataFrame,
    policies: pd.DataFrame,
    shortages: pd.DataFrame,
    alternatives: pd.DataFrame,
) -> dg.MaterializeResult[Any]:
    """Lines to order, published beside what people decided before; undecided older lines are superseded."""
    run = PlanningRun.from_frame(runs)
    if latest_count(stock, run).empty:
        message = "stock is missing: nothing is known of what is on the shelves, no orders are recommended"
        return _publish(warehouse, run, [], problems_frame([(None, None, "input_missing", message)]), products, None)
    tables = {
        "reference_demand": reference_demand,
        "baseline_forecasts": baseline_forecasts,
        "acting_overrides": acting_overrides,
        "prevalence": prevalence,
        "site_releases": site_releases,
        "lead_times": lead_times,
        "products": products,
        "suppliers": suppliers,
        "stock": stock,
        "open_orders": open_orders,
        "receipts": receipts,
        "clean_demand": clean_demand,
        "policies": policies,
        "shortages": shortages,
        "alternatives": alternatives,
    }
    panel = known_panel(reference_demand, run)
    genetics = site_genetics(warehouse, run, site_releases, prevalence, exposure, regimen_moves, panel, genetic_effects)
    found, short_problems = [], []
    for site in orders_of_sites(warehouse, run, tables, genetics):
        short_problems.append(site.problems)
        found.append(recommend(site.inputs))
    problems = pd.concat([*(one.problems for one in found), *short_problems], ignore_index=True)
    thin = thin_evidence(representation, regimen_moves, genetics)
    return _publish(warehouse, run, found, _problem_rows(problems), products, thin)


def _problem_rows(problems: pd.DataFrame) -> pd.DataFrame:
    return problems.rename(columns={"product_id": "subject"})[PROBLEM_COLUMNS]


def _publish(
    warehouse: Warehouse,
    run: PlanningRun,
    found: list[Recommendations],
    problems: pd.DataFrame,
    products: pd.DataFrame,
    thin: pd.Series | None,
) -> dg.MaterializeResult[Any]:
    documents: list[Document] = [document for one in found for document in one.explanations]
    filled = [one.lines for one in found if len(one.lines)]
    lines = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=["recommendation_id"])
    written = _written(warehouse, documents)
    told = told_of_run(written["of"].tolist())
    if told:
        said = problems_frame([(None, None, "paragraphs_by_a_model", told)])
        problems = pd.concat([problems, said], ignore_index=True)
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    with writing(warehouse.engine) as connection:
        if len(lines):
            lines["currency"] = lines["product_id"].map(products.set_index("product_id")["currency"])
            lines["thin_evidence"] = _at_items(thin, lines)
        paragraphs = [render_paragraph(document) for document in documents]
        publish(
            connection,
            lines,
            documents,
            paragraphs,
            written=written[WRITTEN],
            run_id=run.run_id,
            as_of=run.as_of,
            facilities=run.facilities,
            now=now,
        )
        replace_problems(connection, "recommendations", stage_of(PROCUREMENT), run, problems)
        connection.execute(RUNS.update().where(RUNS.c.run_id == run.run_id).values(finished_at=now))
    return dg.MaterializeResult(metadata=_shown(lines, problems))


def _written(warehouse: Warehouse, documents: list[Document]) -> pd.DataFrame:
    """`WRITTEN` by recommendation_id, of lines that are new, the most urgent of the run first; `of` is the whole.

    Nothing is asked while the database is held, and a stored line is never written again.
    """
    settings = WriterSettings.from_environment()
    new: list[Document] = []
    if settings:
        with warehouse.engine.connect() as connection:
            known = known_lines(connection, [one["recommendation_id"] for one in documents])
        new = [one for one in documents if one["recommendation_id"] not in known]
        new.sort(key=urgency_of, reverse=True)
    found = write(new, settings)
    rows = [(one.text, one.model, one.problem, one) for one in found]
    index = pd.Index([one["recommendation_id"] for one in new], name="recommendation_id")
    return pd.DataFrame(rows, index=index, columns=[*WRITTEN, "of"], dtype=object)


def _at_items(told: pd.Series | None, lines: pd.DataFrame) -> Any:
    """What is told of each line's site and product; None where there is nothing."""
    if told is None:
        return None
    found = told.reindex(pd.MultiIndex.from_frame(lines[["facility_id", "product_id"]]))
    return found.astype(object).where(found.notna(), None).to_numpy()


def _shown(lines: pd.DataFrame, problems: pd.DataFrame) -> dict[str, Any]:
    shown: dict[str, Any] = {"dagster/row_count": len(lines), "problems": len(problems)}
    if len(lines):
        columns = ["facility_id", "product_id", "packs", "cost", "order_by", "reason", "stockout_probability_before"]
        top = lines.sort_values("urgency", ascending=False).head(10)[columns]
        shown["most urgent"] = dg.MetadataValue.md(markdown_table(top))
    if len(problems):
        shown["problem list"] = dg.MetadataValue.md(markdown_table(problems.head(50)))
    return shown
