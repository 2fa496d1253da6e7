"""The past lived through again: what its days asked for, how items were bought, and what was known on each order day.

How a shelf goes on from day to day is `walk`, the rules of ordering are in `replay_rules`, what comes of them in
`replay_scores`.
"""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd

from forecasting.demand.series import DemandPanel
from forecasting.errors import InvalidInput
from forecasting.procurement.arrays import Booleans, Floats, Integers, take
from forecasting.procurement.items import Settings, complete_items, read_settings
from forecasting.procurement.packs import THOUSANDTHS, packs_for_thousandths
from forecasting.procurement.policy.service_level import PolicyDefaults
from forecasting.procurement.replay.simulation import FOREVER, ORDER_DAYS, Terms, lead_time_of_orders
from forecasting.procurement.supply.calendar import OrderDays
from forecasting.procurement.supply.lead_time import draw_lead_times

MOST_WEEKS = 52
LEAST_WEEKS = 8
COVER_QUANTILE = 0.9
"""Levels of the usual practice cover one number of days for all items: what so many of them need to bridge."""

GUESS_PERIODS = 8
"""The demand of a period without stock is taken to be the mean of so many known periods before it."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A past to live through. Rows of all arrays are those of `items` and of `panel`.

    `panel` is the whole history, of which a rule sees the periods that were over; `start` is the walk's first day.
    `demand` [item, day], `opening` [item] and `par` [item] are in thousandths of a dose unit; `par_given` [item] says
    that the site stated the par level. `bridged_days` [item] are those from an order to the arrival of the next one,
    `cover_days` those that the levels of the usual practice cover, the same for every item.
    """

    items: pd.DataFrame
    panel: DemandPanel
    start: dt.date
    demand: Integers
    terms: Terms
    settings: Settings
    opening: Integers
    par: Integers
    par_given: Booleans
    cover_days: int

    @property
    def weeks(self) -> int:
        """Weeks that are lived through."""
        return self.demand.shape[1] // ORDER_DAYS

    @property
    def bridged_days(self) -> Floats:
        """Days from an order until the one after it arrives, on average [item]."""
        return self.settings.lead_time_mean_days + self.settings.review_days

    def day(self, week: int) -> dt.date:
        """The order day of a week."""
        return self.start + dt.timedelta(days=week * ORDER_DAYS)

    def cut(self, week: int) -> int:
        """Periods of the history that were over on a week's order day."""
        return periods_over(self.panel, self.day(week))

    def take(self, rows: Integers) -> "Stage":
        """The same for some items only, in their order."""
        mask = np.isin(np.arange(len(self.items)), rows)
        parts = {name: getattr(self, name)[mask] for name in ("demand", "opening", "par", "par_given")}
        items, panel = self.items[mask].reset_index(drop=True), self.panel.select(mask)
        terms, settings = take(self.terms, mask), take(self.settings, mask)
        return dataclasses.replace(self, items=items, panel=panel, terms=terms, settings=settings, **parts)


def weeks_to_walk(panel: DemandPanel) -> int:
    """Whole weeks at the end of the history to live through: a year, at most half of it, 0 if it is too short.

    >>> from forecasting.terms import Period
    >>> weeks_to_walk(DemandPanel(("a",), ("x",), np.ones((1, 80)), dt.date(2025, 1, 6), Period.WEEK))
    40
    """
    columns = panel.values.shape[1]
    half, end = (panel.period.step(panel.first_start, number) for number in (columns - columns // 2, columns))
    weeks = min((end - half).days // ORDER_DAYS, MOST_WEEKS)
    return weeks if weeks >= LEAST_WEEKS else 0


def walk_start(panel: DemandPanel) -> dt.date:
    """The first day of the walk: so many whole weeks before the history ends."""
    end = panel.period.step(panel.first_start, panel.values.shape[1])
    return end - dt.timedelta(days=weeks_to_walk(panel) * ORDER_DAYS)


def periods_over(panel: DemandPanel, day: dt.date) -> int:
    """How many of the panel's periods had ended when a day began.

    >>> from forecasting.terms import Period
    >>> panel = DemandPanel(("a",), ("x",), np.ones((1, 8)), dt.date(2026, 1, 1), Period.MONTH)
    >>> periods_over(panel, dt.date(2026, 3, 9))
    2
    """
    return panel.period.offset(day, panel.first_start)


def known_before(panel: DemandPanel) -> Booleans:
    """Series with a known quantity before the walk begins [series]: of others no rule could have known anything."""
    known: Booleans = np.isfinite(panel.values[:, : periods_over(panel, walk_start(panel))]).any(axis=1)
    return known


def set_stage(
    items: pd.DataFrame,
    panel: DemandPanel,
    lead_times: pd.DataFrame,
    *,
    draws_seed: int,
    defaults: PolicyDefaults | None = None,
) -> Stage:
    """The stage of a history: its last weeks to live through, with lead times drawn and par levels where none is given.

    `items` has a row for each series of the panel (`settings.ITEM_COLUMNS`, and `par_level` in dose units where the
    site states one); `lead_times` as `lead_time.lead_times` gives. Every rule meets the same demand, the same lead
    times (of the order of a week, drawn by `draws_seed`, facility and product) and the same opening stock, the par
    level. Raises `InvalidInput` for items that do not fit the panel, series not `known_before`, and short histories.
    """
    weeks = weeks_to_walk(panel)
    if len(items) != len(panel.values) or not weeks or not known_before(panel).all():
        raise InvalidInput(f"{len(items)} items, {len(panel.values)} series, {weeks} weeks: there is nothing to replay")
    start = walk_start(panel)
    par_level = pd.to_numeric(items.reindex(columns=["par_level"])["par_level"]).to_numpy(dtype=float, na_value=np.nan)
    items = complete_items(items, lead_times, defaults or PolicyDefaults())
    review = pd.to_numeric(items["review_period_days"]).fillna(ORDER_DAYS).to_numpy(dtype=float)
    every = np.maximum(np.rint(review / ORDER_DAYS), 1).astype(np.int64)
    days = [OrderDays(start, start + dt.timedelta(days=int(weeks_apart) * ORDER_DAYS)) for weeks_apart in every]
    settings = read_settings(items, days, start)
    bridged = settings.lead_time_mean_days + settings.review_days
    cover_days = int(np.ceil(np.quantile(bridged, COVER_QUANTILE)))
    par = mean_use_before(panel) * cover_days
    given = np.isfinite(par_level)
    par = np.rint(np.where(given, par_level, par) * THOUSANDTHS).astype(np.int64)
    return Stage(
        items=items,
        panel=panel,
        start=start,
        demand=daily_demand(panel, start),
        terms=_terms(items, settings, every, weeks, draws_seed),
        settings=settings,
        opening=packs_for_thousandths(par, *settings.pack_rule) * settings.pack_size,
        par=par,
        par_given=given,
        cover_days=cover_days,
    )


def _terms(items: pd.DataFrame, settings: Settings, every: Integers, weeks: int, draws_seed: int) -> Terms:
    keys = [f"{draws_seed}|replay|{one.facility_id}|{one.product_id}" for one in items.itertuples()]
    drawn = draw_lead_times(settings.lead_time_mean_days, settings.lead_time_sd_days, weeks, keys)
    keeps = np.where(np.isfinite(settings.shelf_life_days), settings.shelf_life_days, FOREVER)
    return Terms(*settings.pack_rule, keeps.astype(np.int64), lead_time_of_orders(drawn), every)


def mean_use_before(panel: DemandPanel) -> Floats:
    """Mean use a day [item] over the first half of the history; of a later product, over what it had before the walk.

    >>> from forecasting.terms import Period
    >>> mean_use_before(DemandPanel(("a",), ("x",), np.full((1, 80), 21.0), dt.date(2025, 1, 6), Period.WEEK))
    array([3.])
    """
    days = days_of_periods(panel)
    half, before = panel.values.shape[1] // 2, periods_over(panel, walk_start(panel))
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
    censored demand) is guessed from the periods before it.

    >>> from forecasting.terms import Period
    >>> week = DemandPanel(("a",), ("x",), np.array([[7.0, np.nan]]), dt.date(2026, 1, 5), Period.WEEK)
    >>> daily_demand(week, dt.date(2026, 1, 12)).tolist()
    [[1000, 1000, 1000, 1000, 1000, 1000, 1000]]
    """
    length = days_of_periods(panel)
    quantity = np.rint(guessed(panel.values) * THOUSANDTHS).astype(np.int64)
    number = np.repeat(np.arange(len(length)), length)
    ends = np.cumsum(length)
    within = np.arange(ends[-1]) - np.repeat(ends - length, length)
    chosen = slice((start - panel.first_start).days, None)
    number, within = number[chosen], within[chosen]
    total, days = quantity[:, number], length[number]
    spread: Integers = total * (within + 1) // days - total * within // days
    return spread


def guessed(values: Floats) -> Floats:
    """Values [series, period] with what is unknown as the mean of the `GUESS_PERIODS` before it; 0 before the first.

    What comes later has no say, so that a past guess never changes.

    >>> guessed(np.array([[np.nan, 2.0, 4.0, np.nan]]))
    array([[0., 2., 4., 3.]])
    """
    filled = values.copy()
    for column in range(values.shape[1]):
        unknown = np.flatnonzero(np.isnan(filled[:, column]))
        if not len(unknown):
            continue
        before = filled[unknown, max(column - GUESS_PERIODS, 0) : column]
        known = np.isfinite(before)
        mean = np.nan_to_num(before).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        filled[unknown, column] = np.where(known.any(axis=1), mean, np.nan)
    return np.nan_to_num(filled)
