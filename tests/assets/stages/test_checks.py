"""The check of stored moves against what guidance asks for, also where an alternative is not possible."""

import numpy as np
import pandas as pd
import pytest

from forecasting.regimens.conservation import broken_moves
from forecasting.regimens.moves import build_moves
from forecasting.regimens.strengths import describe_products


@pytest.fixture
def products() -> pd.DataFrame:
    stocked = {"product_id": ["old-10", "old-20", "new-5"], "drug": ["old", "old", "new"], "dose_form": "tablet"}
    doses = {"strength_value": [10.0, 20.0, 5.0], "strength_unit": "mg", "usual_daily_dose": [10.0, 10.0, 5.0]}
    return describe_products(pd.DataFrame(stocked | doses), pd.DataFrame({"drug": [], "usual_daily_dose_mg": []}))


@pytest.fixture
def guidance() -> pd.DataFrame:
    """Another drug; where that is not possible, 50 to 80 % of the dose."""
    row = {"recommendation_id": "r", "drug": "old", "population": "general", "action": "alternative"}
    row |= {"dose_factor_low": np.nan, "dose_factor_high": np.nan, "dose_cap_mg_per_day": np.nan}
    row |= {"absolute_dose_mg_per_day": np.nan, "applies_to": "start", "fallback_action": "dose_factor"}
    row |= {"fallback_dose_factor_low": 0.5, "fallback_dose_factor_high": 0.8, "fallback_dose_cap_mg_per_day": np.nan}
    return pd.DataFrame([row])


def stored(products: pd.DataFrame, guidance: pd.DataFrame, alternatives: pd.DataFrame) -> pd.DataFrame:
    """The moves of a site in long form, as they are stored."""
    nobody = pd.DataFrame({"drug": [], "population": [], "share": []})
    (therapy,) = build_moves(products, guidance, alternatives, nobody).therapies
    low, high = therapy.at_site(therapy.strength_mix(np.zeros(len(therapy.product_ids))))
    source, target = np.nonzero((low[0] != 0) | (high[0] != 0))
    ids = np.array(therapy.product_ids, dtype=object)
    moved = {"facility_id": "H", "recommendation_id": "r", "product_id": ids[source], "to_product_id": ids[target]}
    return pd.DataFrame(moved | {"units_low": low[0][source, target], "units_high": high[0][source, target]})


@pytest.mark.parametrize("named", [["new"], ["nowhere"], []])
def test_moves_keep_what_the_row_asks_for_with_the_alternatives_there_are(
    products: pd.DataFrame, guidance: pd.DataFrame, named: list[str]
) -> None:
    columns = {"drug": "old", "population": "*", "share": 1.0, "dose_ratio": np.nan}
    alternatives = pd.DataFrame({"alternative_drug": named}).assign(**columns)
    moves = stored(products, guidance, alternatives)
    assert set(moves["to_product_id"]) == ({"old-10", "old-20", "new-5"} if named == ["new"] else {"old-10", "old-20"})
    assert broken_moves(moves, products, guidance, alternatives).empty
    wrong = moves.assign(units_high=moves["units_high"] + 0.1)
    assert set(broken_moves(wrong, products, guidance, alternatives)["product_id"]) == {"old-10", "old-20"}
