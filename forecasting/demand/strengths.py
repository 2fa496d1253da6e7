"""Which products are strengths of one drug, and how much of it each dose unit holds."""

import dataclasses

import numpy as np
import pandas as pd

from forecasting.demand.series import DemandPanel

DOSE_UNITS = "dose units"


def amount_per_unit(products: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Amount of a dose unit by product_id, and its unit by drug: dose units where strengths are of different units."""
    units = products.groupby("drug")["strength_unit"].unique()
    unit = units.map(lambda names: names[0] if len(names) == 1 else DOSE_UNITS)
    weight = products["strength_value"].astype(float).where(products["drug"].map(unit) != DOSE_UNITS, 1.0)
    return weight.set_axis(products["product_id"]), unit


def with_strengths(panel: DemandPanel, products: pd.DataFrame) -> DemandPanel:
    """The panel with the drug of each product, and how much of it a dose unit holds.

    Strengths in different units (mg and units, say) cannot be added up: theirs is unknown.
    """
    weight, unit = amount_per_unit(products)
    product_ids = list(panel.product_ids)
    drugs = products.set_index("product_id")["drug"].loc[product_ids]
    comparable = (drugs.map(unit) != DOSE_UNITS).to_numpy()
    amount = np.where(comparable, weight.loc[product_ids].to_numpy(), np.nan)
    return dataclasses.replace(panel, drugs=tuple(drugs.astype(str)), amount_per_unit=amount)
