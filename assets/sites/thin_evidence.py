"""The sentence of a recommendation on its genotype evidence, where it is thin or that of other groups."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from assets.sites.genetics import Genetics
from forecasting.pharmacogenomics.prevalence.representation import THIN_PEOPLE, THIN_UNTESTED
from forecasting.terms import ALL_GROUPS, Basis

ITEM = ["facility_id", "product_id"]


def thin_evidence(representation: pd.DataFrame, moves: pd.DataFrame, genetics: Genetics) -> pd.Series:
    """Text by (facility_id, product_id) of products whose demand rests on thin evidence; others have none.

    One sentence a gene: whose frequencies stand in for the site's own, and what its assay does not look for.
    """
    sites = representation[representation["biogeographic_group"] == ALL_GROUPS]
    sites = sites[sites["packs_per_week"] > 0]
    groups = representation[representation["basis"] == Basis.STAND_IN.value]
    stood_in = groups.groupby(["facility_id", "gene"])["biogeographic_group"].agg(lambda names: sorted(set(names)))
    rows = sites.join(stood_in.rename("stood_in"), on=["facility_id", "gene"])
    rows = rows[rows["thin"].astype(bool) | rows["stood_in"].notna() | rows["share_served"].isna()]
    if rows.empty:
        return pd.Series(dtype=object, index=pd.MultiIndex.from_arrays([[], []], names=ITEM))
    sentences = rows.assign(text=[_sentence(row) for row in rows.to_dict("records")])
    of_products = _drugs_of_products(moves, genetics).merge(sentences[["facility_id", "drug", "gene", "text"]])
    distinct = of_products.drop_duplicates([*ITEM, "gene", "text"]).sort_values([*ITEM, "gene", "text"])
    return distinct.groupby(ITEM)["text"].agg(" ".join)


def _drugs_of_products(moves: pd.DataFrame, genetics: Genetics) -> pd.DataFrame:
    """`facility_id`, `product_id` and `drug` whose advice in force takes from the product or adds to it."""
    parts = []
    for site, rows in moves.groupby("facility_id"):
        drug = rows["recommendation_id"].map(genetics.rows_at(str(site))["drug"])
        parts += [
            rows.assign(drug=drug, product_id=rows[name])[[*ITEM, "drug"]] for name in ("product_id", "to_product_id")
        ]
    columns = pd.DataFrame(columns=[*ITEM, "drug"], dtype=object)
    return pd.concat(parts, ignore_index=True).dropna().drop_duplicates() if parts else columns


def _sentence(row: Mapping[Any, Any]) -> str:
    """What the frequencies of a gene rest on at a site.

    >>> row = {"gene": "CYP2C19", "basis": "published", "effective_n": 20.0, "share_served": 1.0}
    >>> _sentence(row | {"stood_in": ["Latino"], "alleles_not_tested": "*3", "untested_share": 0.03})
    "CYP2C19: published frequencies stand in for counts of the site's own, other groups' for Latino; worth about 20 \
people; the assay does not look for *3."
    """
    bases = []
    if row["basis"] != Basis.COUNTS.value:
        bases.append("published frequencies stand in for counts of the site's own")
    if isinstance(row["stood_in"], list):
        groups = f"for {', '.join(row['stood_in'])}"
        bases.append(f"other groups' {groups}" if bases else f"other groups' frequencies stand in {groups}")
    parts = [", ".join(bases)] if bases else []
    if row["share_served"] != row["share_served"]:
        parts.append("the ancestry of the people served is not known")
    if row["effective_n"] <= THIN_PEOPLE:
        parts.append(f"worth about {row['effective_n']:.0f} people")
    if isinstance(row["alleles_not_tested"], str) and row["untested_share"] >= THIN_UNTESTED:
        parts.append(f"the assay does not look for {', '.join(row['alleles_not_tested'].split(';'))}")
    return f"{row['gene']}: {'; '.join(parts)}."
