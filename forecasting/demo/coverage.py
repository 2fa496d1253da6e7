"""How far testing has come at the invented sites: the true path, and the monthly rows that a site hands in.

A programme goes live, and the share of treated patients with a result grows along a logistic curve to a ceiling of
25 to 60 %; prescribers follow 45 to 70 % of the advice. Both ranges are assumptions of the simulation: no source says
how fast hospitals take testing up.
"""

import datetime as dt

import numpy as np
import pandas as pd

from forecasting.demo.tables import stream, table

MEASURED_ERROR = 0.006
PAST_PLAN_MONTHS = 3
PAST_PLAN_OPTIMISM = 1.08


def programmes(facility_ids: list[str], as_of: dt.date, seed: int) -> pd.DataFrame:
    """One row per site and tested gene; the genes of a site differ a little in ceiling and adherence.

    Columns: `facility_id, gene, live_on, midpoint_days, scale_days, ceiling, share_followed, keeps_growing`.
    """
    rows = table("facilities").merge(table("programmes"), on="programme", how="inner")
    rng = stream(seed, 3)
    rows["ceiling"] *= rng.uniform(0.86, 1.0, len(rows))
    rows["share_followed"] += rng.uniform(-0.04, 0.04, len(rows))
    rows["live_on"] = pd.Timestamp(as_of) + pd.to_timedelta(7 * rows["go_live_week"], unit="D")
    rows = rows.assign(midpoint_days=7 * rows["midpoint_weeks"], scale_days=7 * rows["scale_weeks"])
    names = [
        "facility_id",
        "gene",
        "live_on",
        "midpoint_days",
        "scale_days",
        "ceiling",
        "share_followed",
        "keeps_growing",
    ]
    return rows.loc[rows["facility_id"].isin(facility_ids), names].reset_index(drop=True)


def share_tested(programme: pd.DataFrame, days: pd.DatetimeIndex, as_of: dt.date) -> np.ndarray:
    """True share of treated patients with a result, shape (programme rows, days).

    0 up to the go-live, then logistic; a programme that does not keep growing stays where it is on `as_of`.
    """
    origin = np.datetime64(as_of)
    dates = np.broadcast_to(days.to_numpy(dtype="datetime64[D]"), (len(programme), len(days)))
    stops = ~programme["keeps_growing"].to_numpy(dtype=bool)[:, None]
    dates = np.where(stops, np.minimum(dates, origin), dates)
    days_live = (dates - programme["live_on"].to_numpy(dtype="datetime64[D]")[:, None]).astype(float)
    midpoint, scale = (programme[name].to_numpy(dtype=float)[:, None] for name in ("midpoint_days", "scale_days"))
    start = _logistic(-midpoint / scale)
    grown = (_logistic((days_live - midpoint) / scale) - start) / (1 - start)
    return programme["ceiling"].to_numpy()[:, None] * np.maximum(grown, 0.0)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def coverage_rows(programme: pd.DataFrame, as_of: dt.date, horizon_weeks: int, seed: int) -> pd.DataFrame:
    """The `testing_coverage` file: a row a month from the go-live on, measured up to `as_of`, planned after it.

    Where a programme keeps growing, the last measured months also have the plan of the time, which was too hopeful.
    """
    end = pd.Timestamp(as_of) + pd.Timedelta(weeks=horizon_weeks)
    first = min([*programme["live_on"], end]).to_period("M").to_timestamp()
    months = pd.date_range(first, end, freq="MS")
    middles = months + pd.Timedelta(days=15)
    past = months <= pd.Timestamp(as_of)
    middles = middles.where(~past | (middles <= pd.Timestamp(as_of)), pd.Timestamp(as_of))
    tested = share_tested(programme, middles, as_of)
    rng = stream(seed, 4)
    error = rng.normal(0.0, MEASURED_ERROR, tested.shape)
    followed = programme["share_followed"].to_numpy()[:, None]
    reported_followed = np.clip(followed + rng.normal(0.0, 3 * MEASURED_ERROR, tested.shape), 0.0, 1.0)
    growing = programme["keeps_growing"].to_numpy(dtype=bool)[:, None]
    measured = _coverage_frame(
        programme, months, np.clip(tested + error, 0.001, 1.0), reported_followed, (tested > 0) & past, planned=False
    )
    planned = _coverage_frame(
        programme, months, tested, followed + 0 * tested, (tested > 0) & ~past & growing, planned=True
    )
    recent = past & (months > pd.Timestamp(as_of) - pd.DateOffset(months=PAST_PLAN_MONTHS))
    past_plan = _coverage_frame(
        programme, months, PAST_PLAN_OPTIMISM * tested, followed + 0 * tested, (tested > 0) & recent & growing, True
    )
    rows = pd.concat([measured, past_plan, planned], ignore_index=True)
    return rows.sort_values(["facility_id", "gene", "period_start", "planned"], ignore_index=True)


def _coverage_frame(
    programme: pd.DataFrame,
    months: pd.DatetimeIndex,
    tested: np.ndarray,
    followed: np.ndarray,
    wanted: np.ndarray,
    planned: bool,
) -> pd.DataFrame:
    row, month = np.nonzero(wanted)
    return pd.DataFrame(
        {
            "facility_id": programme["facility_id"].to_numpy()[row],
            "gene": programme["gene"].to_numpy()[row],
            "period_start": months[month],
            "share_tested": tested[row, month].round(4),
            "share_followed": followed[row, month].round(4),
            "planned": planned,
        }
    )
