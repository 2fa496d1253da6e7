"""What each site's orders answer to: its items, draws, stock, orders on their way, settings and limits."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.sites.changed_guidance import guidance_changed_on
from assets.sites.genetics import Genetics
from assets.sites.reference_demand import shift_words
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
"""How variable an item's use is, is seen over so many last periods."""

RECENT_PERIODS = 13
"""What an explanation calls history: the mean of so many last periods."""


class Tables(Protocol):
    """Frames by the name of their table."""

    def __getitem__(self, name: str, /) -> pd.DataFrame:
        """The rows of one."""


@dataclasses.dataclass(frozen=True)
class SiteOrders:
    """One site: its demand, what its orders answer to, and findings on its shortages."""

    facility_id: str
    demand: SiteDemand
    inputs: OrderInputs
    problems: pd.DataFrame


def orders_of_sites(warehouse: Warehouse, run: PlanningRun, tables: Tables, genetics: Genetics) -> Iterator[SiteOrders]:
    """Every site with a baseline forecast, from tables as the run saw them; only what people decided is read anew."""
    lots, reference, lead_times = latest_count(tables["stock"], run), tables["reference_demand"], tables["lead_times"]
    orders = _on_order(warehouse, run, tables["open_orders"], lead_times)
    with warehouse.engine.connect() as connection:
        standing = standing_packs(connection, run.as_of)
    history = _history_per_day(reference, run)
    touched = _history_rules(warehouse, run)
    since = _since_count(run, lots, tables["clean_demand"], tables["receipts"], tables["products"])
    short = ShortageFacts(tables["shortages"], tables["alternatives"], tables["prevalence"])
    for facility_id, rows in tables["baseline_forecasts"].groupby("facility_id"):
        site = str(facility_id)
        overrides = overrides_at(tables["acting_overrides"], site)
        demand = site_demand(run, site, rows, genetics, overrides)
        items = _items(site, demand, tables["products"], tables["suppliers"], tables["policies"], reference)
        releases = tables["site_releases"]
        items["guidance_changed_on"] = guidance_changed_on(warehouse, run, releases, site, items["drug"])
        draws = _with_overrides(_draws(demand, genetics, history, touched), demand, overrides)
        items, draws, said = with_shortages(run, items, draws, demand.starts, short, genetics.rows_at(site))
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
        yield SiteOrders(site, demand, inputs, said)


def latest_count(stock: pd.DataFrame, run: PlanningRun) -> pd.DataFrame:
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
    # a map over no rows keeps the type of text
    units = receipts["product_id"].map(pack_size).astype(float)
    arrived = receipts.assign(quantity=receipts["packs"].astype(float) * units)
    known = arrived[arrived["received_at"] <= pd.Timestamp(run.as_of)]
    return moves_since_count(lots, history, known, _history_per_day(clean, run), period=run.period, as_of=run.as_of)


def _on_order(
    warehouse: Warehouse, run: PlanningRun, open_orders: pd.DataFrame, lead_times: pd.DataFrame
) -> pd.DataFrame:
    """Open orders and decided recommendations, which arrive a mean lead time after their order day."""
    with warehouse.engine.connect() as connection:
        decided = ordered_lines(connection, run.as_of)
    known = open_orders[open_orders["ordered_at"] <= pd.Timestamp(run.as_of)]
    # an inventory system may hand an exported line back as the open order it became
    decided = decided[~decided["recommendation_id"].isin(set(known["order_id"]))]
    days = decided["product_id"].map(lead_times.set_index("product_id")["mean_days"]).astype(float)
    expected = decided["order_by"] + pd.to_timedelta(days.fillna(0.0), unit="D")
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
