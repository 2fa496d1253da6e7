"""Whether the genotypes that a site counted can be in Hardy-Weinberg proportions within its groups."""

from forecasting.pharmacogenomics.evidence import Evidence
from forecasting.pharmacogenomics.genes import GeneModel
from forecasting.pharmacogenomics.prior import Prior
from forecasting.pharmacogenomics.update import Update


def departures(
    model: GeneModel, prior: Prior, state: Update, evidence: Evidence, threshold: int
) -> list[tuple[str, str]]:
    """One problem (facility_id, text) per site whose counts depart."""
    return []
