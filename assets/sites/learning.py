"""Strength of advice at each site, learned from the history's own mix."""

import dataclasses

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.sites.genetics import INTERVAL_SCORE, Genetics
from assets.sites.reference_demand import planned_means, reference_values, therapy_rows
from forecasting.demand.backtest import held_out
from forecasting.demand.season import forecast_sites
from forecasting.demand.series import DemandPanel
from forecasting.regimens.effect import (
    DELAY_DAYS,
    GROUP_SEPARATOR,
    STRENGTH_RANGE,
    LearnedEffects,
    SiteHistory,
    earned,
    learn_effects,
    with_effect,
)
from forecasting.regimens.therapy import TherapyAtSite
from warehouse.schema import Base
from warehouse.schema.results import GeneticEffect, GeneticValue

ORIGINS = 2

LEAST_YEARS = 1.0

BACKTEST_WINDOWS = 4


def learned(panel: DemandPanel, genetics: Genetics, run: PlanningRun) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of both tables, without the origin, from the panel's history alone."""
    effects = _learn(panel, genetics, run)
    value = _value_added(panel, genetics, run)
    stays = value.groupby("therapy")[["error_without", "error_with"]].sum()
    share = pd.Series(earned(stays["error_without"].to_numpy(), stays["error_with"].to_numpy()), stays.index)
    frame = _effect_rows(effects, genetics, share) if effects else pd.DataFrame(columns=_columns(GeneticEffect)[1:])
    return frame, value


def _columns(model: type[Base]) -> list[str]:
    return [column.name for column in model.__table__.columns]


def _learn(panel: DemandPanel, genetics: Genetics, run: PlanningRun) -> LearnedEffects | None:
    """Effects from the panel's history; None where no therapy is followed anywhere."""
    histories = [
        SiteHistory(site, therapy, np.where((rows >= 0)[:, None], panel.values[rows], np.nan).T)
        for site, rows, therapy in therapy_rows(panel, genetics.by_site)
    ]
    if not histories:
        return None
    classes = {label: label.split(GROUP_SEPARATOR)[2] for one in histories for label in one.therapy.groups}
    return learn_effects(histories, classes, run.period.mean_days)


def acting(genetics: Genetics, effects: LearnedEffects | None, run: PlanningRun) -> dict[str, list[TherapyAtSite]]:
    """Every site's therapies with the exposure as it acts."""
    if effects is None:
        return genetics.by_site
    rows = {site: row for row, site in enumerate(effects.facility_ids)}  # a site without therapies has none
    place = {label: number for number, label in enumerate(effects.groups)}
    by_site = {}
    for site, therapies in genetics.by_site.items():
        cells = [(rows[site], [place[label] for label in one.groups]) for one in therapies]
        by_site[site] = [
            with_effect(one, effects.mean[cell], effects.delay[cell], run.period.mean_days)
            for one, cell in zip(therapies, cells, strict=True)
        ]
    return by_site


def _effect_rows(effects: LearnedEffects, genetics: Genetics, share: pd.Series) -> pd.DataFrame:
    therapy_of = {
        (site, label): one.therapy
        for site, therapies in genetics.by_site.items()
        for one in therapies
        for label in one.groups
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
            stays = float(share.get(therapy, 1.0))
            rows.append(
                (site, drug, action, recommendation, to_drug or drug, mean, low, high)
                + (DELAY_DAYS * effects.delay[row, number], effects.information[row, number], stays, stays * mean)
            )
    return pd.DataFrame(rows, columns=_columns(GeneticEffect)[1:])


def _value_added(panel: DemandPanel, genetics: Genetics, run: PlanningRun) -> pd.DataFrame:
    """Errors without and with the step from earlier origins, strengths learned from what was known then."""
    columns = _columns(GeneticValue)[1:]
    therapy_of = {
        product_id: one.therapy
        for site in genetics.by_site
        for one in genetics.at(site)
        for product_id in one.product_ids
    }
    chosen = np.isin(np.array(panel.product_ids, dtype=object), list(therapy_of))
    if not chosen.any():
        return pd.DataFrame(columns=columns)
    here = panel.select(chosen)
    parts = [_errors(here, genetics, cut, horizon, run) for cut, horizon in _cuts(here, run.horizon)]
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
    return [(periods - length * back, length) for back in range(1, ORIGINS + 1)] if length >= 1 else []


def _errors(panel: DemandPanel, genetics: Genetics, cut: int, horizon: int, run: PlanningRun) -> pd.DataFrame:
    """Absolute errors of each series from one origin: facility_id, product_id, demand, error_without, error_with."""
    past, actual = held_out(panel, cut, horizon)
    then = dataclasses.replace(
        genetics,
        by_site={site: [one.seen_from(cut, horizon) for one in genetics.at(site)] for site in genetics.by_site},
    )
    by_site = acting(then, _learn(past, then, run), run)
    moved = dataclasses.replace(past, values=reference_values(past, by_site))
    without = forecast_sites(past, horizon, origins=BACKTEST_WINDOWS).mean
    reference = forecast_sites(moved, horizon, origins=BACKTEST_WINDOWS, dispensed=past).mean
    planned, touched = planned_means(reference, past, by_site)
    names = {"facility_id": past.facility_ids, "product_id": past.product_ids}
    sums = {
        "demand": np.nansum(actual, axis=1),
        "error_without": np.nansum(abs(without - actual), axis=1),
        "error_with": np.nansum(abs(planned - actual), axis=1),
    }
    return pd.DataFrame({**names, **sums})[touched]
