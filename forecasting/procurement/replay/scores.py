"""What came of each rule in a replay: service, stock, waste and cost; and what stock it takes to serve as well."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from forecasting.arrays import Integers, take
from forecasting.demand.forecast import PanelForecast
from forecasting.procurement.replay.rules import par_rule, peak_rule, plan_rule
from forecasting.procurement.replay.setup import ReplaySetup
from forecasting.procurement.replay.simulation import ORDER_DAYS, Rule, SimulatedShelf
from forecasting.terms import ReplayRule

RUN_IN_WEEKS = 6
"""Weeks at the start that are simulated and not scored: the opening stock is no rule's own choice."""

FACTORS = (0.5, 0.65, 0.8, 0.9, 1.0, 1.15, 1.3, 1.6, 2.0, 2.5)
"""Each simple rule is also tried with all its levels so many times as high, to see what service costs with it."""

PLAN_FACTORS = (0.9, 1.0, 1.1, 1.2)
"""The plan is tried with demand so many times as high."""

ALL = "all"
MOVED_BY_GENOTYPE = "moved by genotype"

MEASURES = (
    *("fill_rate", "stockout_weeks", "stockout_share", "mean_stock_value", "mean_days_on_hand"),
    *("expired_value", "orders", "lines", "cost"),
)
SCORE_COLUMNS = (
    *("segment", "rule", "level_factor", *MEASURES, "same_service_value"),
    *("items", "priced_items", "stated_pars", "weeks"),
)

Row = dict[str, object]


def replay(
    setup: ReplaySetup,
    without_genetics: Mapping[int, PanelForecast],
    with_genetics: Mapping[int, PanelForecast],
    moved: Integers,
    *,
    seed: int,
) -> pd.DataFrame:
    """Every rule on the same past: `SCORE_COLUMNS`, one row a segment, rule and level factor.

    `without_genetics` and `with_genetics` are the forecasts of the time by the number of periods that had ended;
    `with_genetics` need only speak of the items `moved` (row numbers): elsewhere the two are one.
    """
    moved = np.sort(moved)
    rows = [
        *_simple_rows(setup, moved, ReplayRule.PAR, par_rule),
        *_simple_rows(setup, moved, ReplayRule.PEAK, peak_rule),
    ]
    blind = setup.simulate(plan_rule(setup, without_genetics, seed=seed))
    rows += _rows(setup, blind, moved, ReplayRule.BLIND, 1.0)
    planned = blind
    for factor in PLAN_FACTORS if len(moved) else ():
        part = setup.take(moved)
        informed = part.simulate(plan_rule(part, with_genetics, seed=seed, factor=factor))
        if factor == 1:
            planned = _replaced(blind, moved, informed)
        else:
            scaled = part.simulate(plan_rule(part, without_genetics, seed=seed, factor=factor))
            rows.append(_row(part, informed, MOVED_BY_GENOTYPE, ReplayRule.PLAN, factor))
            rows.append(_row(part, scaled, MOVED_BY_GENOTYPE, ReplayRule.BLIND, factor))
    rows += _rows(setup, planned, moved, ReplayRule.PLAN, 1.0)
    return _with_same_service(pd.DataFrame(rows, columns=list(SCORE_COLUMNS)))


def _simple_rows(
    setup: ReplaySetup, moved: Integers, name: ReplayRule, rule: Callable[[ReplaySetup, float], Rule]
) -> Iterator[Row]:
    """The rows of a rule with its levels at every factor."""
    for factor in FACTORS:
        yield from _rows(setup, setup.simulate(rule(setup, factor)), moved, name, factor)


def _rows(setup: ReplaySetup, shelf: SimulatedShelf, moved: Integers, name: ReplayRule, factor: float) -> list[Row]:
    """The row of all items, and that of the moved ones if there are any."""
    rows = [_row(setup, shelf, ALL, name, factor)]
    if len(moved):
        rows.append(_row(setup.take(moved), take(shelf, moved), MOVED_BY_GENOTYPE, name, factor))
    return rows


def _row(setup: ReplaySetup, shelf: SimulatedShelf, segment: str, name: ReplayRule, factor: float) -> Row:
    head = {"segment": segment, "rule": name.value, "level_factor": factor}
    return head | measures(setup, shelf) | {"weeks": setup.weeks - _run_in_weeks(setup)}


def _replaced(shelf: SimulatedShelf, rows: Integers, part: SimulatedShelf) -> SimulatedShelf:
    """The shelves of all items, with those of some in their place."""
    arrays = {field.name: getattr(shelf, field.name).copy() for field in dataclasses.fields(SimulatedShelf)}
    for name, array in arrays.items():
        array[rows] = getattr(part, name)
    return SimulatedShelf(**arrays)


def _with_same_service(scores: pd.DataFrame) -> pd.DataFrame:
    """With what each rule at factor 1 would need in stock and waste to meet as much demand as the plan does."""
    unscaled = scores["level_factor"] == 1
    plan = scores[unscaled & (scores["rule"] == ReplayRule.PLAN.value)].set_index("segment")["fill_rate"]
    keys = scores[["segment", "rule"]].astype(str).itertuples(index=False, name=None)
    needed = [
        burden_at_fill_rate(scores, segment, rule, float(plan[segment])) if is_unscaled else np.nan
        for (segment, rule), is_unscaled in zip(keys, unscaled, strict=True)
    ]
    return scores.assign(same_service_value=needed)


def _run_in_weeks(setup: ReplaySetup) -> int:
    return min(RUN_IN_WEEKS, setup.weeks // 2)


def measures(setup: ReplaySetup, shelf: SimulatedShelf) -> Row:
    """The measures of a simulated past, without its first weeks.

    fill_rate is the share of dose units that the shelf served, stockout_weeks the weeks of items with demand that was
    not, stockout_share these over all weeks of items with demand; mean_stock_value at the end of the days,
    expired_value and cost (of what was ordered) in the currency of the prices, over the `priced_items`;
    mean_days_on_hand the mean over items of mean stock over mean demand a day; orders are those of a site to a
    supplier on a day, lines their products.
    """
    first = _run_in_weeks(setup)
    scored = slice(first * ORDER_DAYS, None)
    demand, unmet, stock = setup.demand[:, scored], shelf.unmet[:, scored], shelf.stock[:, scored].mean(axis=1)
    packs = shelf.packs[:, first:]
    by_week = (len(demand), -1, ORDER_DAYS)
    with_demand, short = (array.reshape(by_week).sum(axis=2) > 0 for array in (demand, unmet))
    price = pd.to_numeric(setup.items["pack_price"]).to_numpy(dtype=float, na_value=np.nan)
    priced = np.isfinite(price)
    unit_price = np.where(priced, price, 0.0) / setup.terms.pack_size

    def value(quantity: np.ndarray) -> float:
        return float(quantity @ unit_price) if priced.any() else np.nan

    daily = demand.mean(axis=1)
    used = daily > 0
    return {
        "fill_rate": 1 - float(unmet.sum()) / max(float(demand.sum()), 1.0),
        "stockout_weeks": int(short.sum()),
        "stockout_share": float(short.sum()) / max(int(with_demand.sum()), 1),
        "mean_stock_value": value(stock),
        "mean_days_on_hand": float((stock[used] / daily[used]).mean()) if used.any() else np.nan,
        "expired_value": value(shelf.expired[:, scored].sum(axis=1)),
        "orders": _orders(setup, packs),
        "lines": int((packs > 0).sum()),
        "cost": value((packs * setup.terms.pack_size[:, None]).sum(axis=1)),
        "items": len(demand),
        "priced_items": int(priced.sum()),
        "stated_pars": int(setup.par_is_stated.sum()),
    }


def _orders(setup: ReplaySetup, packs: Integers) -> int:
    """Orders of a site to a supplier in a week with at least one line."""
    group = setup.items.groupby(["facility_id", "supplier_id"], dropna=False, sort=False).ngroup().to_numpy()
    item, week = np.nonzero(packs)
    return len(np.unique(group[item] * packs.shape[1] + week))


def burden_at_fill_rate(scores: pd.DataFrame, segment: str, rule: str, fill_rate: float) -> float:
    """Mean stock value plus waste that a rule would need to reach a fill rate, from its tries with other levels.

    Between two tries linear in the fill rate; NaN where none of them reaches it, or all do.

    >>> tries = pd.DataFrame({"segment": "all", "rule": "par_levels", "fill_rate": [0.9, 1.0],
    ...     "mean_stock_value": [10.0, 20.0], "expired_value": [0.0, 2.0]})
    >>> round(burden_at_fill_rate(tries, "all", "par_levels", 0.95), 6)
    16.0
    """
    tries = scores[(scores["segment"] == segment) & (scores["rule"] == rule)].sort_values("fill_rate")
    burden = tries["mean_stock_value"] + tries["expired_value"]
    return float(np.interp(fill_rate, tries["fill_rate"], burden, left=np.nan, right=np.nan))
