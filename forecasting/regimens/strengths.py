"""Strengths in milligrams, treatment-days, and how a wanted dose is made from the strengths that are stocked."""

import numpy as np
import pandas as pd

MG_PER_UNIT = {"mg": 1.0, "g": 1000.0, "microgram": 0.001, "micrograms": 0.001, "mcg": 0.001, "ug": 0.001, "µg": 0.001}
"""Milligrams in one unit of mass; other units (IU, mmol) have no milligrams and keep their own usual daily dose."""

PARENTERAL = r"\b(?:vial|ampoule|injection|infusion|syringe|pen)s?\b"
"""Words of dose forms that are not swallowed; whole words, since a suspension is no pen."""


def describe_products(products: pd.DataFrame, usual_daily_dose: pd.DataFrame) -> pd.DataFrame:
    """Products with what moves need: `strength_mg`, `daily_dose` (strength_unit per day), `days_per_unit`, `route`.

    `products` has product_id, drug, strength_value, strength_unit, dose_form, usual_daily_dose; `usual_daily_dose` has
    drug and usual_daily_dose_mg. The product's own usual daily dose wins over the drug's. What is not known is NaN:
    such a product can change its dose, and has no treatment-days.

    >>> products = pd.DataFrame({"product_id": ["a"], "drug": ["clopidogrel"], "strength_value": [75.0],
    ...     "strength_unit": ["mg"], "dose_form": ["tablet"], "usual_daily_dose": [None]})
    >>> doses = pd.DataFrame({"drug": ["clopidogrel"], "usual_daily_dose_mg": [75.0]})
    >>> describe_products(products, doses)["days_per_unit"].tolist()
    [1.0]
    """
    frame = products.copy()
    mg_per_unit = frame["strength_unit"].str.lower().map(MG_PER_UNIT).astype(float)
    strength = frame["strength_value"].astype(float)
    frame["strength_mg"] = strength * mg_per_unit
    by_drug = frame["drug"].map(usual_daily_dose.set_index("drug")["usual_daily_dose_mg"]).astype(float) / mg_per_unit
    frame["daily_dose"] = frame["usual_daily_dose"].astype(float).fillna(by_drug)
    frame["days_per_unit"] = strength / frame["daily_dose"]
    parenteral = frame["dose_form"].str.lower().str.contains(PARENTERAL, regex=True).astype(bool)
    frame["route"] = np.where(parenteral, "parenteral", "enteral")
    return frame.reset_index(drop=True)


def split_over_strengths(wanted: float, stocked: np.ndarray) -> np.ndarray:
    """Units of each stocked strength that make one wanted dose, from the nearest strengths below and above.

    `stocked` holds strengths in the unit of `wanted`. Milligrams are conserved: units @ stocked == wanted. Between two
    strengths one unit in all is used; beyond the ends, parts or multiples of the smallest or largest.

    >>> split_over_strengths(15, np.array([10.0, 20.0, 40.0])).tolist()
    [0.5, 0.5, 0.0]
    >>> split_over_strengths(5, np.array([10.0, 20.0])).tolist()
    [0.5, 0.0]
    """
    units = np.zeros(len(stocked))
    below, above = stocked[stocked <= wanted], stocked[stocked >= wanted]
    if len(below) == 0 or len(above) == 0:
        nearest = int(np.argmin(np.abs(stocked - wanted)))
        units[nearest] = wanted / stocked[nearest]
        return units
    low, high = below.max(), above.min()
    share_high = 0.0 if high == low else (wanted - low) / (high - low)
    units[int(np.argmax(stocked == low))] += 1.0 - share_high
    units[int(np.argmax(stocked == high))] += share_high
    return units
