"""What a replay of the past starts from: its demand by day, how items were bought, and what was known when.

`simulation` has the shelves, `rules` the rules of ordering, `scores` what comes of them.
"""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd

from forecasting.arrays import Booleans, Floats, Integers, take
from forecasting.demand.series import DemandPanel
from forecasting.errors import InvalidInput
from forecasting.procurement.items import Settings, complete_items, read_settings
from forecasting.procurement.packs import THOUSANDTHS, packs_for_thousandths
from forecasting.procurement.policy.service_level import PolicyDefaults
from forecasting.procurement.replay.simulation import (
    NEVER_EXPIRES,
    ORDER_DAYS,
    PurchaseTerms,
    Rule,
    SimulatedShelf,
    order_lead_days,
    simulate,
)
from forecasting.procurement.supply.calendar import OrderDays
from forecasting.procurement.supply.lead_time import draw_lead_times

MOST_WEEKS = 52
LEAST_WEEKS = 8
"""A replay has a year of weeks, so that every season counts once; fewer than two months say little."""

COVER_QUANTILE = 0.9
"""Levels of the usual practice cover one number of days for all items: what so many of them need to bridge."""

IMPUTATION_PERIODS = 8
"""The demand of a period without stock is taken to be the mean of so many known periods before it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplaySetup:
    """A past to replay. Rows of all arrays are those of `items` and of `panel`.

    `panel` is the whole history, of which a rule sees the periods that had ended; `start` is the first day replayed.
    `demand` [item, day], `opening_stock` [item] and `par_level` [item] are in thousandths of a dose unit;
    `par_is_stated` [item] by the site. `cover_days` are those that the levels of the usual practice cover, the same for
    every item.
    """

    items: pd.DataFrame
    panel: DemandPanel
    start: dt.date
    demand: Integers
    terms: PurchaseTerms
    settings: Settings
    opening_stock: Integers
    par_level: Integers
    par_is_stated: Booleans
    cover_days: int

    @property
    def weeks(self) -> int:
        """Weeks that are replayed."""
        return self.demand.shape[1] // ORDER_DAYS

    @property
    def bridged_days(self) -> Floats:
        """Days from an order until the one after it arrives, on average [item]."""
        return self.settings.lead_time_mean_days + self.settings.review_days

    def day(self, week: int) -> dt.date:
        """The order day of a week."""
        return self.start + dt.timedelta(days=week * ORDER_DAYS)

    def periods_ended(self, week: int) -> int:
        """Periods of the history that had ended on a week's order day."""
        return periods_ended(self.panel, self.day(week))

    def take(self, rows: Integers) -> "ReplaySetup":
        """The same for some items only, in their order."""
        mask = np.isin(np.arange(len(self.items)), rows)
        arrays = {name: getattr(self, name)[mask] for name in ("demand", "opening_stock", "par_level", "par_is_stated")}
        return dataclasses.replace(
            self,
            items=self.items[mask].reset_index(drop=True),
            panel=self.panel.select(mask),
            terms=take(self.terms, mask),
            settings=take(self.settings, mask),
            **arrays,
        )

    def simulate(self, rule: Rule) -> SimulatedShelf:
        """The shelves under a rule of ordering."""
        return simulate(self.demand, self.terms, self.opening_stock, rule)


def replay_weeks(panel: DemandPanel) -> int:
    """Whole weeks at the end of the history to replay: a year, at most half of it, 0 if it is too short.

    >>> from forecasting.terms import Period
    >>> replay_weeks(DemandPanel(("a",), ("x",), np.ones((1, 80)), dt.date(2025, 1, 6), Period.WEEK))
    40
    """
    columns = panel.values.shape[1]
    half, end = (panel.period.step(panel.first_start, number) for number in (columns - columns // 2, columns))
    weeks = min((end - half).days // ORDER_DAYS, MOST_WEEKS)
    return weeks if weeks >= LEAST_WEEKS else 0


def replay_start(panel: DemandPanel) -> dt.date:
    """The first day of the replay: so many whole weeks before the history ends."""
    end = panel.period.step(panel.first_start, panel.values.shape[1])
    return end - dt.timedelta(days=replay_weeks(panel) * ORDER_DAYS)


def periods_ended(panel: DemandPanel, day: dt.date) -> int:
    """How many of the panel's periods had ended when a day began.

    >>> from forecasting.terms import Period
    >>> panel = DemandPanel(("a",), ("x",), np.ones((1, 8)), dt.date(2026, 1, 1), Period.MONTH)
    >>> periods_ended(panel, dt.date(2026, 3, 9))
    2
    """
    return panel.period.offset(day, panel.first_start)


def known_before_replay(panel: DemandPanel) -> Booleans:
    """Series with a known quantity before the replay begins [series]: of others no rule could know anything."""
    known: Booleans = np.isfinite(panel.values[:, : periods_ended(panel, replay_start(panel))]).any(axis=1)
    return known


def replay_setup(
    items: pd.DataFrame,
    panel: DemandPanel,
    lead_times: pd.DataFrame,
    *,
    draws_seed: int,
    defaults: PolicyDefaults | None = None,
) -> ReplaySetup:
    """The last weeks of a history, with lead times drawn, and par levels derived where none is stated.

    `items` has a row for each series of the panel (`items.ITEM_COLUMNS`, and `par_level` in dose units where the site
    states one); `lead_times` as `lead_time.lead_times` gives. Every rule meets the same demand, the same lead times (of
    the order of a week, drawn by `draws_seed`, facility and product) and the same opening stock, the par level. Raises
    `InvalidInput` for items that do not fit the panel, series not `known_before_replay`, and short histories.
    """
    weeks = replay_weeks(panel)
    if len(items) != len(panel.values) or not weeks or not known_before_replay(panel).all():
        raise InvalidInput(f"{len(items)} items, {len(panel.values)} series, {weeks} weeks: there is nothing to replay")
    start = replay_start(panel)
    stated = pd.to_numeric(items.reindex(columns=["par_level"])["par_level"]).to_numpy(dtype=float, na_value=np.nan)
    items = complete_items(items, lead_times, defaults or PolicyDefaults())
    review = pd.to_numeric(items["review_period_days"]).fillna(ORDER_DAYS).to_numpy(dtype=float)
    interval_weeks = np.maximum(np.rint(review / ORDER_DAYS), 1).astype(np.int64)
    days = [
        OrderDays(start, start + dt.timedelta(days=int(weeks_apart) * ORDER_DAYS)) for weeks_apart in interval_weeks
    ]
    settings = read_settings(items, days, start)
    cover_days = int(np.ceil(np.quantile(settings.lead_time_mean_days + settings.review_days, COVER_QUANTILE)))
    par_is_stated = np.isfinite(stated)
    par_level = np.where(par_is_stated, stated, mean_use_before_replay(panel) * cover_days)
    par_level = np.rint(par_level * THOUSANDTHS).astype(np.int64)
    return ReplaySetup(
        items=items,
        panel=panel,
        start=start,
        demand=daily_demand(panel, start),
        terms=_purchase_terms(items, settings, interval_weeks, weeks, draws_seed),
        settings=settings,
        opening_stock=packs_for_thousandths(par_level, *settings.pack_rule) * settings.pack_size,
        par_level=par_level,
        par_is_stated=par_is_stated,
        cover_days=cover_days,
    )


def _purchase_terms(
    items: pd.DataFrame, settings: Settings, interval_weeks: Integers, weeks: int, draws_seed: int
) -> PurchaseTerms:
    keys = [f"{draws_seed}|replay|{item.facility_id}|{item.product_id}" for item in items.itertuples()]
    drawn = draw_lead_times(settings.lead_time_mean_days, settings.lead_time_sd_days, weeks, keys)
    return PurchaseTerms(
        pack_size=settings.pack_size,
        minimum_order_packs=settings.minimum_order_packs,
        order_multiple_packs=settings.order_multiple_packs,
        usable_days=np.nan_to_num(settings.shelf_life_days, nan=NEVER_EXPIRES).astype(np.int64),
        lead_days=order_lead_days(drawn),
        order_interval_weeks=interval_weeks,
    )


def mean_use_before_replay(panel: DemandPanel) -> Floats:
    """Mean use a day [item] over the first half of the history; of a later product, over what it had before the replay.

    >>> from forecasting.terms import Period
    >>> panel = DemandPanel(("a",), ("x",), np.full((1, 80), 21.0), dt.date(2025, 1, 6), Period.WEEK)
    >>> mean_use_before_replay(panel)
    array([3.])
    """
    days = days_of_periods(panel)
    half, before = panel.values.shape[1] // 2, periods_ended(panel, replay_start(panel))
    first, later = (_mean_use(panel.values[:, :columns], days[:columns]) for columns in (half, before))
    return np.where(np.isfinite(first), first, later)


def _mean_use(values: Floats, days: Integers) -> Floats:
    known = np.isfinite(values)
    total = (known * days).sum(axis=1)
    return np.divide(np.nansum(values, axis=1), total, out=np.full(len(values), np.nan), where=total > 0)


def days_of_periods(panel: DemandPanel) -> Integers:
    """Length of each period of the panel in days [period]."""
    edges = [*panel.period_starts(), panel.period.step(panel.first_start, panel.values.shape[1])]
    return np.diff(np.array(edges, dtype="datetime64[D]")).astype(np.int64)


def daily_demand(panel: DemandPanel, start: dt.date) -> Integers:
    """Demand of each day from `start` to the end of the panel, in thousandths of a dose unit [series, day].

    A period's quantity is spread over its days as evenly as whole thousandths allow. What is unknown (a stock-out is
    censored demand) is imputed from the periods before it.

    >>> from forecasting.terms import Period
    >>> week = DemandPanel(("a",), ("x",), np.array([[7.0, np.nan]]), dt.date(2026, 1, 5), Period.WEEK)
    >>> daily_demand(week, dt.date(2026, 1, 12)).tolist()
    [[1000, 1000, 1000, 1000, 1000, 1000, 1000]]
    """
    length = days_of_periods(panel)
    quantity = np.rint(imputed(panel.values) * THOUSANDTHS).astype(np.int64)
    replayed = slice((start - panel.first_start).days, None)
    period = np.repeat(np.arange(len(length)), length)[replayed]
    day_of_period = (np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length))[replayed]
    total, days = quantity[:, period], length[period]
    spread: Integers = total * (day_of_period + 1) // days - total * day_of_period // days
    return spread


def imputed(values: Floats) -> Floats:
    """Values [series, period], the unknown ones as the mean of the `IMPUTATION_PERIODS` before; 0 before the first.

    What comes later has no say, so that a past value never changes.

    >>> imputed(np.array([[np.nan, 2.0, 4.0, np.nan]]))
    array([[0., 2., 4., 3.]])
    """
    filled = values.copy()
    for column in range(values.shape[1]):
        unknown = np.flatnonzero(np.isnan(filled[:, column]))
        if not len(unknown):
            continue
        before = filled[unknown, max(column - IMPUTATION_PERIODS, 0) : column]
        known = np.isfinite(before)
        mean = np.nan_to_num(before).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        filled[unknown, column] = np.where(known.any(axis=1), mean, np.nan)
    return np.nan_to_num(filled)
