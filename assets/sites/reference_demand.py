"""History of the series that therapies move, brought to the exposure of the origin."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.run_tables import RunTables
from assets.sites.content import knowledge
from assets.sites.genetics import Genetics, GeneticTables, build_genetics, with_learned
from forecasting.demand.series import DemandPanel, panel_from_frame
from forecasting.population import INTERACTION, planned_mean
from forecasting.regimens.therapy import TherapyAtSite


def reference_values(panel: DemandPanel, therapies: dict[str, list[TherapyAtSite]]) -> np.ndarray:
    """The panel's values [series, period] at the exposure of its last period; unknown stays unknown."""
    values = panel.values.copy()
    for _, rows, therapy in therapy_rows(panel, therapies):
        present = rows >= 0
        history = np.where(present[:, None], values[rows], np.nan).T
        values[rows[present]] = therapy.reference_history(history).T[present]
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
        present = rows >= 0
        # guidance that changed within the held-out periods has two therapies of the same products
        start = np.where(present[:, None], planned[rows], 0.0)
        planned[rows[present]] = planned_mean(start, therapy)[present]
        touched[rows[present]] |= therapy.exposure_changes
    return planned, touched


def site_genetics(
    tables: RunTables, panel: DemandPanel, *, run: PlanningRun | None = None, learned: bool = True
) -> Genetics:
    """The genetics of every site over the panel's history and the horizon of the run (default: that of the tables).

    With `learned` effects (the table `genetic_effects`) exposure is what acts; without, that of coverage.
    """
    run = run or tables.run
    with tables.warehouse.engine.connect() as connection:
        content = knowledge(connection, tables["site_releases"])
    frames = {name: tables[name] for name in ("prevalence", "exposure", "products", "facilities")}
    starts = pd.DatetimeIndex(panel.period_starts())
    genetics = build_genetics(run, content, GeneticTables(moves=tables["regimen_moves"], **frames), starts)
    return with_learned(genetics, tables["genetic_effects"], run) if learned else genetics


GENETIC_INPUTS = (
    *("runs", "site_releases", "prevalence", "exposure", "regimen_moves", "genetic_effects", "products", "facilities"),
)
"""Tables that `site_genetics` reads."""


def known_panel(frame: pd.DataFrame, run: PlanningRun) -> DemandPanel:
    """Demand [series, period] of the rows' quantities up to the last complete period before the origin."""
    first = frame["period_start"].min().date()
    return panel_from_frame(
        frame[["facility_id", "product_id", "period_start", "quantity"]], run.period, end=run.history_end(first)
    )


def with_guidance_terms(steps: pd.DataFrame, guidance: pd.DataFrame) -> pd.DataFrame:
    """The steps with drug, gene, lookup_key and action of their guidance row; `INTERACTION` for the balance of two."""
    rows = guidance.reindex(steps["recommendation_id"])
    balance = (steps["recommendation_id"] == INTERACTION).to_numpy()
    of_two_genes = (rows["gene_2"].fillna("") != "").to_numpy()

    def joined(first: str, second: str) -> np.ndarray:
        single = rows[first].fillna("").to_numpy(dtype=object)
        pair = np.where(of_two_genes, single + "+" + rows[second].fillna("").to_numpy(dtype=object), single)
        return np.where(balance, INTERACTION, pair)

    return steps.assign(
        drug=np.where(balance, steps["therapy"], rows["drug"].fillna("")),
        gene=joined("gene_1", "gene_2"),
        lookup_key=joined("lookup_key_1", "lookup_key_2"),
        action=np.where(balance, INTERACTION, rows["action"].fillna("")),
    )
