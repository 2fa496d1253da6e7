"""The run that assets work for: what it was asked, read back from the runs table."""

import dataclasses
import datetime as dt
import json

import pandas as pd

from forecasting.terms import Period
from warehouse.releases import SiteReleases


@dataclasses.dataclass(frozen=True)
class PlanningRun:
    """One row of the runs table as the assets use it; `facilities` is empty for all."""

    run_id: str
    as_of: dt.date
    period: Period
    horizon: int
    with_genetics: bool
    facilities: tuple[str, ...]
    seed: int
    draws: int
    releases: SiteReleases

    @classmethod
    def from_frame(cls, runs: pd.DataFrame) -> "PlanningRun":
        """The run of a frame with one row."""
        row = runs.iloc[0]
        return cls(
            run_id=str(row["run_id"]),
            as_of=pd.Timestamp(row["as_of"]).date(),
            period=Period(row["period"]),
            horizon=int(row["horizon"]),
            with_genetics=bool(row["with_genetics"]),
            facilities=() if pd.isna(row["facilities"]) else tuple(str(row["facilities"]).split(";")),
            seed=int(row["seed"]),
            draws=int(row["draws"]),
            releases=json.loads(str(row["releases"])),
        )

    def history_end(self, grid_start: dt.date) -> dt.date:
        """Start of the last period that was complete on `as_of`, on the grid of `grid_start`.

        >>> run = PlanningRun("r", dt.date(2026, 11, 25), Period.WEEK, 26, True, (), 7, 200, {})
        >>> run.history_end(dt.date(2026, 1, 5))
        datetime.date(2026, 11, 16)
        """
        return self.period.step(grid_start, self.period.offset(self.as_of, grid_start) - 1)

    def future_starts(self, grid_start: dt.date) -> pd.DatetimeIndex:
        """Starts of the periods the run forecasts."""
        end = self.history_end(grid_start)
        return pd.DatetimeIndex([self.period.step(end, ahead) for ahead in range(1, self.horizon + 1)])
