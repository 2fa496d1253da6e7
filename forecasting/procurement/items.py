"""What is set per item: how it is bought, which service it aims at, and when orders are placed and arrive."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecasting.arrays import Floats, Integers
from forecasting.errors import InvalidInput
from forecasting.procurement.packs import PackRule, as_decimal, to_thousandths
from forecasting.procurement.policy.service_level import PolicyDefaults, target_in_millionths
from forecasting.procurement.policy.stocking_policy import ITEM_SETTINGS, complete_stocking
from forecasting.procurement.supply.calendar import OrderDays, days_to_open, order_days, parse_closed_dates
from forecasting.procurement.supply.lead_time import ASSUMED_COEFFICIENT_OF_VARIATION, DEFAULT_LEAD_TIME_DAYS
from forecasting.terms import TargetKind

ITEM_COLUMNS = [
    *("facility_id", "product_id", "drug", "strength_value", "strength_unit", "dose_form", "usual_daily_dose"),
    *("pack_size", "pack_price", "currency", "minimum_order_packs", "order_multiple_packs", "shelf_life_days"),
    *("supplier_id", "order_weekdays", "order_cutoff", "closed_dates", "minimum_order_value"),
    *(*ITEM_SETTINGS, "policy_source", "setting_sources"),
    *("allocation_share", "shortage_ends_on", "launched_on", "withdrawn_on", "guidance_changed_on"),
]
"""Of the product, its packs, its supplier, its policy, and what happens to it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Arrays [item]: pack sizes in thousandths of a dose unit, targets in millionths, days; NaN where not set."""

    pack_size: Integers
    minimum_order_packs: Integers
    order_multiple_packs: Integers
    target_kind: np.ndarray
    target: Integers
    max_on_hand_days: Floats
    shelf_life_days: Floats
    wait_days: Floats
    review_days: Floats
    lead_time_mean_days: Floats
    lead_time_sd_days: Floats
    closed_days: Floats

    @property
    def pack_rule(self) -> tuple[Integers, Integers, Integers]:
        """Pack size, minimum and multiple, as `packs_for_thousandths` takes them."""
        return self.pack_size, self.minimum_order_packs, self.order_multiple_packs

    @property
    def step(self) -> Integers:
        """What an order is a multiple of, in thousandths of a dose unit."""
        return self.pack_size * self.order_multiple_packs

    @property
    def new_order_day(self) -> Floats:
        """Days from today until an order of the next order day arrives, on average; closed days wait."""
        return self.wait_days + self.lead_time_mean_days + self.closed_days

    @property
    def protection_days(self) -> Floats:
        """Days from today that this order has to bridge, on average: until the order after it arrives."""
        return self.new_order_day + self.review_days


def complete_items(items: pd.DataFrame, lead_times: pd.DataFrame, defaults: PolicyDefaults) -> pd.DataFrame:
    """The items with `ITEM_COLUMNS`, defaults filled in, and mean_days, sd_days, observations and source of lead times.

    Raises `InvalidInput` if an item occurs twice.
    """
    items = items.reindex(columns=ITEM_COLUMNS).reset_index(drop=True)
    for _, twice in items[items.duplicated(["facility_id", "product_id"])].iterrows():
        raise InvalidInput(f"item {twice['facility_id']}, {twice['product_id']} occurs twice")
    has_target = items["target"].notna() & items["target_kind"].notna()
    items["target_kind"] = items["target_kind"].where(has_target, defaults.target_kind.value)
    items["target"] = items["target"].astype(object).where(has_target, defaults.target)
    items["policy_source"] = items["policy_source"].where(has_target & items["policy_source"].notna(), "default")
    items = complete_stocking(items, defaults)
    for name in ("minimum_order_packs", "order_multiple_packs"):
        items[name] = items[name].astype(object).where(items[name].notna(), 1)
    known = lead_times[["product_id", "mean_days", "sd_days", "observations", "source"]].drop_duplicates("product_id")
    items = items.merge(known, on="product_id", how="left", validate="many_to_one")
    assumed = {"mean_days": DEFAULT_LEAD_TIME_DAYS, "observations": 0, "source": "assumed"}
    items = items.fillna(
        {"sd_days": items["mean_days"].fillna(DEFAULT_LEAD_TIME_DAYS) * ASSUMED_COEFFICIENT_OF_VARIATION}
    )
    return items.fillna(assumed)


def read_settings(items: pd.DataFrame, days: list[OrderDays], as_of: dt.date) -> Settings:
    """The settings of completed items as arrays; `days` are each item's order days.

    Raises `InvalidInput`, with the item named, for packs, targets and days that cannot be.
    """
    kinds = {kind.value for kind in TargetKind}
    rules = _each(items, _PACK_COLUMNS, _pack_rule)
    for kind in set(items["target_kind"].astype(str)) - kinds:
        raise InvalidInput(f"target_kind {kind!r} is none of {', '.join(sorted(kinds))}")
    return Settings(
        pack_size=to_thousandths(rule.pack_size for rule in rules),
        minimum_order_packs=_integers(rule.minimum_order_packs for rule in rules),
        order_multiple_packs=_integers(rule.order_multiple_packs for rule in rules),
        target_kind=items["target_kind"].astype(str).to_numpy(dtype=object),
        target=_integers(_each(items, ["target"], lambda row: target_in_millionths(row["target"]))),
        max_on_hand_days=_floats(items["max_on_hand_days"]),
        shelf_life_days=_floats(items["shelf_life_days"]),
        wait_days=np.array([(day.order_by - as_of).days for day in days], dtype=float),
        review_days=np.array([day.review_days for day in days], dtype=float),
        lead_time_mean_days=_floats(items["mean_days"]),
        lead_time_sd_days=_floats(items["sd_days"]),
        closed_days=np.zeros(len(items)),
    )


def order_days_of(items: pd.DataFrame, as_of: dt.date) -> list[OrderDays]:
    """Each item's next order day and the one after it."""

    def read(row: dict[str, Any]) -> OrderDays:
        weekdays, closed, cutoff = (None if pd.isna(row[name]) else str(row[name]) for name in _CALENDAR_COLUMNS)
        review = row["review_period_days"]
        return order_days(as_of, weekdays, None if pd.isna(review) else int(review), closed, cutoff)

    return _each(items, [*_CALENDAR_COLUMNS, "review_period_days"], read)


def open_days(items: pd.DataFrame, days: Floats, as_of: dt.date) -> tuple[Floats, Floats]:
    """`days` [item, draw] moved off their suppliers' closed days, and by how much on average [item]."""
    moved = days
    stated = items["closed_dates"].astype(object).where(items["closed_dates"].notna(), "")
    for dates in sorted(set(stated) - {""}):
        rows = np.flatnonzero((stated == dates).to_numpy())
        moved = moved.copy()
        moved[rows] = days_to_open(parse_closed_dates(dates), as_of, days[rows])
    return moved, (moved - days).mean(axis=1)


def _each(items: pd.DataFrame, columns: Sequence[str], read: Callable[[dict[str, Any]], Any]) -> list[Any]:
    """What `read` makes of each item's `columns`; an `InvalidInput` of it names the item."""
    results, names = [], ["facility_id", "product_id", *columns]
    for values in zip(*(items[name].to_numpy(dtype=object) for name in names), strict=True):
        row = dict(zip(names, values, strict=True))
        try:
            results.append(read(row))
        except InvalidInput as error:
            raise InvalidInput(f"item {row['facility_id']}, {row['product_id']}: {error}") from error
    return results


_CALENDAR_COLUMNS = ("order_weekdays", "closed_dates", "order_cutoff")
_PACK_COLUMNS = ("pack_size", "minimum_order_packs", "order_multiple_packs")


def _pack_rule(row: dict[str, Any]) -> PackRule:
    return PackRule(as_decimal(row["pack_size"]), int(row["minimum_order_packs"]), int(row["order_multiple_packs"]))


def _integers(values: Iterable[int]) -> Integers:
    return np.array(list(values), dtype=np.int64)


def _floats(values: pd.Series) -> Floats:
    return pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan)
