"""Stage 5, procurement: lead times, and what to order today with the whole calculation."""

import dataclasses
import datetime as dt
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from assets.demand import known_panel, shift_words, site_genetics
from assets.genetics import Genetics
from assets.metadata import markdown_table, table_schema
from assets.overrides import overrides_at
from assets.paths import SiteDemand, site_demand
from assets.policies import limits_at, with_policies
from assets.resources import RUNS, Warehouse, replace_problems
from assets.run import PlanningRun
from assets.shortages import ShortageFacts, with_shortages
from assets.staged import PROBLEM_COLUMNS, Staged, problems_frame
from assets.table_asset import PROCUREMENT, stage_of, table_asset
from assets.thin_evidence import thin_evidence
from assets.writer import told_of_run, urgency_of, write
from forecasting.procurement.explanation import Document
from forecasting.procurement.interval import GENETIC_STEP_COLUMNS, OVERRIDE_COLUMNS, DemandDraws
from forecasting.procurement.lead_time import lead_times as learn_lead_times
from forecasting.procurement.paragraph import render_paragraph
from forecasting.procurement.recommend import Recommendations, recommend
from forecasting.procurement.segments import abc_of, xyz_of
from forecasting.procurement.since_count import since_count
from forecasting.procurement.supply import COLUMNS as ORDER_COLUMNS
from warehouse.engine import writing
from warehouse.publication import LINES, WRITTEN, known_lines, ordered_lines, publish, standing_packs
from warehouse.releases import releases_at
from warehouse.schema.inputs import NOT_STATED
from warehouse.schema.results import CleanDemand, LeadTime
from warehouse.writer_settings import WriterSettings

CLEANED: Any = CleanDemand.__table__
SEGMENT_PERIODS = 52
"""How variable an item's use is, is seen over so many last periods."""

RECENT_PERIODS = 13
"""What an explanation calls history: the mean of so many last periods."""


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
    lots = _latest_count(stock, run)
    if lots.empty:
        message = "stock is missing: nothing is known of what is on the shelves, no orders are recommended"
        return _publish(warehouse, run, [], problems_frame([(None, None, "input_missing", message)]), products, None)
    panel = known_panel(reference_demand, run)
    genetics = site_genetics(warehouse, run, site_releases, prevalence, exposure, regimen_moves, panel, genetic_effects)
    orders = _on_order(warehouse, run, open_orders, lead_times)
    with warehouse.engine.connect() as connection:
        standing = standing_packs(connection, run.as_of)
    history = _history_per_day(reference_demand, run)
    touched = _history_rules(warehouse, run)
    since = _since_count(run, lots, clean_demand, receipts, products)
    found, short_problems = [], []
    short = ShortageFacts(shortages, alternatives, prevalence)
    for facility_id, rows in baseline_forecasts.groupby("facility_id"):
        site = str(facility_id)
        overrides = overrides_at(acting_overrides, site)
        demand = site_demand(run, site, rows, genetics, overrides)
        items = _items(site, demand, products, suppliers, policies, reference_demand)
        items["guidance_changed_on"] = _guidance_changed_on(site_releases, site)
        draws = _with_overrides(_draws(demand, genetics, history, touched), demand, overrides)
        items, draws, said = with_shortages(run, items, draws, demand.starts, short, genetics.rows_at(site))
        short_problems.append(said)
        found.append(
            recommend(
                items,
                draws,
                period=run.period,
                period_starts=[start.date() for start in demand.starts],
                as_of=run.as_of,
                lots=lots[lots["facility_id"] == site],
                since=since[since["facility_id"] == site],
                open_orders=orders[orders["facility_id"] == site],
                lead_times=lead_times,
                draws_seed=run.seed,
                standing=standing,
                limits=limits_at(site, items, policies, _spent(items, orders, demand.starts[0])),
                context={
                    "run_id": run.run_id,
                    "releases": releases_at(run.releases, site),
                    "with_genetics": run.with_genetics,
                },
            )
        )
    problems = pd.concat([*(one.problems for one in found), *short_problems], ignore_index=True)
    thin = thin_evidence(representation, regimen_moves, genetics)
    return _publish(warehouse, run, found, _problem_rows(problems), products, thin)


def _latest_count(stock: pd.DataFrame, run: PlanningRun) -> pd.DataFrame:
    """All lots of each item's last count that was made up to the end of the origin day."""
    known = stock[stock["counted_at"] < pd.Timestamp(run.as_of) + pd.Timedelta(days=1)]
    newest = known.groupby(["facility_id", "product_id"])["counted_at"].transform("max")
    return known[known["counted_at"] == newest]


def _since_count(
    run: PlanningRun, lots: pd.DataFrame, clean: pd.DataFrame, receipts: pd.DataFrame, products: pd.DataFrame
) -> pd.DataFrame:
    """What left and entered each shelf since its count; the file's own quantity wins over the cleaned one."""
    history = clean.assign(quantity=clean["quantity_raw"].fillna(clean["quantity"]))
    pack_size = products.set_index("product_id")["pack_size"].astype(float)
    arrived = receipts.assign(quantity=receipts["packs"].astype(float) * receipts["product_id"].map(pack_size))
    known = arrived[arrived["received_at"] <= pd.Timestamp(run.as_of)]
    return since_count(lots, history, known, _history_per_day(clean, run), period=run.period, as_of=run.as_of)


def _on_order(
    warehouse: Warehouse, run: PlanningRun, open_orders: pd.DataFrame, lead_times: pd.DataFrame
) -> pd.DataFrame:
    """Open orders and decided recommendations, which arrive a mean lead time after their order day."""
    with warehouse.engine.connect() as connection:
        decided = ordered_lines(connection, run.as_of)
    known = open_orders[open_orders["ordered_at"] <= pd.Timestamp(run.as_of)]
    # an inventory system may hand an exported line back as the open order it became
    decided = decided[~decided["recommendation_id"].isin(set(known["order_id"]))]
    days = decided["product_id"].map(lead_times.set_index("product_id")["mean_days"]).fillna(0.0)
    expected = decided["order_by"] + pd.to_timedelta(days.astype(float), unit="D")
    sent = decided["status"].isin(["exported", "acknowledged"])
    lines = decided.assign(
        ordered_at=decided["order_by"],
        expected_at=expected,
        kind=np.where(sent, "exported recommendation", "approved recommendation"),
        id=decided["recommendation_id"],
    )
    orders = known.assign(kind="open order", id=known["order_id"])[ORDER_COLUMNS]
    return pd.concat([orders, lines[ORDER_COLUMNS]], ignore_index=True) if len(lines) else orders


def _history_per_day(reference: pd.DataFrame, run: PlanningRun) -> pd.Series:
    """Mean dispensed per day over the last known periods, by (facility_id, product_id)."""
    recent = reference.dropna(subset="quantity").groupby(["facility_id", "product_id"])["quantity"]
    return recent.apply(lambda values: values.tail(RECENT_PERIODS).mean()) / run.period.mean_days


def _items(
    facility_id: str,
    demand: SiteDemand,
    products: pd.DataFrame,
    suppliers: pd.DataFrame,
    policies: pd.DataFrame,
    reference: pd.DataFrame,
) -> pd.DataFrame:
    chosen = products.set_index("product_id").loc[list(demand.product_ids)].reset_index()
    stated = chosen["criticality"].notna()
    chosen = chosen.assign(facility_id=facility_id, criticality=chosen["criticality"].fillna("standard"))
    terms = suppliers.set_index("supplier_id")[
        ["order_weekdays", "order_cutoff", "closed_dates", "minimum_order_value"]
    ]
    price = chosen["pack_price"].astype(float) / chosen["pack_size"].astype(float)
    here = reference[reference["facility_id"] == facility_id]
    history = here.pivot_table(index="product_id", columns="period_start", values="quantity").iloc[:, -SEGMENT_PERIODS:]
    chosen["abc"] = abc_of(demand.paths.mean.mean(axis=1) * price.to_numpy())
    chosen["xyz"] = xyz_of(history.reindex(demand.product_ids).to_numpy(dtype=float))
    items = with_policies(chosen.join(terms, on="supplier_id"), policies)
    for sources, said in zip(items["setting_sources"], stated, strict=True):
        sources["criticality"] = "product" if said else "default"
    return items


def _guidance_changed_on(site_releases: pd.DataFrame, facility_id: str) -> pd.Timestamp | None:
    """Day from which the site follows the guidance now in force; blank if since ever."""
    rows = site_releases[site_releases["in_force"].astype(bool) & (site_releases["kind"] == "guidance")]
    since = rows.loc[rows["facility_id"] == facility_id, "effective_on"]
    known = since[since > pd.Timestamp(NOT_STATED)]
    return None if known.empty else pd.Timestamp(known.max())


def _spent(items: pd.DataFrame, orders: pd.DataFrame, period_start: pd.Timestamp) -> np.ndarray:
    """Money that this period's orders of each item have taken already [item]."""
    recent = orders[pd.to_datetime(orders["ordered_at"]) >= period_start]
    packs = recent.groupby(["facility_id", "product_id"])["packs"].sum()
    ordered = packs.reindex(pd.MultiIndex.from_frame(items[["facility_id", "product_id"]])).to_numpy(dtype=float)
    return ordered * items["pack_price"].astype(float).to_numpy()


def _history_rules(warehouse: Warehouse, run: PlanningRun) -> dict[tuple[str, str], dict[str, int]]:
    """Cleaning rules that touched the history of (facility_id, product_id), with the number of periods."""
    rows = warehouse.read(CLEANED, CLEANED.c.as_of == run.as_of, CLEANED.c.rule != "")
    sizes = rows.groupby(["facility_id", "product_id", "rule"], as_index=False).size()
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for facility_id, product_id, rule, periods in sizes.to_numpy().tolist():
        counts.setdefault((facility_id, product_id), {})[rule] = int(periods)
    return counts


def _draws(
    demand: SiteDemand, genetics: Genetics, history: pd.Series, touched: dict[tuple[str, str], dict[str, int]]
) -> DemandDraws:
    place = {product_id: row for row, product_id in enumerate(demand.product_ids)}
    steps = shift_words(demand.paths.steps, genetics.rows_at(demand.facility_id))
    item = steps["product_id"].map(place)
    there = item.notna().to_numpy()
    keys = pd.MultiIndex.from_product([[demand.facility_id], demand.product_ids])
    return DemandDraws(
        final=demand.paths.paths,
        baseline_mean=demand.paths.baseline_mean,
        final_mean=demand.paths.mean,
        history_mean_per_day=history.reindex(keys).fillna(0.0).to_numpy(dtype=float),
        genetic_steps=steps[there].assign(item=item[there].astype(int))[GENETIC_STEP_COLUMNS],
        genetic_quantity=demand.paths.quantity[there],
        history_rules=[touched.get((demand.facility_id, product_id), {}) for product_id in demand.product_ids],
    )


def _with_overrides(draws: DemandDraws, demand: SiteDemand, overrides: pd.DataFrame) -> DemandDraws:
    """The draws, which overrides have moved already, with who set what and why beside them."""
    if overrides.empty:
        return draws
    place = {product_id: row for row, product_id in enumerate(demand.product_ids)}
    final = demand.overridden
    steps = final.acting.merge(overrides, on=["override_id", "product_id"], how="left")
    item = steps["product_id"].map(place)
    there = item.notna().to_numpy()
    days = {name: steps[name].dt.strftime("%Y-%m-%d") for name in ("starts_on", "ends_on")}
    told = steps.assign(item=item.astype("Int64"), set_to=steps["value"], **days)[OVERRIDE_COLUMNS]
    return dataclasses.replace(
        draws,
        override_steps=told[there].reset_index(drop=True),
        override_quantity=final.quantity[there],
        without_genetics=final.without_genetics,
    )


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
