"""Strength of advice at each site, learned from the history's own mix."""

import dataclasses

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.sites.genetics import INTERVAL_SCORE, Genetics
from assets.sites.reference_demand import planned_means, reference_values, therapy_rows
from forecasting.demand.backtest import held_out
from forecasting.demand.season import forecast_with_shared_season
from forecasting.demand.series import DemandPanel
from forecasting.regimens.effect import (
    DELAY_DAYS,
    GROUP_SEPARATOR,
    STRENGTH_RANGE,
    LearnedEffects,
    SiteHistory,
    apply_effect,
    learn_effects,
    retained_share,
)
from forecasting.regimens.therapy import TherapyAtSite
from warehouse.schema.results import GeneticEffect, GeneticValue
from warehouse.store import column_names

ORIGINS = 2
"""Earlier days from which the value of the step is measured."""

LEAST_YEARS = 1.0
"""History that remains before the first of them: a whole season."""

BACKTEST_WINDOWS = 4
"""Windows on which the models of these forecasts are compared; fewer than a plan's, for only errors are needed."""


def learned_tables(panel: DemandPanel, genetics: Genetics, run: PlanningRun) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of `genetic_effects` and `genetic_value`, without the origin, from the panel's history alone."""
    effects = _learn(panel, genetics, run)
    value = _value_added(panel, genetics, run)
    errors = value.groupby("therapy")[["error_without", "error_with"]].sum()
    share = pd.Series(retained_share(errors["error_without"].to_numpy(), errors["error_with"].to_numpy()), errors.index)
    frame = _effect_rows(effects, genetics, share) if effects else pd.DataFrame(columns=column_names(GeneticEffect)[1:])
    return frame, value


def _learn(panel: DemandPanel, genetics: Genetics, run: PlanningRun) -> LearnedEffects | None:
    """Effects from the panel's history; None where no therapy is followed anywhere."""
    histories = [
        SiteHistory(site, therapy, np.where((rows >= 0)[:, None], panel.values[rows], np.nan).T)
        for site, rows, therapy in therapy_rows(panel, genetics.by_site)
    ]
    if not histories:
        return None
    classes = {label: label.split(GROUP_SEPARATOR)[2] for history in histories for label in history.therapy.groups}
    return learn_effects(histories, classes, run.period.mean_days)


def acting_therapies(
    genetics: Genetics, effects: LearnedEffects | None, run: PlanningRun
) -> dict[str, list[TherapyAtSite]]:
    """Every site's therapies with the exposure as it acts."""
    if effects is None:
        return genetics.by_site
    rows = {site: row for row, site in enumerate(effects.facility_ids)}  # a site without therapies has none
    place = {label: number for number, label in enumerate(effects.groups)}
    by_site = {}
    for site, therapies in genetics.by_site.items():
        cells = [(rows[site], [place[label] for label in therapy.groups]) for therapy in therapies]
        by_site[site] = [
            apply_effect(therapy, effects.mean[cell], effects.delay[cell], run.period.mean_days)
            for therapy, cell in zip(therapies, cells, strict=True)
        ]
    return by_site


def _effect_rows(effects: LearnedEffects, genetics: Genetics, share: pd.Series) -> pd.DataFrame:
    therapy_of = {
        (site, label): of_site.therapy
        for site, therapies in genetics.by_site.items()
        for of_site in therapies
        for label in of_site.groups
    }
    rows = []
    for row, site in enumerate(effects.facility_ids):
        for number, label in enumerate(effects.groups):
            therapy = therapy_of.get((site, label))
            if therapy is None:
                continue
            drug, action, recommendation, to_drug = label.split(GROUP_SEPARATOR)
            mean, sd = effects.mean[row, number], effects.sd[row, number]
            low, high = np.clip([mean - INTERVAL_SCORE * sd, mean + INTERVAL_SCORE * sd], STRENGTH_RANGE[0], None)
            earned_share = float(share.get(therapy, 1.0))
            rows.append(
                (site, drug, action, recommendation, to_drug or drug, mean, low, high)
                + (
                    DELAY_DAYS * effects.delay[row, number],
                    effects.information[row, number],
                    earned_share,
                    earned_share * mean,
                )
            )
    return pd.DataFrame(rows, columns=column_names(GeneticEffect)[1:])


def _value_added(panel: DemandPanel, genetics: Genetics, run: PlanningRun) -> pd.DataFrame:
    """Errors without and with the step from earlier origins, strengths learned from what was known then."""
    columns = column_names(GeneticValue)[1:]
    therapy_of = {
        product_id: of_site.therapy
        for site in genetics.by_site
        for of_site in genetics.at(site)
        for product_id in of_site.product_ids
    }
    chosen = np.isin(np.array(panel.product_ids, dtype=object), list(therapy_of))
    if not chosen.any():
        return pd.DataFrame(columns=columns)
    moving = panel.select(chosen)
    parts = [_errors(moving, genetics, cut, horizon, run) for cut, horizon in _cuts(moving, run.horizon)]
    if not parts:
        return pd.DataFrame(columns=columns)
    errors = pd.concat(parts)
    errors["therapy"] = errors["product_id"].map(therapy_of)
    errors["drug"] = errors["product_id"].map(genetics.drug_of)
    keys = ["facility_id", "drug", "therapy"]
    total = errors.groupby(keys, as_index=False)[["demand", "error_without", "error_with"]].sum()
    value = total["error_without"] - total["error_with"]
    return total.assign(value_added=value, origins=len(parts))[columns]


def _cuts(panel: DemandPanel, horizon: int) -> list[tuple[int, int]]:
    periods = panel.values.shape[1]
    length = min(horizon, int((periods - LEAST_YEARS * panel.period.per_year) // ORIGINS))
    return [(periods - length * number, length) for number in range(1, ORIGINS + 1)] if length >= 1 else []


def _errors(panel: DemandPanel, genetics: Genetics, cut: int, horizon: int, run: PlanningRun) -> pd.DataFrame:
    """Absolute errors of each series from one origin: facility_id, product_id, demand, error_without, error_with."""
    past, actual = held_out(panel, cut, horizon)
    at_cut = dataclasses.replace(genetics, by_site=genetics.known_at(cut, horizon))
    by_site = acting_therapies(at_cut, _learn(past, at_cut, run), run)
    reference_history = dataclasses.replace(past, values=reference_values(past, by_site))
    without = forecast_with_shared_season(past, horizon, origins=BACKTEST_WINDOWS).mean
    reference = forecast_with_shared_season(reference_history, horizon, origins=BACKTEST_WINDOWS, dispensed=past).mean
    planned, touched = planned_means(reference, past, by_site)
    names = {"facility_id": past.facility_ids, "product_id": past.product_ids}
    sums = {
        "demand": np.nansum(actual, axis=1),
        "error_without": np.nansum(abs(without - actual), axis=1),
        "error_with": np.nansum(abs(planned - actual), axis=1),
    }
    return pd.DataFrame({**names, **sums})[touched]
