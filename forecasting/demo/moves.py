"""What genotype really does to the drug mix of the simulation: dose units of one product become units of others.

The rules are in `tables/moves.csv` with their guideline; `share_affected` (the part of the drug's patients the advice
reaches: indication, dose range) and the factors inside a guideline's range are assumptions of the simulation. Written
as plain loops over rules and products on purpose: a second, obvious implementation beside `forecasting.regimens`.
"""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from forecasting.demo.genotypes import SiteGenotypes, assayed_genes
from forecasting.demo.tables import table


def dose_move(strengths: np.ndarray, index: int, factor: float) -> np.ndarray:
    """Units of each strength that replace one unit of `strengths[index]` when the dose is multiplied by `factor`.

    Milligrams are conserved times the factor, split between the two nearest strengths so that the number of units stays
    one; outside the range of strengths the nearest one is taken and its number changes.

    >>> dose_move(np.array([10.0, 20.0, 40.0]), 2, 0.75).round(3).tolist()
    [0.0, 0.5, 0.5]
    >>> dose_move(np.array([10.0, 20.0]), 0, 0.5).tolist()
    [0.5, 0.0]
    """
    wanted = strengths[index] * factor
    units = np.zeros(len(strengths))
    below, above = strengths <= wanted, strengths >= wanted
    if not below.any() or not above.any():
        nearest = int(np.argmin(np.abs(strengths - wanted)))
        units[nearest] = wanted / strengths[nearest]
        return units
    low = int(np.flatnonzero(below)[np.argmax(strengths[below])])
    high = int(np.flatnonzero(above)[np.argmin(strengths[above])])
    if low == high:
        units[low] = 1.0
        return units
    units[high] = (wanted - strengths[low]) / (strengths[high] - strengths[low])
    units[low] = 1.0 - units[high]
    return units


def alternative_move(products: pd.DataFrame, index: int, alternatives: dict[str, float], mix: np.ndarray) -> np.ndarray:
    """Units of each product that replace one unit of product `index` when its patients get other drugs.

    `products` has `drug, strength_value, usual_daily_dose`; `mix` is each product's share of its drug's treatment-days.
    Treatment-days are conserved unless a dose ratio is stated for the pair, which then converts milligrams.
    """
    own = products.iloc[index]
    strength = products["strength_value"].to_numpy()
    units = np.zeros(len(products))
    for drug, share in alternatives.items():
        of_drug = (products["drug"] == drug).to_numpy()
        dose = float(products.loc[of_drug, "usual_daily_dose"].iloc[0])
        ratio = dose_ratios().get((own["drug"], drug), dose / own["usual_daily_dose"])
        units += share * own["strength_value"] * ratio * np.where(of_drug, mix, 0.0) / strength
    return units


@cache
def dose_ratios() -> dict[tuple[str, str], float]:
    """Milligrams of the alternative per milligram replaced, where a dose ratio is stated.

    >>> dose_ratios()["codeine", "morphine"]
    0.1
    """
    rows = table("alternatives").dropna(subset=["dose_ratio"])
    return dict(zip(zip(rows["drug"], rows["alternative_drug"], strict=True), rows["dose_ratio"], strict=True))


def gene_sets() -> dict[str, set[str]]:
    """Genes whose results a drug's advice needs.

    >>> sorted(gene_sets()["warfarin"])
    ['CYP2C9', 'VKORC1']
    """
    rules = table("moves")
    return {str(drug): set(rows["gene_1"]) | set(rows["gene_2"].dropna()) for drug, rows in rules.groupby("drug")}


def rule_shares(sites: SiteGenotypes) -> pd.DataFrame:
    """Share of a drug's patients whom each rule reaches: the rules with a column per facility; the first match wins."""
    rules = table("moves")
    shares = np.zeros((len(rules), len(sites.facility_ids)))
    for _, rows in rules.groupby("drug"):
        names = [str(rows["gene_1"].iloc[0]), *rows["gene_2"].dropna().unique()]
        people = sites.shares[:, :, None] * sites.key_shares(names[0])
        if len(names) == 2:
            people = people[..., None] * sites.key_shares(names[1])[:, :, None, :]
        people = people.sum(axis=1).copy()
        for position, rule in zip(rows.index.to_numpy(), rows.to_dict("records"), strict=True):
            reached = _matches(names[0], rule["keys_1"])
            if len(names) == 2:
                reached = reached[:, None] & _matches(names[1], rule["keys_2"])
            shares[position] = people[:, reached].sum(axis=1) * rule["share_affected"]
            people[:, reached] = 0.0
    return pd.concat([rules, pd.DataFrame(shares, columns=list(sites.facility_ids))], axis=1)


def _matches(gene: str, pattern: str) -> np.ndarray:
    """Which lookup keys of the gene a pattern names, by key or by phenotype; likely and possible count as certain."""
    key_names = [(key, assayed_genes()[gene].phenotype_of_key[key]) for key in assayed_genes()[gene].keys]
    without_likelihood = [
        {name.removeprefix("Likely ").removeprefix("Possible ") for name in names} for names in key_names
    ]
    return np.array([pattern == "*" or not names.isdisjoint(pattern.split(";")) for names in without_likelihood])


def genetic_change(products: pd.DataFrame, rules: pd.DataFrame, facility_id: str, mix: np.ndarray) -> np.ndarray:
    """Change of dose units per unit of usual care at full exposure, shape (products, products): T - I.

    Row i says what one unit of product i becomes, less itself. `mix` also says what is on the market: a product with
    share 0 receives nothing.
    """
    change = np.zeros((len(products), len(products)))
    for rule in rules.to_dict("records"):
        for index in np.flatnonzero((products["drug"] == rule["drug"]).to_numpy()):
            change[index] += rule[facility_id] * _move(products, int(index), rule, mix)
            change[index, index] -= rule[facility_id]
    return change


def _move(products: pd.DataFrame, index: int, rule: dict[Any, Any], mix: np.ndarray) -> np.ndarray:
    """Units of each product that replace one unit of product `index` for a patient whom the rule reaches."""
    if isinstance(rule["alternatives"], str):
        named = dict(pair.split(":") for pair in rule["alternatives"].split(";"))
        return alternative_move(products, index, {drug: float(share) for drug, share in named.items()}, mix)
    strengths = products["strength_value"].to_numpy(dtype=float)
    same = np.flatnonzero(((products["drug"] == products["drug"].iloc[index]) & (mix > 0)).to_numpy())
    factor = rule["dose_factor"] if np.isnan(rule["dose_cap"]) else min(1.0, rule["dose_cap"] / strengths[index])
    units = np.zeros(len(products))
    if index in same:
        units[same] = dose_move(strengths[same], int(np.flatnonzero(same == index)[0]), factor)
    return units
