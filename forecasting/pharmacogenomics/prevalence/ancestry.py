"""Who a site serves: shares of CPIC's biogeographic groups."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecasting.arrays import Floats
from forecasting.errors import InvalidInput
from forecasting.terms import BiogeographicGroup

GROUPS = tuple(group.value for group in BiogeographicGroup)
"""The groups in the order of every array over groups."""

WHOLE_SITE = -1
"""In place of a group's index: people whose group is not stated."""


def site_shares(facility_ids: Sequence[str], ancestry: pd.DataFrame | None) -> tuple[Floats, list[tuple[str, str]]]:
    """Ancestry shares [S, 9] in the order of `GROUPS`; a row of zeros for a site without any; problems per site.

    Shares that do not sum to 1 are scaled and reported; an unknown group or a negative share raises `InvalidInput`.
    """
    shares = np.zeros((len(facility_ids), len(GROUPS)))
    problems: list[tuple[str, str]] = []
    if ancestry is not None and len(ancestry):
        site_of = {facility: i for i, facility in enumerate(facility_ids)}
        rows = ancestry[ancestry["facility_id"].isin(list(site_of))]
        wrong = rows[~rows["biogeographic_group"].isin(GROUPS) | ~(rows["share"] >= 0)]
        if len(wrong):
            row = wrong.iloc[0]
            raise InvalidInput(
                f"ancestry of {row['facility_id']}: {row['biogeographic_group']} with share {row['share']} is not "
                "one of CPIC's groups with a share of 0 or more"
            )
        sites = [site_of[facility] for facility in rows["facility_id"]]
        np.add.at(shares, (sites, [GROUPS.index(group) for group in rows["biogeographic_group"]]), rows["share"])
    totals = shares.sum(axis=1)
    for facility, total in zip(facility_ids, totals, strict=True):
        if total > 0 and abs(total - 1) > 1e-6:
            problems.append((facility, f"ancestry shares sum to {total:.4g} and were scaled to 1"))
    return np.divide(shares, totals[:, None], out=np.zeros_like(shares), where=totals[:, None] > 0), problems
