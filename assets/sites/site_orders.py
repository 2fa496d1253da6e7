"""Inputs of each site's orders: its items, draws, stock, open orders, settings and limits."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.run_tables import RunTables
from assets.sites.changed_guidance import guidance_changed_on
from assets.sites.genetics import Genetics
from assets.sites.reference_demand import with_guidance_terms
from assets.sites.shortages import ShortageFacts, with_shortages
from assets.sites.site_demand import SiteDemand, overrides_at, site_demand
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.policy.policy_rows import limits_at, with_policies
from forecasting.procurement.policy.segments import abc_of, xyz_of
from forecasting.procurement.protection_demand import GENETIC_STEP_COLUMNS, OVERRIDE_COLUMNS, DemandDraws
from forecasting.procurement.supply.open_orders import COLUMNS as ORDER_COLUMNS
from forecasting.procurement.supply.stock_since_count import moves_since_count
from warehouse.publication import ordered_lines, standing_packs
from warehouse.releases import releases_at
from warehouse.schema.results import CleanDemand

CLEANED: Any = CleanDemand.__table__
SEGMENT_PERIODS = 52
"""The variability of an item's use is that of the last 52 periods: a year of weeks, with every season once."""

RECENT_PERIODS = 13
"""The history that an explanation shows is the mean of the last 13 periods: a quarter of weeks."""


ORDER_INPUTS = (
    *("reference_demand", "baseline_forecasts", "acting_overrides", "prevalence", "site_releases", "lead_times"),
    *("products", "suppliers", "stock", "open_orders", "receipts", "clean_demand", "policies", "shortages"),
    "alternatives",
)
"""Tables that `orders_of_sites` reads."""


@dataclasses.dataclass(frozen=True)
class SiteOrders:
    """One site: its demand, the inputs of its orders, and findings on its shortages."""

    facility_id: str
    demand: SiteDemand
    inputs: OrderInputs
    problems: pd.DataFrame


def orders_of_sites(tables: RunTables, genetics: Genetics) -> Iterator[SiteOrders]:
    """Every site with a baseline forecast, from tables as the run saw them; only what people decided is read anew."""
    run, warehouse = tables.run, tables.warehouse
    lots, reference, lead_times = latest_count(tables["stock"], run), tables["reference_demand"], tables["lead_times"]
    orders = _on_order(tables)
    with warehouse.engine.connect() as connection:
        standing = standing_packs(connection, run.as_of)
    history = _history_per_day(reference, run)
    cleaning_rules = _cleaning_rules(warehouse, run)
    since = _since_count(tables, lots)
    short = ShortageFacts(tables["shortages"], tables["alternatives"], tables["prevalence"])
    for facility_id, rows in tables["baseline_forecasts"].groupby("facility_id"):
        site = str(facility_id)
        overrides = overrides_at(tables["acting_overrides"], site)
        demand = site_demand(run, site, rows, genetics, overrides)
        items = _items(site, demand, tables)
        items["guidance_changed_on"] = guidance_changed_on(tables, site, items["drug"])
        draws = _with_overrides(_draws(demand, genetics, history, cleaning_rules), demand, overrides)
        items, draws, findings = with_shortages(run, items, draws, demand.starts, short, genetics.rows_at(site))
        inputs = OrderInputs(
            items=items,
            demand=draws,
            period=run.period,
            period_starts=[start.date() for start in demand.starts],
            as_of=run.as_of,
            lots=lots[lots["facility_id"] == site],
            moves_since_count=since[since["facility_id"] == site],
            open_orders=orders[orders["facility_id"] == site],
            lead_times=lead_times,
            draws_seed=run.seed,
            standing_packs=standing,
            limits=limits_at(site, items, tables["policies"], _spent(items, orders, demand.starts[0])),
            context={
                "run_id": run.run_id,
                "releases": releases_at(run.releases, site),
                "with_genetics": run.with_genetics,
            },
        )
        yield SiteOrders(site, demand, inputs, findings)


def latest_count(stock: pd.DataFrame, run: PlanningRun) -> pd.DataFrame:
    """All lots of each item's last count that was made up to the end of the origin day."""
    known = stock[stock["counted_at"] < pd.Timestamp(run.as_of) + pd.Timedelta(days=1)]
    newest = known.groupby(["facility_id", "product_id"])["counted_at"].transform("max")
    return known[known["counted_at"] == newest]


def _since_count(tables: RunTables, lots: pd.DataFrame) -> pd.DataFrame:
    """What left and entered each shelf since its count; the file's own quantity wins over the cleaned one."""
    run, clean, receipts = tables.run, tables["clean_demand"], tables["receipts"]
    history = clean.assign(quantity=clean["quantity_raw"].fillna(clean["quantity"]))
    pack_size = tables["products"].set_index("product_id")["pack_size"].astype(float)
    # a map over no rows keeps the type of text
    units = receipts["product_id"].map(pack_size).astype(float)
    received = receipts.assign(quantity=receipts["packs"].astype(float) * units)
    known = received[received["received_at"] <= pd.Timestamp(run.as_of)]
    return moves_since_count(lots, history, known, _history_per_day(clean, run), period=run.period, as_of=run.as_of)


def _on_order(tables: RunTables) -> pd.DataFrame:
    """Open orders and decided recommendations, which arrive a mean lead time after their order day."""
    as_of, open_orders = tables.run.as_of, tables["open_orders"]
    with tables.warehouse.engine.connect() as connection:
        decided = ordered_lines(connection, as_of)
    known = open_orders[open_orders["ordered_at"] <= pd.Timestamp(as_of)]
    # an inventory system may hand an exported line back as the open order it became
    decided = decided[~decided["recommendation_id"].isin(set(known["order_id"]))]
    days = decided["product_id"].map(tables["lead_times"].set_index("product_id")["mean_days"]).astype(float)
    sent = decided["status"].isin(["exported", "acknowledged"])
    lines = decided.assign(
        ordered_at=decided["order_by"],
        expected_at=decided["order_by"] + pd.to_timedelta(days.fillna(0.0), unit="D"),
        kind=np.where(sent, "exported recommendation", "approved recommendation"),
        id=decided["recommendation_id"],
    )
    orders = known.assign(kind="open order", id=known["order_id"])[ORDER_COLUMNS]
    return pd.concat([orders, lines[ORDER_COLUMNS]], ignore_index=True) if len(lines) else orders


def _history_per_day(reference: pd.DataFrame, run: PlanningRun) -> pd.Series:
    """Mean dispensed per day over the last known periods, by (facility_id, product_id)."""
    recent = reference.dropna(subset="quantity").groupby(["facility_id", "product_id"])["quantity"]
    return recent.apply(lambda values: values.tail(RECENT_PERIODS).mean()) / run.period.mean_days


def _items(facility_id: str, demand: SiteDemand, tables: RunTables) -> pd.DataFrame:
    """The site's items with the terms of product and supplier, segments and policies."""
    products = tables["products"].set_index("product_id").loc[list(demand.product_ids)].reset_index()
    is_stated = products["criticality"].notna()
    products = products.assign(facility_id=facility_id, criticality=products["criticality"].fillna("standard"))
    terms = tables["suppliers"].set_index("supplier_id")[
        ["order_weekdays", "order_cutoff", "closed_dates", "minimum_order_value"]
    ]
    price = products["pack_price"].astype(float) / products["pack_size"].astype(float)
    reference = tables["reference_demand"]
    history = reference[reference["facility_id"] == facility_id].pivot_table(
        index="product_id", columns="period_start", values="quantity"
    )
    recent = history.iloc[:, -SEGMENT_PERIODS:].reindex(demand.product_ids).to_numpy(dtype=float)
    segments = {"abc": abc_of(demand.paths.mean.mean(axis=1) * price.to_numpy()), "xyz": xyz_of(recent)}
    items = with_policies(products.assign(**segments).join(terms, on="supplier_id"), tables["policies"])
    for sources, stated in zip(items["setting_sources"], is_stated, strict=True):
        sources["criticality"] = "product" if stated else "default"
    return items


def _spent(items: pd.DataFrame, orders: pd.DataFrame, period_start: pd.Timestamp) -> np.ndarray:
    """Money that this period's orders of each item have taken already [item]."""
    recent = orders[pd.to_datetime(orders["ordered_at"]) >= period_start]
    packs = recent.groupby(["facility_id", "product_id"])["packs"].sum()
    ordered = packs.reindex(pd.MultiIndex.from_frame(items[["facility_id", "product_id"]])).to_numpy(dtype=float)
    return ordered * items["pack_price"].astype(float).to_numpy()


def _cleaning_rules(warehouse: Warehouse, run: PlanningRun) -> dict[tuple[str, str], dict[str, int]]:
    """Cleaning rules that touched the history of (facility_id, product_id), with the number of periods."""
    rows = warehouse.read(CLEANED, CLEANED.c.as_of == run.as_of, CLEANED.c.rule != "")
    sizes = rows.groupby(["facility_id", "product_id", "rule"], as_index=False).size()
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for facility_id, product_id, rule, periods in sizes.to_numpy().tolist():
        counts.setdefault((facility_id, product_id), {})[rule] = int(periods)
    return counts


def _draws(
    demand: SiteDemand, genetics: Genetics, history: pd.Series, cleaning_rules: dict[tuple[str, str], dict[str, int]]
) -> DemandDraws:
    place = {product_id: row for row, product_id in enumerate(demand.product_ids)}
    steps = with_guidance_terms(demand.paths.steps, genetics.rows_at(demand.facility_id))
    item = steps["product_id"].map(place)
    is_item = item.notna().to_numpy()
    keys = pd.MultiIndex.from_product([[demand.facility_id], demand.product_ids])
    return DemandDraws(
        final=demand.paths.paths,
        baseline_mean=demand.paths.baseline_mean,
        final_mean=demand.paths.mean,
        history_mean_per_day=history.reindex(keys).fillna(0.0).to_numpy(dtype=float),
        genetic_steps=steps[is_item].assign(item=item[is_item].astype(int))[GENETIC_STEP_COLUMNS],
        genetic_quantity=demand.paths.quantity[is_item],
        history_rules=[cleaning_rules.get((demand.facility_id, product_id), {}) for product_id in demand.product_ids],
    )


def _with_overrides(draws: DemandDraws, demand: SiteDemand, overrides: pd.DataFrame) -> DemandDraws:
    """The draws, which overrides have moved already, with the people's settings and reasons beside them."""
    if overrides.empty:
        return draws
    place = {product_id: row for row, product_id in enumerate(demand.product_ids)}
    final = demand.overridden
    steps = final.acting.merge(overrides, on=["override_id", "product_id"], how="left")
    item = steps["product_id"].map(place)
    is_item = item.notna().to_numpy()
    days = {name: steps[name].dt.strftime("%Y-%m-%d") for name in ("starts_on", "ends_on")}
    override_steps = steps.assign(item=item.astype("Int64"), set_to=steps["value"], **days)[OVERRIDE_COLUMNS]
    return dataclasses.replace(
        draws,
        override_steps=override_steps[is_item].reset_index(drop=True),
        override_quantity=final.quantity[is_item],
        without_genetics=final.without_genetics,
    )
