"""A scenario against the present plan: the same steps on the same draws, twice, and what differs."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.run_tables import RunTables
from assets.scenarios.changes import Change, ReleaseInForce, Scenario, changed_tables, planned_sites
from assets.scenarios.rebase import rebased_baseline
from assets.sites.reference_demand import known_panel, site_genetics
from assets.sites.site_orders import SiteOrders, latest_count, orders_of_sites
from forecasting.errors import MissingContent
from forecasting.procurement.order.stockout_risk import stockout_risk
from forecasting.procurement.recommend import recommend

KEYS = ["facility_id", "product_id"]
MEASURES = ["units_per_week", "packs", "cost", "stockout_probability"]
COMPARED = [f"{name}_{when}" for name in MEASURES for when in ("now", "then")]
LINE_COLUMNS = [*KEYS, "drug", "currency", *COMPARED, "cause"]
ROUNDING = 1e-9
"""A difference below this share comes from the arithmetic, not from the scenario."""

Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True)
class ScenarioComparison:
    """`lines` (`LINE_COLUMNS`) of every planned site and product, and the run that is the present plan.

    `units_per_week` is the mean demand over the horizon in dose units, `packs` and `cost` are those to order now,
    `stockout_probability` is that after this order (NaN: stock never counted). `cause` names the changes that move the
    line when made alone; blank where nothing differs.
    """

    run: PlanningRun
    lines: pd.DataFrame

    @property
    def moved(self) -> pd.DataFrame:
        """The lines that differ."""
        return self.lines[self.lines["cause"] != ""]


def compare_scenario(scenario: Scenario, tables: RunTables, progress: Progress = lambda *_: None) -> ScenarioComparison:
    """What the sites of the tables' run would need and order under the scenario. No table is written.

    Without any stock count there are no orders to compare: `MissingContent`.
    """
    if latest_count(tables["stock"], tables.run).empty:
        raise MissingContent("stock is missing: the plan has no orders that a scenario could be compared with")
    single = [(change,) for change in scenario.changes] if len(scenario.changes) > 1 else []
    total = (2 + len(single)) * len(planned_sites(tables))
    done = 0

    def planned(changes: Sequence[Change], title: str) -> pd.DataFrame:
        nonlocal done
        rows = []
        for site in _orders(changed_tables(tables, changes), changes):
            rows.append(_lines(site, tables.run))
            done += 1
            progress(f"{title}, {site.facility_id}", done, total)
        return pd.concat(rows, ignore_index=True)

    now = planned((), "now")
    then = planned(scenario.changes, "scenario")
    each = [planned(changes, label) for changes, label in zip(single, scenario.labels, strict=False)] or [then]
    lines = _joined(now, then, tables["products"])
    moved = [_moved(_joined(now, alone, tables["products"])) for alone in each] if scenario.changes else []
    return ScenarioComparison(tables.run, lines.assign(cause=_causes(lines, moved, scenario.labels))[LINE_COLUMNS])


def _orders(tables: RunTables, changes: Sequence[Change]) -> Iterator[SiteOrders]:
    """The sites' orders; the baseline of a site with new guidance is brought to it first."""
    releases, baselines = tables["site_releases"], tables["baseline_forecasts"]
    genetics = site_genetics(tables, known_panel(tables["reference_demand"], tables.run))
    touched = {site for change in changes if isinstance(change, ReleaseInForce) for site in change.facility_ids}
    changed = set(releases.loc[releases["effective_on"] == pd.Timestamp(tables.run.as_of), "facility_id"])
    by_site = dict(genetics.by_site)
    for site in sorted(touched & changed & set(by_site)):
        of_site = baselines["facility_id"] == site
        rows, by_site[site] = rebased_baseline(baselines[of_site], by_site[site])
        baselines = pd.concat([baselines[~of_site], rows], ignore_index=True)
    tables["baseline_forecasts"] = baselines
    return orders_of_sites(tables, dataclasses.replace(genetics, by_site=by_site))


def _lines(site: SiteOrders, run: PlanningRun) -> pd.DataFrame:
    """Of every item of a site: demand a week over the horizon, packs and cost of the order, risk after it."""
    inputs = site.inputs
    items = inputs.items
    ordered = recommend(inputs).lines.set_index("product_id")
    packs = ordered["packs"].reindex(items["product_id"]).fillna(0).to_numpy(dtype=np.int64)
    weeks = run.horizon * run.period.mean_days / 7
    return pd.DataFrame(
        {
            "facility_id": site.facility_id,
            "product_id": items["product_id"].to_numpy(),
            "units_per_week": inputs.demand.final_mean.sum(axis=1) / weeks,
            "packs": packs,
            "cost": packs * items["pack_price"].astype(float).to_numpy(),
            "stockout_probability": stockout_risk(inputs, packs),
        }
    )


def _joined(now: pd.DataFrame, then: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    both = now.merge(then, on=KEYS, how="outer", suffixes=("_now", "_then")).sort_values(KEYS, ignore_index=True)
    # a product that one of the two does not bring to the site is not used there
    nothing = [f"{name}_{when}" for name in ("units_per_week", "packs") for when in ("now", "then")]
    both[nothing] = both[nothing].fillna(0.0)
    about = products.set_index("product_id")[["drug", "currency"]]
    return both.join(about, on="product_id").astype({"packs_now": int, "packs_then": int})


def _moved(lines: pd.DataFrame) -> set[tuple[str, str]]:
    """(site, product) of the lines that differ in demand, packs or risk."""
    differs = np.zeros(len(lines), dtype=bool)
    for name in ("units_per_week", "packs", "stockout_probability"):
        now, then = (lines[f"{name}_{when}"].fillna(0.0).to_numpy(dtype=float) for when in ("now", "then"))
        differs |= np.abs(then - now) > ROUNDING * np.maximum(np.abs(now), 1.0)
    return set(lines.loc[differs, KEYS].itertuples(index=False, name=None))


def _causes(lines: pd.DataFrame, moved: Sequence[set[tuple[str, str]]], labels: Sequence[str]) -> list[str]:
    """Per line the labels of the changes that move it alone; the changes together where none does alone."""
    differing, causes = _moved(lines), []
    for line in lines[KEYS].itertuples(index=False, name=None):
        own = [label for label, lines_moved in zip(labels, moved, strict=True) if line in lines_moved]
        causes.append(("; ".join(own) or "the changes together") if line in differing else "")
    return causes
