"""Forecasts of the peers, run in their own environment by `benchmarks/peers.py`: needs nothing of this project.

For each origin's file FOLDER/PANEL_NUMBER.npz (values [series, period], horizon, season) and each peer it writes mean
[series, horizon], quantiles [series, horizon, 9] and the seconds that the peer took.
"""

import logging
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from statsforecast.models import AutoCES, AutoETS, DynamicOptimizedTheta, SeasonalNaive

LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
WIDTHS = (50, 80, 90, 95)
LONG_SEASON = 24
TRAINING_ENDS = 48
"""Origins that gradient boosting learns from."""

Forecast = tuple[np.ndarray, np.ndarray]


def of_model(make: Callable[[int], object]) -> Callable[[np.ndarray, int, int], Forecast]:
    """A model of statsforecast as a function of one series."""

    def forecast(series: np.ndarray, horizon: int, season: int) -> Forecast:
        # exponential smoothing of a season that is longer, or of under two cycles, is without one
        cycle = season if season <= LONG_SEASON and len(series) >= 2 * season else 1
        answer = make(cycle).forecast(series, horizon, level=list(WIDTHS))
        mean = np.asarray(answer["mean"], dtype=float)
        columns = [answer[f"lo-{width}"] for width in reversed(WIDTHS)]
        columns += [mean] + [answer[f"hi-{width}"] for width in WIDTHS]
        return mean, np.stack(columns, axis=1)

    return forecast


def naive(series: np.ndarray, horizon: int, season: int) -> Forecast:
    if len(series) < season:
        flat = np.full(horizon, series[-1])
        return flat, np.repeat(flat[:, None], len(LEVELS), axis=1)
    answer = SeasonalNaive(season).forecast(series, horizon, level=list(WIDTHS))
    mean = np.asarray(answer["mean"], dtype=float)
    columns = [answer[f"lo-{width}"] for width in reversed(WIDTHS)]
    return mean, np.stack([*columns, mean, *(answer[f"hi-{width}"] for width in WIDTHS)], axis=1)


def prophet(series: np.ndarray, horizon: int, season: int, **options: object) -> Forecast:
    model, future = prophet_fit(series, horizon, season, **options)
    draws = model.predictive_samples(future)["yhat"]
    return model.predict(future)["yhat"].to_numpy(), np.quantile(draws, LEVELS, axis=1).T


def prophet_fit(series: np.ndarray, horizon: int, season: int, **options: object):
    """The fitted model and the dates ahead."""
    from prophet import Prophet

    rule = {12: "MS", 52: "7D", 4: "QS"}[season]
    dates = pd.date_range("2000-01-01", periods=len(series) + horizon, freq=rule)
    model = Prophet(**options).fit(pd.DataFrame({"ds": dates[: len(series)], "y": series}))
    return model, pd.DataFrame({"ds": dates[len(series) :]})


TUNING = [
    {"seasonality_mode": mode, "changepoint_prior_scale": scale}
    for mode in ("additive", "multiplicative")
    for scale in (0.05, 0.5)
]


def prophet_tuned(series: np.ndarray, horizon: int, season: int) -> Forecast:
    """The best of four settings over the last `horizon` periods, fitted again on all of them."""
    past, held = series[:-horizon], series[-horizon:]

    def error(options: dict[str, object]) -> float:
        model, ahead = prophet_fit(past, horizon, season, **options)
        return float(abs(model.predict(ahead)["yhat"].to_numpy() - held).sum())

    return prophet(series, horizon, season, **min(TUNING, key=error))


PEERS: dict[str, Callable[[np.ndarray, int, int], Forecast]] = {
    "seasonal_naive": naive,
    "theta": of_model(lambda season: DynamicOptimizedTheta(season_length=season)),
    "ets": of_model(lambda season: AutoETS(season_length=season)),
    "ces": of_model(lambda season: AutoCES(season_length=season)),
    "prophet": prophet,
    "prophet_tuned": prophet_tuned,
}
LONG_HISTORY = 100
"""Periods from which Prophet is tuned too: on short histories its fits cost half a second each."""


def known(series: np.ndarray) -> np.ndarray:
    """From the first known period on, gaps filled from the period before."""
    filled = pd.Series(series).ffill().to_numpy()
    return filled[np.isfinite(filled)]


def each(values: np.ndarray, horizon: int, season: int, forecast: Callable[..., Forecast], fallback: list[Forecast]):
    """Every series' forecast, never negative; where the peer fails the seasonal naive one stands in."""
    answers = []
    for row, series in enumerate(values):
        try:
            mean, quantiles = forecast(known(series), horizon, season)
            if not (np.isfinite(mean).all() and np.isfinite(quantiles).all()):
                raise ValueError
        except Exception:  # a peer's failure is its result
            mean, quantiles = fallback[row]
        answers.append((np.maximum(mean, 0), np.maximum(quantiles, 0)))
    return answers


def gradient_boosting(values: np.ndarray, horizon: int, season: int) -> tuple[np.ndarray, np.ndarray]:
    """LightGBM, direct and global: one model a horizon for the mean, one for each quantile of all horizons."""
    import lightgbm

    filled = pd.DataFrame(values).ffill(axis=1).fillna(0.0).to_numpy()
    scale = np.maximum(filled[:, -season:].mean(axis=1), 1.0)[:, None]
    scaled = filled / scale
    columns = scaled.shape[1]
    ends = range(max(season + 1, 13, columns - TRAINING_ENDS), columns - 1)

    def features(end: int, ahead: np.ndarray) -> np.ndarray:
        lags = np.stack([scaled[:, end - lag] for lag in range(1, 13)], axis=1)
        rolling = np.stack([scaled[:, max(end - width, 0) : end].mean(axis=1) for width in (3, 6, season)], axis=1)
        same = np.stack([scaled[:, end - season + (step - 1) % season] for step in ahead], axis=1)
        parts = []
        for position, step in enumerate(ahead):
            calendar = np.full((len(scaled), 1), (end + step - 1) % season)
            parts.append(np.hstack([lags, rolling, same[:, [position]], calendar, np.full_like(calendar, step)]))
        return np.stack(parts, axis=1)

    steps = np.arange(1, horizon + 1)
    rows, targets = [], []
    for end in ends:
        seen = steps[steps <= columns - end]
        block = features(end, seen)
        rows.append(block.reshape(-1, block.shape[-1]))
        targets.append(scaled[:, end : end + len(seen)].reshape(-1))
    inputs, target = np.vstack(rows), np.concatenate(targets)
    options = {"n_estimators": 200, "learning_rate": 0.05, "num_leaves": 31, "verbose": -1, "num_threads": 1, "seed": 1}
    ahead = features(columns, steps).reshape(-1, inputs.shape[1])

    def answer(**more: object) -> np.ndarray:
        model = lightgbm.LGBMRegressor(**options, **more).fit(inputs, target)
        return np.maximum(model.predict(ahead).reshape(len(scaled), horizon) * scale, 0)

    quantiles = np.stack([answer(objective="quantile", alpha=level) for level in LEVELS], axis=2)
    return answer(objective="regression_l1"), np.maximum.accumulate(quantiles, axis=2)


def main(folder: Path, name: str, origins: int) -> None:
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    for number in range(origins):
        source = np.load(folder / f"{name}_{number}.npz")
        values, horizon, season = source["values"], int(source["horizon"]), int(source["season"])
        made: dict[str, list[Forecast]] = {}
        fallback = [(np.zeros(horizon), np.zeros((horizon, len(LEVELS))))] * len(values)
        asked = [peer for peer in PEERS if peer != "prophet_tuned" or values.shape[1] >= LONG_HISTORY]
        for peer, forecast in ((peer, PEERS[peer]) for peer in asked):
            target = folder / f"{name}_{number}__{peer}.npz"
            began = time.perf_counter()
            if target.exists():
                old = np.load(target)
                made[peer] = list(zip(old["mean"], old["quantiles"], strict=True))
                continue
            made[peer] = each(values, horizon, season, forecast, made.get("seasonal_naive", fallback))
            save(target, made[peer], time.perf_counter() - began)
        three = [made[peer] for peer in ("ets", "ces", "theta")]
        pairs = [tuple(np.median(part, axis=0) for part in zip(*row, strict=True)) for row in zip(*three, strict=True)]
        seconds = sum(
            float(np.load(folder / f"{name}_{number}__{peer}.npz")["seconds"]) for peer in ("ets", "ces", "theta")
        )
        save(folder / f"{name}_{number}__ets_ces_theta_median.npz", pairs, seconds)
        began = time.perf_counter()
        mean, quantiles = gradient_boosting(values, horizon, season)
        save(
            folder / f"{name}_{number}__lightgbm.npz",
            list(zip(mean, quantiles, strict=True)),
            time.perf_counter() - began,
        )


def save(target: Path, answers: list[Forecast], seconds: float) -> None:
    means, quantiles = (np.stack(part) for part in zip(*answers, strict=True))
    np.savez(target, mean=means, quantiles=quantiles, seconds=seconds)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
