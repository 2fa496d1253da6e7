"""How an item is stocked: its policy's kind and money, and the levels that follow from them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from forecasting.arrays import Booleans, Floats, Integers
from forecasting.errors import InvalidInput
from forecasting.procurement.packs import MILLIONTHS, THOUSANDTHS, as_decimal, to_thousandths, treatment_days
from forecasting.procurement.policy.least_cost import newsvendor_level, reorder_levels
from forecasting.procurement.policy.policy_rows import SETTINGS
from forecasting.procurement.policy.service_level import PolicyDefaults
from forecasting.terms import Criticality, PolicyKind

NO_PAR = -1
DAYS_A_YEAR = 365
CRITICALITY_RANKS = {Criticality.CRITICAL.value: 0, Criticality.IMPORTANT.value: 1, Criticality.STANDARD.value: 2}
"""Which class limits serve first."""

CRITICALITY_WEIGHTS = np.array([4.0, 2.0, 1.0])
"""By rank: how much more a missing treatment-day of it counts. A choice, not a measurement."""

ITEM_SETTINGS = [*SETTINGS, "criticality", "abc", "xyz"]
"""What is set per item, in the order in which a line names it."""


@dataclasses.dataclass(frozen=True)
class Stocking:
    """Arrays [item].

    `kind` holds `PolicyKind` values. `par_level` in thousandths of a dose unit (`NO_PAR` without one); `order_cost`: an
    order's fixed cost over that of holding a dose unit for one review, in thousandths; `shortage_cost`, `waste_cost`
    and `holding_cost` of a dose unit that is missing, that expires and that is left over, in millionths of one unit of
    money; `has_shortage_cost`: whether one was stated; `days_per_unit` in millionths of a treatment-day; `rank` by
    criticality.
    """

    kind: np.ndarray
    par_level: Integers
    order_cost: Integers
    shortage_cost: Integers
    waste_cost: Integers
    holding_cost: Integers
    has_shortage_cost: Booleans
    days_per_unit: Integers
    rank: Integers


@dataclasses.dataclass(frozen=True)
class Levels:
    """Per item, thousandths of a dose unit: an order is placed below `reorder_point` and raises stock to `order_to`."""

    reorder_point: Integers
    order_to: Integers


def complete_stocking(items: pd.DataFrame, defaults: PolicyDefaults) -> pd.DataFrame:
    """The items with kind, criticality, holding rate and setting_sources filled; what is missing for a kind undoes it.

    A kind whose inputs are missing (a par level; an order cost and a price) falls back to order_up_to, and its source
    says so.
    """
    usual = {
        "policy_kind": defaults.policy_kind.value,
        "criticality": defaults.criticality.value,
        "holding_rate_per_year": defaults.holding_rate_per_year,
    }
    sources = [dict(stated) if isinstance(stated, Mapping) else {} for stated in items["setting_sources"]]
    for name, value in usual.items():
        items[name] = items[name].astype(object).where(items[name].notna(), value)
    kind = items["policy_kind"].astype(str)
    lacking = {
        PolicyKind.PAR.value: ("par level", items["par_level"].isna().to_numpy()),
        PolicyKind.REORDER_POINT.value: (
            "order cost, holding rate or price",
            items["fixed_order_cost"].isna().to_numpy()
            | ~price_known(items)
            | ~(_numbers(items["holding_rate_per_year"]) > 0),
        ),
    }
    for stated, (input_name, missing) in lacking.items():
        for row in np.flatnonzero((kind == stated).to_numpy() & missing):
            items.loc[row, "policy_kind"] = PolicyKind.ORDER_UP_TO.value
            sources[row]["policy_kind"] = f"default: {stated} without {input_name}"
    return items.assign(setting_sources=pd.Series(sources, index=items.index, dtype=object))


def price_known(items: pd.DataFrame) -> Booleans:
    """Whether a pack has a price above zero [item]; zero is what systems store when they do not know."""
    return np.asarray(_numbers(items["pack_price"]) > 0)


def order_up_to_alone(items: int) -> Stocking:
    """The stocking of items that are all ordered up to their target's level.

    >>> order_up_to_alone(1).kind.tolist()
    ['order_up_to']
    """
    none = np.zeros(items, dtype=np.int64)
    return Stocking(
        kind=np.full(items, PolicyKind.ORDER_UP_TO.value, dtype=object),
        par_level=none + NO_PAR,
        order_cost=none,
        shortage_cost=none,
        waste_cost=none,
        holding_cost=none,
        has_shortage_cost=none > 0,
        days_per_unit=none + MILLIONTHS,
        rank=none + CRITICALITY_RANKS[Criticality.STANDARD.value],
    )


def read_stocking(items: pd.DataFrame, pack_size: Integers, target: Integers, review_days: Floats) -> Stocking:
    """The stocking of completed items; raises `InvalidInput` for a kind or criticality that is not known."""
    _known(items["policy_kind"], {kind.value for kind in PolicyKind}, "policy_kind")
    _known(items["criticality"], set(CRITICALITY_RANKS), "criticality")
    price = np.nan_to_num(_numbers(items["pack_price"])) * THOUSANDTHS / pack_size
    held = price * _numbers(items["holding_rate_per_year"]) * review_days / DAYS_A_YEAR
    shortage = _numbers(items["shortage_cost"])
    stated = np.isfinite(shortage) & (price > 0)
    fixed = np.nan_to_num(_numbers(items["fixed_order_cost"]))
    pars = [NO_PAR / THOUSANDTHS if pd.isna(value) else as_decimal(value) for value in items["par_level"]]
    strength, daily = _numbers(items["strength_value"]), _numbers(items["usual_daily_dose"])
    return Stocking(
        kind=items["policy_kind"].astype(str).to_numpy(dtype=object),
        par_level=to_thousandths(pars),
        order_cost=_whole(np.divide(fixed, held, out=np.zeros_like(held), where=held > 0) * THOUSANDTHS),
        shortage_cost=np.where(stated, _whole(np.nan_to_num(shortage) * MILLIONTHS), target),
        waste_cost=np.where(stated, _whole(price * MILLIONTHS), MILLIONTHS - target),
        holding_cost=np.where(stated, _whole(held * MILLIONTHS), 0),
        has_shortage_cost=stated,
        days_per_unit=np.array([treatment_days(*pair) for pair in zip(strength, daily, strict=True)], dtype=np.int64),
        rank=np.array([CRITICALITY_RANKS[str(name)] for name in items["criticality"]], dtype=np.int64),
    )


def levels_of(
    stocking: Stocking,
    target_level: Integers,
    until_arrival: Integers,
    until_next_arrival: Integers,
    within_life: Integers,
    target: Integers,
    step: Integers,
) -> Levels:
    """Reorder point and order-up-to level of each item by its kind, from the level that its service target asks for.

    `until_arrival`, `until_next_arrival` and `within_life` [item, draw]: demand until this order arrives, until the
    next one does, and until this one's packs would expire (read for newsvendor items alone); `step` [item] is what an
    order is a multiple of; all in thousandths of a dose unit, `target` [item] in millionths.

    order_up_to: the target's level. par: the site's own level. newsvendor: what is worth its waste, never above the
    target's level unless a shortage cost is stated. reorder_point: levels of least cost.
    """
    low, high = target_level.copy(), target_level.copy()
    par = np.flatnonzero(stocking.kind == PolicyKind.PAR.value)
    low[par] = high[par] = stocking.par_level[par]
    sold = np.flatnonzero(stocking.kind == PolicyKind.NEWSVENDOR.value)
    if len(sold):
        level = newsvendor_level(
            until_next_arrival[sold],
            within_life[sold],
            stocking.shortage_cost[sold],
            stocking.waste_cost[sold],
            stocking.holding_cost[sold],
        )
        capped = np.minimum(level, target_level[sold])
        low[sold] = high[sold] = np.where(stocking.has_shortage_cost[sold], level, capped)
    fixed = np.flatnonzero(stocking.kind == PolicyKind.REORDER_POINT.value)
    if len(fixed):
        of_review = until_next_arrival[fixed] - until_arrival[fixed]
        low[fixed], high[fixed] = reorder_levels(
            until_next_arrival[fixed], of_review, target[fixed], stocking.order_cost[fixed], step[fixed]
        )
    return Levels(low, high)


def _known(values: pd.Series, allowed: set[str], name: str) -> None:
    for value in sorted(set(values.astype(str)) - allowed):
        raise InvalidInput(f"{name} {value!r} is none of {', '.join(sorted(allowed))}")


def _numbers(values: pd.Series) -> Floats:
    return pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan)


def _whole(values: Floats) -> Integers:
    return np.rint(values).astype(np.int64)


def settings_with_sources(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each setting of an item with its value and where it came from; what is not set is left out.

    >>> settings_with_sources({"target": 0.98, "setting_sources": {"target": "policy of drug"}})
    [{'name': 'target', 'value': '0.98', 'source': 'policy of drug'}]
    """
    sources = item.get("setting_sources") or {}
    stated = {"abc": "value of use at the site", "xyz": "variation of use at the site"}
    return [
        {"name": name, "value": str(item[name]), "source": sources.get(name, stated.get(name, "default"))}
        for name in ITEM_SETTINGS
        if item.get(name) is not None
    ]
