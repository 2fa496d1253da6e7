"""Stage 5, procurement: lead times, and what to order today with the whole calculation."""

import datetime as dt
from typing import Any

import dagster as dg
import pandas as pd

from assets.dagster_io.asset_result import PROBLEM_COLUMNS, AssetResult, ProblemRow, problems_frame
from assets.dagster_io.metadata import markdown_table
from assets.dagster_io.resources import RUNS, Warehouse, replace_problems
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import PROCUREMENT, stage_of, table_asset
from assets.sites.paragraph_writer import model_paragraphs, urgency_of, writer_summary
from assets.sites.reference_demand import GENETIC_INPUTS, known_panel, site_genetics
from assets.sites.site_orders import ORDER_INPUTS, latest_count, orders_of_sites
from assets.sites.thin_evidence import thin_evidence
from forecasting.procurement.explanation.calculation import Document
from forecasting.procurement.explanation.paragraph import render_paragraph
from forecasting.procurement.recommend import Recommendations, recommend
from forecasting.procurement.supply.lead_time import lead_times as learn_lead_times
from warehouse.engine import writing
from warehouse.publication import WRITTEN, Calculations, PublishedRun, known_lines, publish
from warehouse.schema.results import LeadTime, Recommendation
from warehouse.writer_settings import WriterSettings


@table_asset(LeadTime, group=PROCUREMENT, inputs=("runs", "receipts", "suppliers", "products", "open_orders"))
def lead_times(tables: RunTables) -> AssetResult:
    """Lead time per product, learned from receipts and open orders that were known at the origin."""
    as_of, receipts, open_orders = pd.Timestamp(tables.run.as_of), tables["receipts"], tables["open_orders"]
    known = receipts[receipts["received_at"] <= as_of]
    backwards = known["received_at"] < known["ordered_at"]
    problems: list[ProblemRow] = [
        (row.facility_id, row.product_id, "received_before_ordered", f"receipt {row.order_id} precedes its order")
        for row in known[backwards].itertuples()
    ]
    if receipts.empty and tables["suppliers"].empty:
        message = "suppliers and receipts are missing: lead times are assumed, and said so on every line"
        problems.append((None, None, "input_missing", message))
    waiting = open_orders[open_orders["ordered_at"] <= as_of]
    frame = learn_lead_times(known[~backwards], tables["suppliers"], tables["products"], waiting, tables.run.as_of)
    return AssetResult(frame.assign(as_of=tables.run.as_of), problems_frame(problems))


@table_asset(
    Recommendation,
    group=PROCUREMENT,
    inputs=(*GENETIC_INPUTS, *ORDER_INPUTS, "representation"),
    deps=["forecasts"],
    io_manager_key=None,  # lines are published beside what people decided, not put in place of it
)
def recommendations(tables: RunTables) -> dg.MaterializeResult[Any]:
    """Lines to order, published beside what people decided before; undecided older lines are superseded."""
    if latest_count(tables["stock"], tables.run).empty:
        message = "stock is missing: nothing is known of what is on the shelves, no orders are recommended"
        return _publish(tables, [], problems_frame([(None, None, "input_missing", message)]), None)
    genetics = site_genetics(tables, known_panel(tables["reference_demand"], tables.run))
    sites, results = [], []
    for site in orders_of_sites(tables, genetics):
        sites.append(site.problems)
        results.append(recommend(site.inputs))
    problems = pd.concat([*(result.problems for result in results), *sites], ignore_index=True)
    thin = thin_evidence(tables["representation"], tables["regimen_moves"], genetics)
    return _publish(tables, results, problems.rename(columns={"product_id": "subject"})[PROBLEM_COLUMNS], thin)


def _publish(
    tables: RunTables, results: list[Recommendations], problems: pd.DataFrame, thin: pd.Series | None
) -> dg.MaterializeResult[Any]:
    """Store the lines and their problems, and end the run."""
    run, warehouse = tables.run, tables.warehouse
    documents = [document for result in results for document in result.explanations]
    filled = [result.lines for result in results if len(result.lines)]
    lines = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=["recommendation_id"])
    by_model = _model_paragraphs(warehouse, documents)
    summary = writer_summary(by_model["paragraph"].tolist())
    if summary:
        of_writer = problems_frame([(None, None, "paragraphs_by_a_model", summary)])
        problems = pd.concat([problems, of_writer], ignore_index=True)
    if len(lines):
        lines["currency"] = lines["product_id"].map(tables["products"].set_index("product_id")["currency"])
        lines["thin_evidence"] = _at_items(thin, lines)
    calculations = Calculations(documents, [render_paragraph(document) for document in documents], by_model[WRITTEN])
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    with writing(warehouse.engine) as connection:
        publish(connection, lines, calculations, PublishedRun(run.run_id, run.as_of, run.facilities), now)
        replace_problems(connection, "recommendations", stage_of(PROCUREMENT), run, problems)
        connection.execute(RUNS.update().where(RUNS.c.run_id == run.run_id).values(finished_at=now))
    return dg.MaterializeResult(metadata=_metadata(lines, problems))


def _model_paragraphs(warehouse: Warehouse, documents: list[Document]) -> pd.DataFrame:
    """`WRITTEN` and the `paragraph` they are of by recommendation_id, of lines that are new, the most urgent first.

    The model is not called while the database is held, and a stored line is never written again.
    """
    settings = WriterSettings.from_environment()
    new: list[Document] = []
    if settings:
        with warehouse.engine.connect() as connection:
            known = known_lines(connection, [document["recommendation_id"] for document in documents])
        new = [document for document in documents if document["recommendation_id"] not in known]
        new.sort(key=urgency_of, reverse=True)
    rows = [
        (paragraph.text, paragraph.model, paragraph.problem, paragraph) for paragraph in model_paragraphs(new, settings)
    ]
    index = pd.Index([document["recommendation_id"] for document in new], name="recommendation_id")
    return pd.DataFrame(rows, index=index, columns=[*WRITTEN, "paragraph"], dtype=object)


def _at_items(texts: pd.Series | None, lines: pd.DataFrame) -> Any:
    """The text of each line's site and product [line]; None where there is none."""
    if texts is None:
        return None
    of_lines = texts.reindex(pd.MultiIndex.from_frame(lines[["facility_id", "product_id"]]))
    return of_lines.astype(object).where(of_lines.notna(), None).to_numpy()


def _metadata(lines: pd.DataFrame, problems: pd.DataFrame) -> dict[str, Any]:
    """The most urgent lines and the problems, for the UI."""
    metadata: dict[str, Any] = {"dagster/row_count": len(lines), "problems": len(problems)}
    if len(lines):
        columns = ["facility_id", "product_id", "packs", "cost", "order_by", "reason", "stockout_probability_before"]
        urgent = lines.sort_values("urgency", ascending=False).head(10)[columns]
        metadata["most urgent"] = dg.MetadataValue.md(markdown_table(urgent))
    if len(problems):
        metadata["problem list"] = dg.MetadataValue.md(markdown_table(problems.head(50)))
    return metadata
