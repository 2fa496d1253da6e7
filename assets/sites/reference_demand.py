"""History of the series that therapies move, brought to the exposure of the origin."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.sites.content import knowledge
from assets.sites.genetics import Genetics, assemble, with_learned
from forecasting.demand.series import DemandPanel, panel_from_frame
from forecasting.population import INTERACTION, planned_mean
from forecasting.regimens.therapy import TherapyAtSite
from warehouse.schema import Base


def reference_values(panel: DemandPanel, therapies: dict[str, list[TherapyAtSite]]) -> np.ndarray:
    """The panel's values [series, period] at the exposure of its last period; unknown stays unknown."""
    values = panel.values.copy()
    for _, rows, therapy in therapy_rows(panel, therapies):
        there = rows >= 0
        history = np.where(there[:, None], values[rows], np.nan).T
        values[rows[there]] = therapy.reference_history(history).T[there]
    return values


def therapy_rows(
    panel: DemandPanel, therapies: dict[str, list[TherapyAtSite]]
) -> Iterator[tuple[str, np.ndarray, TherapyAtSite]]:
    """(site, row of each of the therapy's products in the panel or -1, therapy), for every site and therapy."""
    place = {key: row for row, key in enumerate(zip(panel.facility_ids, panel.product_ids, strict=True))}
    for site, of_site in therapies.items():
        for therapy in of_site:
            yield site, np.array([place.get((site, product_id), -1) for product_id in therapy.product_ids]), therapy


def planned_means(
    mean: np.ndarray, panel: DemandPanel, therapies: dict[str, list[TherapyAtSite]]
) -> tuple[np.ndarray, np.ndarray]:
    """Means [series, horizon] at the exposure that came, and which series a change of testing touches."""
    planned, touched = mean.copy(), np.zeros(len(mean), dtype=bool)
    for _, rows, therapy in therapy_rows(panel, therapies):
        there = rows >= 0
        # guidance that changed within the held-out periods has two therapies of the same products
        start = np.where(there[:, None], planned[rows], 0.0)
        planned[rows[there]] = planned_mean(start, therapy)[there]
        touched[rows[there]] |= therapy.changes
    return planned, touched


def site_genetics(
    warehouse: Warehouse,
    run: PlanningRun,
    site_releases: pd.DataFrame,
    prevalence: pd.DataFrame,
    exposure: pd.DataFrame,
    moves: pd.DataFrame,
    panel: DemandPanel,
    effects: pd.DataFrame | None = None,
) -> Genetics:
    """The genetics of every site over the panel's history and the run's horizon.

    With `effects` (the table of learned ones) exposure is what acts; without, what coverage says.
    """
    with warehouse.engine.connect() as connection:
        known = knowledge(connection, site_releases)
    products, facilities = (warehouse.read(Base.metadata.tables[name]) for name in ("products", "facilities"))
    starts = pd.DatetimeIndex(panel.period_starts())
    genetics = assemble(run, known, prevalence, exposure, moves, products, facilities, starts)
    return genetics if effects is None else with_learned(genetics, effects, run)


def known_panel(frame: pd.DataFrame, run: PlanningRun) -> DemandPanel:
    first = frame["period_start"].min().date()
    return panel_from_frame(
        frame[["facility_id", "product_id", "period_start", "quantity"]], run.period, end=run.history_end(first)
    )


def shift_words(steps: pd.DataFrame, guidance: pd.DataFrame) -> pd.DataFrame:
    """The steps with drug, gene, lookup_key and action of their guidance row; of the balance, its own word."""
    rows = guidance.reindex(steps["recommendation_id"])
    balance = (steps["recommendation_id"] == INTERACTION).to_numpy()
    two = (rows["gene_2"].fillna("") != "").to_numpy()

    def words(first: str, second: str) -> np.ndarray:
        one = rows[first].fillna("").to_numpy(dtype=object)
        pair = np.where(two, one + "+" + rows[second].fillna("").to_numpy(dtype=object), one)
        return np.where(balance, INTERACTION, pair)

    return steps.assign(
        drug=np.where(balance, steps["therapy"], rows["drug"].fillna("")),
        gene=words("gene_1", "gene_2"),
        lookup_key=words("lookup_key_1", "lookup_key_2"),
        action=np.where(balance, INTERACTION, rows["action"].fillna("")),
    )
