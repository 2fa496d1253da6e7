"""Public demand panels in the shape the engine takes, each with the protocol it is scored by.

`PANELS` names them; `load("pbs", folder)` gives one back. The data are not part of this repository.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.demand.series import DemandPanel
from forecasting.terms import Period


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a panel is scored: `origins` forecasts of `horizon` periods, `step` periods apart, the last at the end.

    Series whose naive error is below `smallest_scale` (dose units) are no measure for scaled errors; `metric` is the
    one that ranks point forecasts on the panel.
    """

    horizon: int
    origins: int
    step: int
    smallest_scale: float = 0.0
    metric: str = "mase"


PANELS: dict[str, tuple[Callable[[Path], DemandPanel], Protocol]] = {}


def panel(name: str, protocol: Protocol) -> Callable[[Callable[[Path], DemandPanel]], Callable[[Path], DemandPanel]]:
    """Registers a loader under a panel's name."""

    def register(loader: Callable[[Path], DemandPanel]) -> Callable[[Path], DemandPanel]:
        PANELS[name] = (loader, protocol)
        return loader

    return register


def load(name: str, folder: Path) -> tuple[DemandPanel, Protocol]:
    """The panel and its protocol from the folder that holds `rx/`."""
    loader, protocol = PANELS[name]
    return loader(folder / "rx"), protocol


def from_rows(rows: pd.DataFrame, period: Period, *, silence_is_zero: bool = True) -> DemandPanel:
    """One row a facility and product; a missing period after the first row is 0 (or unknown)."""
    table = rows.pivot_table(
        index=["facility_id", "product_id"], columns="period_start", values="quantity", aggfunc="sum"
    )
    starts = pd.date_range(
        table.columns.min(), table.columns.max(), freq={"week": "7D", "quarter": "QS"}.get(period, "MS")
    )
    values = table.reindex(columns=starts).to_numpy(dtype=float)
    if silence_is_zero:
        launched = np.maximum.accumulate(np.isfinite(values), axis=1)
        values = np.where(launched & np.isnan(values), 0.0, values)
    facilities, products = (tuple(map(str, table.index.get_level_values(level))) for level in (0, 1))
    return DemandPanel(
        facilities, products, np.maximum(values, 0.0), dt.date.fromisoformat(str(starts[0].date())), period
    )


def _rows(source: pd.DataFrame, facility: str, product: list[str], start: str, quantity: str) -> pd.DataFrame:
    named = source[product].astype(str).agg("/".join, axis=1)
    return pd.DataFrame(
        {
            "facility_id": source[facility].astype(str),
            "product_id": named,
            "period_start": pd.to_datetime(source[start]),
            "quantity": source[quantity].astype(float),
        }
    )


@panel("pbs", Protocol(horizon=12, origins=3, step=6, smallest_scale=1.0))
def _pbs(folder: Path) -> DemandPanel:
    """Australian PBS scripts: concession x type x ATC2, monthly 1991-07 to 2008-06."""
    source = pd.read_csv(folder / "pbs_atc2_month_1991_2008.csv.gz")
    return from_rows(_rows(source, "Concession", ["Type", "ATC2"], "Month", "Scripts"), Period.MONTH)


@panel("rxgaba", Protocol(horizon=12, origins=3, step=6))
def _gabapentinoids(folder: Path) -> DemandPanel:
    """English gabapentinoid daily doses: area x drug, monthly 2010-08 to 2019-04."""
    source = pd.read_csv(folder / "epd_gabapentinoids_ccg_month_ddd.csv.gz")
    return started(from_rows(_rows(source, "pct", ["drug"], "month", "gaba_ddd"), Period.MONTH), 24)


@panel("rxsert", Protocol(horizon=6, origins=3, step=3))
def _sertraline(folder: Path) -> DemandPanel:
    """English sertraline quantity: area x presentation, monthly 2022-01 to 2024-12."""
    source = pd.read_csv(folder / "epd_sertraline_ccg_month.csv.gz", dtype={"ccg_id": str})
    return started(from_rows(_rows(source, "ccg_id", ["bnf_code"], "month", "quantity"), Period.MONTH), 6)


@panel("rxnarc", Protocol(horizon=6, origins=3, step=3))
def _narcolepsy(folder: Path) -> DemandPanel:
    """Issues at English hospital trusts: trust x strength of narcolepsy and ADHD drugs, monthly 2019-01 to 2021-10."""
    source = pd.read_csv(folder / "scmd_adhd_narcolepsy_trust_month.csv.gz", dtype={"vmp_snomed_code": str})
    rows = _rows(source, "ods_code", ["vmp_snomed_code"], "year_month", "total_quantity")
    panel = from_rows(rows, Period.MONTH)
    # the published selection: silence is zero from the panel's first month on, demand in four months before any origin
    whole = dataclasses.replace(panel, values=np.nan_to_num(panel.values))
    return whole.select((whole.values[:, :22] > 0).sum(axis=1) >= 4)


@panel("pharm", Protocol(horizon=13, origins=8, step=13))
def _pharmacy(folder: Path) -> DemandPanel:
    """One pharmacy's sales: 8 ATC groups, weekly 2014 to 2019."""
    source = pd.read_csv(folder / "pharmacy_pos_weekly.csv").melt("datum", var_name="product", value_name="quantity")
    return from_rows(_rows(source.assign(facility="one"), "facility", ["product"], "datum", "quantity"), Period.WEEK)


def started(panel: DemandPanel, column: int) -> DemandPanel:
    """The series launched before the column."""
    return panel.select(np.isfinite(panel.values[:, :column]).any(axis=1))
