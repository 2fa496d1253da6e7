"""Counts of people who carry an allele, read as counts of its copies."""

import numpy as np
import pandas as pd

from forecasting.pharmacogenomics.genes.gene_model import GeneModel
from forecasting.pharmacogenomics.genes.phenotypes import POSITIVE
from forecasting.terms import ResultType

OF_PEOPLE = (ResultType.LOOKUP_KEY.value, ResultType.PHENOTYPE.value)


def carriers_as_copies(model: GeneModel, rows: pd.DataFrame) -> pd.DataFrame:
    """Counts of carriers as counts of allele copies: of n people k positive, `2 n (1 - sqrt(1 - k / n))` copies.

    Each allele is a test of its own, done on its own number of people. The least number sets that of all tests of a
    site, so that no test counts more people than were tested. Where only negatives are stated, the others are positive.
    Rows of other result types stay as they are.
    """
    of_people = rows["result_type"].isin(OF_PEOPLE)
    if not of_people.any():
        return rows
    positives = _positives(model, rows[of_people])
    least = positives.groupby("facility_id")["tested"].transform("min")
    share = (positives["count"] / positives["tested"].where(positives["tested"] > 0)).clip(0.0, 1.0)
    copies = 2 * least * (1 - np.sqrt(1 - share))
    positives = positives.assign(count=copies, tested=least, result_type=ResultType.ALLELE.value)
    return pd.concat([rows[~of_people], positives[list(rows.columns)]], ignore_index=True)


def _positives(model: GeneModel, rows: pd.DataFrame) -> pd.DataFrame:
    """One row per site, group and test with the number of carriers in `count` and the allele in `result`."""
    key_of = {phenotype: key for key, phenotype in model.phenotype_of_key.items()} | {key: key for key in model.keys}
    key = rows["result"].astype(str).str.strip().map(key_of)
    positive = key.fillna("").str.endswith(POSITIVE)
    carriers = rows["count"].where(positive, rows["tested"] - rows["count"])
    allele = key.map(model.test_of_key).fillna(rows["result"])
    counted = rows.assign(count=carriers, result=allele, positive=positive).sort_values("positive", kind="stable")
    return counted.drop_duplicates(["facility_id", "group", "result"], keep="last").drop(columns="positive")
