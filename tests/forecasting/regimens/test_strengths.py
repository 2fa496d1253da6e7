"""Splitting a dose over stocked strengths, against a slow obvious oracle; and what is told of a product."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.regimens.strengths import describe_products, split_over_strengths

ladders = st.lists(st.integers(1, 400), min_size=1, max_size=6, unique=True)


def oracle(wanted: Fraction, stocked: list[int]) -> list[Fraction]:
    """Look for the neighbours one by one, in exact fractions."""
    units = [Fraction(0)] * len(stocked)
    lower = [one for one in stocked if one <= wanted]
    upper = [one for one in stocked if one >= wanted]
    if not lower:
        units[stocked.index(min(stocked))] = wanted / min(stocked)
    elif not upper:
        units[stocked.index(max(stocked))] = wanted / max(stocked)
    elif wanted in stocked:
        units[stocked.index(int(wanted))] = Fraction(1)
    else:
        low, high = max(lower), min(upper)
        share = (wanted - low) / (high - low)
        units[stocked.index(low)], units[stocked.index(high)] = 1 - share, share
    return units


@settings(deadline=None)
@given(ladders, st.fractions(Fraction(1, 8), 500, max_denominator=8))
def test_a_dose_is_split_as_the_slow_oracle_splits_it(stocked: list[int], wanted: Fraction) -> None:
    units = split_over_strengths(float(wanted), np.array(stocked, dtype=float))
    assert units.tolist() == pytest.approx([float(one) for one in oracle(wanted, stocked)], abs=1e-12)


@settings(deadline=None)
@given(ladders, st.floats(0.1, 900))
def test_milligrams_are_kept_and_within_the_ladder_one_unit_is_used(stocked: list[int], wanted: float) -> None:
    strengths = np.array(stocked, dtype=float)
    units = split_over_strengths(wanted, strengths)
    assert units @ strengths == pytest.approx(wanted)
    assert (units >= 0).all()
    assert np.count_nonzero(units) <= 2
    if strengths.min() <= wanted <= strengths.max():
        assert units.sum() == pytest.approx(1.0)


def one_product(**columns: object) -> pd.DataFrame:
    usual = {"product_id": "p", "drug": "d", "strength_value": 5.0, "strength_unit": "mg", "dose_form": "tablet"}
    return pd.DataFrame([usual | {"usual_daily_dose": None} | columns])


DOSES = pd.DataFrame({"drug": ["d"], "usual_daily_dose_mg": [10.0]})


@pytest.mark.parametrize(
    ("unit", "value", "milligrams"),
    [("mg", 5, 5), ("g", 0.005, 5), ("microgram", 5000, 5), ("MG", 5, 5), ("µg", 1, 0.001)],
)
def test_strengths_are_compared_in_milligrams(unit: str, value: float, milligrams: float) -> None:
    told = describe_products(one_product(strength_unit=unit, strength_value=value), DOSES).iloc[0]
    assert told["strength_mg"] == pytest.approx(milligrams)
    assert told["days_per_unit"] == pytest.approx(milligrams / 10)


def test_a_products_own_usual_daily_dose_wins_over_its_drugs() -> None:
    assert describe_products(one_product(usual_daily_dose=20.0), DOSES)["days_per_unit"].tolist() == [0.25]


def test_units_without_milligrams_need_a_usual_daily_dose_of_their_own() -> None:
    international = one_product(strength_unit="IU", strength_value=1000.0)
    told = describe_products(international, DOSES).iloc[0]
    assert np.isnan(told["strength_mg"])
    assert np.isnan(told["days_per_unit"])
    own = describe_products(international.assign(usual_daily_dose=4000.0), DOSES)
    assert own["days_per_unit"].tolist() == [0.25]


def test_an_unknown_drug_has_no_treatment_days() -> None:
    assert describe_products(one_product(drug="other"), DOSES)["days_per_unit"].isna().all()


@pytest.mark.parametrize(
    ("form", "route"),
    [
        ("tablet", "enteral"),
        ("Powder for infusion vial", "parenteral"),
        ("oral solution", "enteral"),
        ("suspension", "enteral"),
    ],
)
def test_the_route_is_read_from_the_dose_form(form: str, route: str) -> None:
    assert describe_products(one_product(dose_form=form), DOSES)["route"].tolist() == [route]
