"""Exposure: the share of a gene's treated patients whose prescribing follows a result, per site and period."""

import datetime as dt

import numpy as np
import pandas as pd

from forecasting.terms import NO_RESULT

SMOOTH_GAP_DAYS = 35
"""Rows closer than this are samples of one smooth path and joined by a line; further apart, the earlier one holds."""


def exposure_path(coverage: pd.DataFrame, starts: pd.DatetimeIndex, as_of: dt.date) -> tuple[np.ndarray, np.ndarray]:
    """(exposure, planned) per period start for one site and gene; exposure = share_tested x share_followed.

    `coverage` has period_start, planned, share_tested, share_followed. What was measured before `as_of` holds; plans
    speak only for the time after the last measurement, and measurements dated at or after `as_of` are not known yet.
    The first measurement holds backwards (unknown is not zero), but before a plan with nothing measured there was no
    testing: such a plan is a go-live. The last row holds on.

    >>> coverage = pd.DataFrame({"period_start": pd.to_datetime(["2026-03-02"]), "planned": [True],
    ...     "share_tested": [0.5], "share_followed": [0.8]})
    >>> starts = pd.to_datetime(pd.Index(["2026-02-23", "2026-03-02", "2026-03-09"]))
    >>> exposure_path(coverage, starts, dt.date(2026, 2, 1))[0].tolist()
    [0.0, 0.4, 0.4]
    """
    coverage_known = _known_coverage(coverage, pd.Timestamp(as_of))
    if coverage_known.empty:
        return np.zeros(len(starts)), np.zeros(len(starts), dtype=bool)
    days = _day_number(coverage_known["period_start"])
    value = (coverage_known["share_tested"].astype(float) * coverage_known["share_followed"].astype(float)).to_numpy()
    first_known = 0.0 if bool(coverage_known["planned"].iloc[0]) else value[0]
    wanted_days = _day_number(pd.Series(starts))
    row = np.searchsorted(days, wanted_days, side="right") - 1
    is_before = row < 0
    row = np.maximum(row, 0)
    following = np.minimum(row + 1, len(days) - 1)
    gap = days[following] - days[row]
    share = np.where((gap > 0) & (gap <= SMOOTH_GAP_DAYS), (wanted_days - days[row]) / np.maximum(gap, 1), 0.0)
    path = value[row] + share * (value[following] - value[row])
    planned = coverage_known["planned"].to_numpy(dtype=bool)[row]
    return np.where(is_before, first_known, path), np.where(is_before, False, planned)


def exposure_table(
    coverage: pd.DataFrame, facility_ids: list[str], starts: pd.DatetimeIndex, as_of: dt.date
) -> pd.DataFrame:
    """Exposure of every site and gene with coverage rows: facility_id, gene, period_start, exposure, planned."""
    parts = []
    rows_of_sites = coverage[coverage["facility_id"].isin(facility_ids)].sort_values("period_start")
    for (facility_id, gene), rows in rows_of_sites.groupby(["facility_id", "gene"]):
        exposure, planned = exposure_path(rows, starts, as_of)
        parts.append(
            pd.DataFrame(
                {
                    "facility_id": facility_id,
                    "gene": gene,
                    "period_start": starts,
                    "exposure": exposure,
                    "planned": planned,
                }
            )
        )
    columns = ["facility_id", "gene", "period_start", "exposure", "planned"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _known_coverage(coverage: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    planned = coverage["planned"].astype(bool)
    measured = coverage[~planned & (coverage["period_start"] < as_of)]
    plans = coverage[planned]
    if len(measured):
        plans = plans[plans["period_start"] > measured["period_start"].max()]
    return pd.concat([measured, plans]).sort_values("period_start")


def _day_number(stamps: pd.Series) -> np.ndarray:
    return stamps.to_numpy(dtype="datetime64[D]").astype(np.int64)


def row_exposure(rows: pd.DataFrame, by_gene: dict[str, np.ndarray]) -> np.ndarray:
    """Exposure [period, row] of guidance rows (gene_1, lookup_key_1, gene_2, lookup_key_2; blank = no second gene).

    `by_gene` holds each gene's exposure [period]; a gene without one was not tested. Whoever is tested for the less
    tested gene of a rule is taken to be tested for the other too (panels): rows with both keys apply to those, rows
    with "No Result" for one gene to those who have the other alone.
    """
    periods = len(next(iter(by_gene.values()))) if by_gene else 0
    untested = np.zeros(periods)
    columns = []
    for row in rows[["gene_1", "lookup_key_1", "gene_2", "lookup_key_2"]].itertuples(index=False):
        first = by_gene.get(str(row.gene_1), untested)
        second = by_gene.get(str(row.gene_2), untested) if row.gene_2 else first
        both = np.minimum(first, second)
        if row.lookup_key_1 == NO_RESULT:
            columns.append(second - both)
        elif row.gene_2 and row.lookup_key_2 == NO_RESULT:
            columns.append(first - both)
        else:
            columns.append(both)
    return np.stack(columns, axis=1) if columns else np.zeros((periods, 0))
