"""What came of each rule in a replay: service, stock, waste and cost; and what stock it takes to serve as well."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from forecasting.demand.forecast import PanelForecast
from forecasting.procurement.arrays import Integers
from forecasting.procurement.replay.rules import par_rule, peak_rule, plan_rule
from forecasting.procurement.replay.setup import Stage
from forecasting.procurement.replay.simulation import ORDER_DAYS, Rule, Walked, walk
from forecasting.terms import ReplayRule

RUN_IN_WEEKS = 6
"""Weeks at the start that are lived through and not scored: the opening stock is no rule's own choice."""

FACTORS = (0.5, 0.65, 0.8, 0.9, 1.0, 1.15, 1.3, 1.6, 2.0, 2.5)
"""Each simple rule is also tried with all its levels so many times as high, to see what service costs with it."""

PLAN_FACTORS = (0.9, 1.0, 1.1, 1.2)

ALL = "all"
MOVED = "moved by genotype"

MEASURES = (
    "fill_rate",
    "stockout_weeks",
    "stockout_share",
    "mean_stock_value",
    "mean_days_on_hand",
    "expired_value",
    "orders",
    "lines",
    "cost",
)
SCORE_COLUMNS = (
    "segment",
    "rule",
    "level_factor",
    *MEASURES,
    "same_service_value",
    "items",
    "priced_items",
    "stated_pars",
    "weeks",
)


def replay(
    stage: Stage,
    blind: Mapping[int, PanelForecast],
    informed: Mapping[int, PanelForecast],
    moved: Integers,
    *,
    seed: int,
) -> pd.DataFrame:
    """Every rule on the same past: `SCORE_COLUMNS`, one row a segment, rule and level factor.

    `blind` and `informed` are the forecasts of the time by the number of periods that were over, without and with the
    genetic step; `informed` need only speak of the items `moved` (row numbers): elsewhere the two are one.
    """
    rows = [
        *_tried(stage, moved, ReplayRule.PAR, {factor: par_rule(stage, factor) for factor in FACTORS}),
        *_tried(stage, moved, ReplayRule.PEAK, {factor: peak_rule(stage, factor) for factor in FACTORS}),
    ]
    without = _walked(stage, plan_rule(stage, blind, seed=seed))
    rows += _scored(stage, without, moved, ReplayRule.BLIND, 1.0)
    planned = without
    if len(moved):
        part = stage.take(moved)
        for factor in PLAN_FACTORS:
            with_genetics = _walked(part, plan_rule(part, informed, seed=seed, factor=factor))
            rows += [_row(part, with_genetics, MOVED, ReplayRule.PLAN, factor)] if factor != 1 else []
            if factor == 1:
                planned = _with_rows(without, with_genetics, np.sort(moved))
            else:
                scaled = _walked(part, plan_rule(part, blind, seed=seed, factor=factor))
                rows.append(_row(part, scaled, MOVED, ReplayRule.BLIND, factor))
    rows += _scored(stage, planned, moved, ReplayRule.PLAN, 1.0)
    return _with_same_service(pd.DataFrame(rows, columns=list(SCORE_COLUMNS)))


def _with_same_service(scores: pd.DataFrame) -> pd.DataFrame:
    """Each rule as it is told what stock and waste it would need to meet as much demand as the plan does."""
    as_it_is = scores["level_factor"] == 1
    plan = scores[as_it_is & (scores["rule"] == ReplayRule.PLAN.value)].set_index("segment")["fill_rate"]
    keys = scores[["segment", "rule"]].astype(str).itertuples(index=False, name=None)
    needed = [
        at_fill_rate(scores, segment, rule, float(plan[segment])) if yes else np.nan
        for (segment, rule), yes in zip(keys, as_it_is, strict=True)
    ]
    return scores.assign(same_service_value=needed)


def _walked(stage: Stage, rule: Rule) -> Walked:
    return walk(stage.demand, stage.terms, stage.opening, rule)


def _tried(stage: Stage, moved: Integers, name: ReplayRule, rules: Mapping[float, Rule]) -> list[dict[str, object]]:
    return [row for factor, rule in rules.items() for row in _scored(stage, _walked(stage, rule), moved, name, factor)]


def _scored(stage: Stage, walked: Walked, moved: Integers, name: ReplayRule, factor: float) -> list[dict[str, object]]:
    found = [_row(stage, walked, ALL, name, factor)]
    if len(moved):
        found.append(_row(stage.take(moved), _rows_of(walked, np.sort(moved)), MOVED, name, factor))
    return found


def _rows_of(walked: Walked, rows: Integers) -> Walked:
    return Walked(**{field.name: getattr(walked, field.name)[rows] for field in dataclasses.fields(Walked)})


def _with_rows(walked: Walked, part: Walked, rows: Integers) -> Walked:
    """The walk of all items with that of some in their place."""
    arrays = {field.name: getattr(walked, field.name).copy() for field in dataclasses.fields(Walked)}
    for name, array in arrays.items():
        array[rows] = getattr(part, name)
    return Walked(**arrays)


def _row(stage: Stage, walked: Walked, segment: str, name: ReplayRule, factor: float) -> dict[str, object]:
    head = {"segment": segment, "rule": name.value, "level_factor": factor}
    return head | measured(stage, walked) | {"weeks": stage.weeks - _run_in(stage)}


def _run_in(stage: Stage) -> int:
    return min(RUN_IN_WEEKS, stage.weeks // 2)


def measured(stage: Stage, walked: Walked) -> dict[str, object]:
    """The measures of a walk, without its first weeks.

    fill_rate is the share of dose units that the shelf served, stockout_weeks the weeks of items with demand that was
    not, stockout_share these over all weeks of items with demand; mean_stock_value at the end of the days,
    expired_value and cost (of what was ordered) in the currency of the prices, over the `priced_items`;
    mean_days_on_hand the mean over items of mean stock over mean demand a day; orders are those of a site to a
    supplier on a day, lines their products.
    """
    first = _run_in(stage)
    demand, unmet, expired, stock = (
        array[:, first * ORDER_DAYS :] for array in (stage.demand, walked.unmet, walked.expired, walked.stock)
    )
    packs = walked.packs[:, first:]
    by_week = (len(demand), -1, ORDER_DAYS)
    asked, short = (array.reshape(by_week).sum(axis=2) > 0 for array in (demand, unmet))
    price = pd.to_numeric(stage.items["pack_price"]).to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(price)
    unit_price = np.where(known, price, 0.0) / stage.terms.pack_size

    def value(quantity: np.ndarray) -> float:
        return float(quantity @ unit_price) if known.any() else np.nan

    daily = demand.mean(axis=1)
    used = daily > 0
    return {
        "fill_rate": 1 - float(unmet.sum()) / max(float(demand.sum()), 1.0),
        "stockout_weeks": int(short.sum()),
        "stockout_share": float(short.sum()) / max(int(asked.sum()), 1),
        "mean_stock_value": value(stock.mean(axis=1)),
        "mean_days_on_hand": float((stock.mean(axis=1)[used] / daily[used]).mean()) if used.any() else np.nan,
        "expired_value": value(expired.sum(axis=1)),
        "orders": _orders(stage, packs),
        "lines": int((packs > 0).sum()),
        "cost": value((packs * stage.terms.pack_size[:, None]).sum(axis=1)),
        "items": len(demand),
        "priced_items": int(known.sum()),
        "stated_pars": int(stage.par_given.sum()),
    }


def _orders(stage: Stage, packs: Integers) -> int:
    """Orders of a site to a supplier in a week with at least one line."""
    group = stage.items.groupby(["facility_id", "supplier_id"], dropna=False, sort=False).ngroup().to_numpy()
    item, week = np.nonzero(packs)
    return len(np.unique(group[item] * packs.shape[1] + week))


def at_fill_rate(scores: pd.DataFrame, segment: str, rule: str, fill_rate: float) -> float:
    """Mean stock value plus waste that a rule would need to reach a fill rate, from its tries with other levels.

    Between two tries linear in the fill rate; NaN where none of them reaches it, or all do.

    >>> tries = pd.DataFrame({"segment": "all", "rule": "par_levels", "fill_rate": [0.9, 1.0],
    ...     "mean_stock_value": [10.0, 20.0], "expired_value": [0.0, 2.0]})
    >>> round(at_fill_rate(tries, "all", "par_levels", 0.95), 6)
    16.0
    """
    chosen = scores[(scores["segment"] == segment) & (scores["rule"] == rule)].sort_values("fill_rate")
    burden = chosen["mean_stock_value"] + chosen["expired_value"]
    return float(np.interp(fill_rate, chosen["fill_rate"], burden, left=np.nan, right=np.nan))
