"""Sample paths of a site from what is stored: the baseline forecast and the site's genetics; the same on every call."""

import dataclasses

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.sites.genetics import Genetics
from forecasting.demand.forecast import PanelForecast
from forecasting.demand.overrides import ACTING_COLUMNS, OverriddenDemand, SiteForecast, apply_overrides
from forecasting.demand.paths import sample_paths
from forecasting.population import SitePaths, simulate_site
from forecasting.terms import QUANTILE_LEVELS, OverrideKind

NO_OVERRIDES = pd.DataFrame(columns=list(ACTING_COLUMNS))


@dataclasses.dataclass(frozen=True)
class SiteDemand:
    """Demand to come at one site: its products, period starts, paths, and the baseline they come from.

    `paths` are the final ones; `overridden` knows what overrides made of the genetic step.
    """

    facility_id: str
    product_ids: tuple[str, ...]
    starts: pd.DatetimeIndex
    model: np.ndarray
    paths: SitePaths
    quantiles: np.ndarray
    overridden: OverriddenDemand


def site_demand(
    run: PlanningRun,
    facility_id: str,
    baseline: pd.DataFrame,
    genetics: Genetics,
    overrides: pd.DataFrame = NO_OVERRIDES,
) -> SiteDemand:
    """Paths of every product with a baseline at the site, and of those that testing or a person will first bring there.

    Quantiles [product, horizon, level] are those of the paths, corrected by how the baseline's paths miss the
    baseline's own quantiles: what testing does not move keeps its quantiles exactly. `overrides` are the acting ones
    of the site, oldest first.
    """
    forecast = PanelForecast.from_frame(baseline)
    base = sample_paths(forecast, draws=run.draws, seed=run.seed)
    therapies = genetics.at(facility_id)
    known = set(forecast.product_ids)
    by_testing = sorted({product for therapy in therapies for product in therapy.product_ids} - known)
    by_person = sorted(_products_with_quantity(overrides) - known - set(by_testing))
    product_ids = (*forecast.product_ids, *by_testing, *by_person)
    nothing = np.zeros((len(product_ids) - len(known), *base.shape[1:]))
    moved = simulate_site(
        product_ids,
        np.concatenate([base, nothing]),
        np.concatenate([forecast.mean, nothing[:, :, 0]]),
        therapies,
        facility_id=facility_id,
        seed=run.seed,
    )
    starts = pd.DatetimeIndex(forecast.starts)
    before = SiteForecast(
        facility_id=facility_id,
        product_ids=product_ids,
        starts=starts,
        paths=moved.paths,
        quantiles=_corrected(moved.paths, base, forecast.quantiles),
        mean=moved.mean,
        baseline_mean=moved.baseline_mean,
    )
    final = apply_overrides(before, overrides, seed=run.seed)
    of_new = ["genetic_shift"] * len(by_testing) + ["override"] * len(by_person)
    model = np.concatenate([forecast.model.astype(object), np.array(of_new, dtype=object)])
    is_used = np.concatenate([np.full(len(known), True), final.mean[len(known) :].max(axis=1, initial=0.0) > 0])
    return SiteDemand(
        facility_id,
        tuple(product for product, used in zip(product_ids, is_used, strict=True) if used),
        starts,
        model[is_used],
        dataclasses.replace(
            moved, paths=final.paths[is_used], mean=final.mean[is_used], baseline_mean=moved.baseline_mean[is_used]
        ),
        final.quantiles[is_used],
        final.select(is_used),
    )


def _products_with_quantity(overrides: pd.DataFrame) -> set[str]:
    """Products for which a person set a quantity: they are planned though nothing was dispensed yet."""
    return set(overrides.loc[overrides["kind"] == OverrideKind.QUANTITY.value, "product_id"])


def quantiles_of(paths: np.ndarray) -> np.ndarray:
    """Published quantiles [..., level] of paths [..., draw]."""
    return np.moveaxis(np.quantile(paths, list(QUANTILE_LEVELS.values()), axis=-1), 0, -1)


def _corrected(paths: np.ndarray, base: np.ndarray, stated: np.ndarray) -> np.ndarray:
    drawn = quantiles_of(paths)
    drawn_base = quantiles_of(base)
    ratio = np.divide(stated, drawn_base, out=np.ones_like(stated), where=drawn_base > 0)
    drawn[: len(base)] *= ratio
    untouched = np.flatnonzero((paths[: len(base)] == base).all(axis=(1, 2)))
    drawn[untouched] = stated[untouched]
    return np.maximum.accumulate(drawn, axis=-1)


def overrides_at(acting: pd.DataFrame, facility_id: str) -> pd.DataFrame:
    """The acting overrides of a site, oldest first."""
    rows = acting[acting["facility_id"] == facility_id]
    return rows.sort_values(["override_id", "product_id"], ignore_index=True)
