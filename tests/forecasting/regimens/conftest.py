"""Products, guidance and alternatives in the fewest columns that moves need."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.regimens.fallbacks import NUMBERS
from forecasting.regimens.strengths import describe_products

Table = Callable[..., pd.DataFrame]


@pytest.fixture(scope="session")
def described() -> Table:
    """Described products from (product_id, drug, strength in mg, usual daily dose in mg or None, form) tuples."""

    def make(*rows: tuple[str, str, float, float | None, str], unit: str = "mg") -> pd.DataFrame:
        columns = ["product_id", "drug", "strength_value", "usual_daily_dose", "dose_form"]
        frame = pd.DataFrame(rows, columns=columns).assign(strength_unit=unit)
        return describe_products(frame, pd.DataFrame({"drug": [], "usual_daily_dose_mg": []}))

    return make


@pytest.fixture(scope="session")
def guidance() -> Table:
    """Guidance rows of the actions given: each a dictionary of what differs from a plain row about one gene."""

    def make(*rows: dict[str, Any]) -> pd.DataFrame:
        plain = {"drug": "old", "population": "general", "gene_1": "G", "gene_2": "", "lookup_key_2": ""}
        plain |= {"lookup_key_1": "poor", "applies_to": "start_and_maintenance"}
        plain |= dict.fromkeys(["dose_factor_low", "dose_factor_high"], np.nan)
        plain |= dict.fromkeys(["dose_cap_mg_per_day", "absolute_dose_mg_per_day"], np.nan)
        plain |= {"fallback_action": ""} | {f"fallback_{name}": np.nan for name in NUMBERS}
        return pd.DataFrame([plain | {"recommendation_id": f"row-{n}"} | row for n, row in enumerate(rows)])

    return make


@pytest.fixture(scope="session")
def alternatives() -> Table:
    """Approved alternatives of `old` from (alternative_drug, share, dose_ratio, population) tuples."""

    def make(*rows: tuple[str, float | None, float | None, str]) -> pd.DataFrame:
        frame = pd.DataFrame(rows, columns=["alternative_drug", "share", "dose_ratio", "population"])
        return frame.assign(drug="old").astype({"share": float, "dose_ratio": float})

    return make


@pytest.fixture(scope="session")
def everybody() -> pd.DataFrame:
    """No shares of populations are known."""
    return pd.DataFrame({"drug": [], "population": [], "share": []}).astype({"drug": object, "population": object})
