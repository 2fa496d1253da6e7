"""What was known on a past day: the run, the genetics and the forecasts as they would have been made on it.

Exposure is what was measured before the day and what was planned for after it. Moves are those of the year before it,
strengths of advice are learned from the history before it, guidance is what was in force and decided. Two things are
taken as they are known now, because files have no record of what was known when: the cleaned history and prevalence.
"""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.run_tables import RunTables
from assets.sites.content import Knowledge, knowledge
from assets.sites.genetics import Genetics, GeneticTables, build_genetics, with_exposure, with_learned
from assets.sites.learning import learned_tables
from assets.sites.moves import moves_of_groups
from assets.sites.reference_demand import planned_means, reference_values
from forecasting.demand.forecast import PanelForecast
from forecasting.demand.season import forecast_with_shared_season
from forecasting.demand.series import DemandPanel
from forecasting.regimens.exposure import exposure_table
from forecasting.terms import Period
from warehouse.releases import site_releases

EXPOSURE_PERIODS = {Period.DAY: 28, Period.WEEK: 4, Period.MONTH: 1, Period.QUARTER: 1}
"""Exposure is read again after so many periods: coverage is stated by the month."""

EXPOSURES_PER_LEARNING = 3
"""Moves and strengths are learned again at every third reading of exposure: by the quarter."""

LEAST_DRAWS = 2
"""Forecasts of the past need the means of prevalence alone."""


@dataclasses.dataclass(frozen=True)
class Forecasts:
    """Forecasts of past days by the number of periods that were over, without and with the genetic step.

    `informed` holds the series that the step touched on any of the days, `moved` [series] marks them.
    """

    blind: dict[int, PanelForecast]
    informed: dict[int, PanelForecast]
    moved: np.ndarray


def past_forecasts(tables: RunTables, panel: DemandPanel, cuts: Sequence[int], horizon: int) -> Forecasts:
    """The forecasts of the days on which so many periods of the panel (`cuts`) were over, `horizon` periods ahead."""
    blind = {cut: forecast_with_shared_season(_past(panel, cut), horizon) for cut in cuts}
    informed: dict[int, PanelForecast] = {}
    moved = np.zeros(len(panel.values), dtype=bool)
    keys = {key: row for row, key in enumerate(zip(panel.facility_ids, panel.product_ids, strict=True))}
    for cut, genetics in _genetics_by_cut(tables, panel, cuts, horizon) if tables.run.with_genetics else ():
        if any(genetics.by_site.values()):
            informed[cut], touched = _informed(panel, cut, horizon, genetics)
            series = zip(informed[cut].facility_ids, informed[cut].product_ids, touched, strict=True)
            moved[[keys[facility, product] for facility, product, is_touched in series if is_touched]] = True
    return Forecasts(blind, informed, moved)


def _genetics_by_cut(
    tables: RunTables, panel: DemandPanel, cuts: Sequence[int], horizon: int
) -> Iterator[tuple[int, Genetics]]:
    """(cut, genetics as known on its day); exposure is read and strengths are learned every so many periods."""
    between = EXPOSURE_PERIODS[panel.period]
    unlearned = learned = Genetics({}, {}, [], {})
    effects = pd.DataFrame()
    for number, cut in enumerate(cuts):
        if number % between == 0:
            past = panel.until(cut)
            on_day = tables.copied(_run_on_day(tables.run, panel, cut, between + horizon))
            content = _knowledge_on_day(on_day)
            learns = number % (between * EXPOSURES_PER_LEARNING) == 0
            if learns or any(len(group.eras) > 1 for group in content.groups):
                unlearned = _genetics(content, on_day, past)
            else:
                unlearned = with_exposure(unlearned, _exposure(on_day, past), _starts(past), on_day.run.horizon)
            effects = learned_tables(past, unlearned, on_day.run)[0] if learns else effects
            learned = with_learned(unlearned, effects, on_day.run)
        yield cut, learned


def _past(panel: DemandPanel, cut: int) -> DemandPanel:
    """The panel's first periods, of the series that have a value in them."""
    past = panel.until(cut)
    return past.select(np.isfinite(past.values).any(axis=1))


def _run_on_day(run: PlanningRun, panel: DemandPanel, cut: int, horizon: int) -> PlanningRun:
    day = panel.period.step(panel.first_start, cut)
    return dataclasses.replace(run, as_of=day, horizon=horizon, draws=LEAST_DRAWS)


def _knowledge_on_day(tables: RunTables) -> Knowledge:
    """What was in force on the run's day, by decisions made before it."""
    run = tables.run
    sites = list(run.facilities) or sorted(tables["facilities"]["facility_id"])
    before = dt.datetime.combine(run.as_of, dt.time())
    with tables.warehouse.engine.connect() as connection:
        return knowledge(connection, site_releases(connection, sites, run.as_of, before))


def _starts(past: DemandPanel) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(past.period_starts())


def _exposure(tables: RunTables, past: DemandPanel) -> pd.DataFrame:
    periods = past.values.shape[1] + tables.run.horizon
    starts = pd.DatetimeIndex([past.period.step(past.first_start, number) for number in range(periods)])
    sites = tables["facilities"]["facility_id"].tolist()
    return exposure_table(tables["testing_coverage"], sites, starts, tables.run.as_of)


def _genetics(content: Knowledge, tables: RunTables, past: DemandPanel) -> Genetics:
    frames = {name: tables[name] for name in ("prevalence", "products", "facilities")}
    moves = moves_of_groups(content.groups, tables)
    genetic_tables = GeneticTables(exposure=_exposure(tables, past), moves=moves, **frames)
    return build_genetics(tables.run, content, genetic_tables, _starts(past))


def _informed(panel: DemandPanel, cut: int, horizon: int, genetics: Genetics) -> tuple[PanelForecast, np.ndarray]:
    """The forecast [series of products that advice moves anywhere] with the genetic step, and which it touches."""
    therapies = {
        site: [therapy.known_at(cut, horizon) for therapy in of_site] for site, of_site in genetics.by_site.items()
    }
    product_ids = {product for of_site in therapies.values() for therapy in of_site for product in therapy.product_ids}
    past = _past(panel.select(np.isin(np.array(panel.product_ids, dtype=object), list(product_ids))), cut)
    reference_history = dataclasses.replace(past, values=reference_values(past, therapies))
    reference = forecast_with_shared_season(reference_history, horizon, dispensed=past)
    mean, touched = planned_means(reference.mean, past, therapies)
    ratio = np.divide(mean, reference.mean, out=np.ones_like(mean), where=reference.mean > 0)
    informed = dataclasses.replace(reference, mean=mean, quantiles=reference.quantiles * ratio[:, :, None])
    changed = ((reference_history.values != past.values) & np.isfinite(past.values)).any(axis=1)
    return informed, touched | changed
