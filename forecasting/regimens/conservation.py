"""What the stored moves must keep: treatment-days when the drug changes, milligrams x factor when the dose does."""

import numpy as np
import pandas as pd

from forecasting.regimens.fallbacks import obstacles, with_fallbacks
from forecasting.terms import Action

TOLERANCE = 1e-6
KEY = ["facility_id", "recommendation_id", "product_id"]
ENDS = ["low", "high"]


def broken_moves(
    moves: pd.DataFrame, products: pd.DataFrame, guidance: pd.DataFrame, alternatives: pd.DataFrame
) -> pd.DataFrame:
    """Moves that do not conserve: facility_id, recommendation_id, product_id and `difference` (relative to one unit).

    `moves` as stored (no row = no change), `products` described (`describe_products`), `alternatives` with drug,
    alternative_drug, population and dose_ratio. Every product of the drug of every stored guidance row is held against
    what the row asks for: a move that is missing is found as well.
    """
    guidance = with_fallbacks(guidance, obstacles(guidance, products, alternatives))
    expected = _expected(moves, products, guidance)
    sums = _sums(moves, products, guidance, alternatives)
    compared = expected.merge(sums, on=KEY, how="left").fillna(dict.fromkeys(["low", "high"], 0.0))
    difference = np.maximum(
        (compared["low"] - compared["wanted_low"]).abs(), (compared["high"] - compared["wanted_high"]).abs()
    )
    broken = compared.assign(difference=difference)[~(difference <= TOLERANCE)]
    return broken[[*KEY, "difference"]].reset_index(drop=True)


def _expected(moves: pd.DataFrame, products: pd.DataFrame, guidance: pd.DataFrame) -> pd.DataFrame:
    """By how much of itself a source unit must change: 0 for alternatives, factor - 1 for doses."""
    stored = moves[["facility_id", "recommendation_id"]].drop_duplicates()
    rows = stored.merge(guidance, on="recommendation_id").merge(
        products[["product_id", "drug", "strength_mg"]], on="drug"
    )
    dose = rows["dose_cap_mg_per_day"].fillna(rows["absolute_dose_mg_per_day"])
    capped = np.minimum(dose / rows["strength_mg"], 1.0) - 1.0
    factor = rows["action"] == Action.DOSE_FACTOR
    alternative = rows["action"] == Action.ALTERNATIVE
    for end in ENDS:
        by_dose = np.where(factor, rows[f"dose_factor_{end}"] - 1.0, capped)
        rows[f"wanted_{end}"] = np.where(alternative, 0.0, by_dose)
    return rows[[*KEY, "wanted_low", "wanted_high"]]


def _sums(
    moves: pd.DataFrame, products: pd.DataFrame, guidance: pd.DataFrame, alternatives: pd.DataFrame
) -> pd.DataFrame:
    """Sum over targets of what a source becomes, in treatment-days or milligrams of one source unit."""
    described = products.set_index("product_id")[["drug", "strength_mg", "days_per_unit"]]
    advice = guidance[["recommendation_id", "action", "population"]]
    rows = (
        moves.merge(advice, on="recommendation_id")
        .join(described, on="product_id")
        .join(described.add_prefix("to_"), on="to_product_id")
    )
    milligrams = rows["to_strength_mg"] / rows["strength_mg"]
    days = rows["to_days_per_unit"] / rows["days_per_unit"]
    is_source = rows["product_id"] == rows["to_product_id"]
    alternative = rows["action"] == Action.ALTERNATIVE
    ratio = _ratios(rows, alternatives)
    conserved = np.where(alternative, days.where(ratio.isna(), milligrams / ratio), milligrams)
    conserved = np.where(is_source, 1.0, conserved)
    weighted = rows.assign(**{end: rows[f"units_{end}"] * conserved for end in ENDS})
    sums = weighted.groupby(KEY)[ENDS].sum(min_count=1).reset_index()
    return sums[~_leaving_sources(weighted, sums, products, alternatives)]


def _ratios(rows: pd.DataFrame, alternatives: pd.DataFrame) -> pd.Series:
    """The stated dose ratio of each row's pair of drugs: that of its population, else that of any."""
    stated = alternatives.dropna(subset="dose_ratio").set_index(["drug", "alternative_drug", "population"])[
        "dose_ratio"
    ]
    of_population = pd.MultiIndex.from_frame(rows[["drug", "to_drug", "population"]])
    general = pd.MultiIndex.from_frame(rows[["drug", "to_drug", "population"]].assign(population="*"))
    return pd.Series(stated.reindex(of_population).to_numpy(), index=rows.index).fillna(
        pd.Series(stated.reindex(general).to_numpy(), index=rows.index)
    )


def _leaving_sources(
    rows: pd.DataFrame, sums: pd.DataFrame, products: pd.DataFrame, alternatives: pd.DataFrame
) -> np.ndarray:
    """Sources whose patients rightly leave: none of the drug's alternatives is among the products."""
    stocked = alternatives[alternatives["alternative_drug"].isin(set(products["drug"]))]
    drug = rows.drop_duplicates(KEY).set_index(KEY)[["drug", "action"]].reindex(pd.MultiIndex.from_frame(sums[KEY]))
    return ((drug["action"] == Action.ALTERNATIVE) & ~drug["drug"].isin(set(stocked["drug"]))).to_numpy()
