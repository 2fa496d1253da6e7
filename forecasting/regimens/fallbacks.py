"""Guidance rows whose alternative is not possible: what they ask for then, or why the drug cannot be planned."""

import pandas as pd

from forecasting.terms import Action

ANY = "*"
NOT_APPROVED = "no_approved_alternative"
NOT_STOCKED = "alternative_not_stocked"
NUMBERS = ("dose_factor_low", "dose_factor_high", "dose_cap_mg_per_day")


def chosen_alternatives(alternatives: pd.DataFrame, drug: str, population: str) -> pd.DataFrame:
    """The alternatives of a drug for a population: its own where there are any, else those for any population."""
    of_drug = alternatives[alternatives["drug"] == drug]
    of_population = of_drug[of_drug["population"] == population]
    return of_population if len(of_population) else of_drug[of_drug["population"] == ANY]


def obstacles(guidance: pd.DataFrame, products: pd.DataFrame, alternatives: pd.DataFrame) -> pd.Series:
    """Why each row's alternative is not possible: `NOT_APPROVED`, `NOT_STOCKED`; "" where it is, or none is asked for.

    >>> rows = pd.DataFrame({"drug": ["a", "b", "b"], "population": "all", "action": "alternative"})
    >>> rows.loc[2, "action"] = "standard"
    >>> approved = pd.DataFrame({"drug": ["a"], "population": ["*"], "alternative_drug": ["c"]})
    >>> obstacles(rows, pd.DataFrame({"drug": ["a", "b"]}), approved).tolist()
    ['alternative_not_stocked', 'no_approved_alternative', '']
    """
    stocked = set(products["drug"])
    obstacle = pd.Series("", index=guidance.index, dtype=object)
    alternative_rows = guidance[guidance["action"] == Action.ALTERNATIVE]
    for (drug, population), rows in alternative_rows.groupby(["drug", "population"]):
        chosen = set(chosen_alternatives(alternatives, str(drug), str(population))["alternative_drug"])
        obstacle[rows.index] = "" if chosen & stocked else NOT_STOCKED if chosen else NOT_APPROVED
    return obstacle


def with_fallbacks(guidance: pd.DataFrame, obstacle: pd.Series) -> pd.DataFrame:
    """The guidance with the fallback's action and numbers in place of alternatives that are not possible.

    `obstacle` is that of `obstacles`. Rows without a fallback stay as they are.
    """
    replaced = (obstacle != "") & (guidance["fallback_action"].fillna("") != "")
    if not replaced.any():
        return guidance
    numbers = {name: guidance[name].mask(replaced, guidance[f"fallback_{name}"]) for name in NUMBERS}
    return guidance.assign(action=guidance["action"].mask(replaced, guidance["fallback_action"]), **numbers)
