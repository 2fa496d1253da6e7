"""Moves: what they conserve, what they refuse to guess, and the built-in guidance over the demo's products."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from forecasting.demo import demo_network
from forecasting.pharmacogenomics.content import builtin_content
from forecasting.regimens.moves import Moves, TherapyMoves, build_moves
from forecasting.regimens.strengths import describe_products

Table = Callable[..., pd.DataFrame]
ALTERNATIVE = {"action": "alternative"}
STRENGTHS = st.lists(st.sampled_from([0.5, 1, 2.5, 5, 10, 20, 25, 40, 75, 80, 100, 500]), min_size=1, unique=True)


def only(moves: Moves) -> TherapyMoves:
    assert moves.problems.empty, moves.problems["message"].tolist()
    assert len(moves.therapies) == 1
    return moves.therapies[0]


def at_equal_mix(therapy: TherapyMoves) -> tuple[np.ndarray, np.ndarray]:
    return therapy.at_site(therapy.strength_mix(np.zeros(len(therapy.product_ids))))


@settings(deadline=None, max_examples=50)
@given(STRENGTHS, STRENGTHS, STRENGTHS, st.floats(1, 500), st.floats(1, 500), st.floats(0, 1), st.data())
def test_alternatives_conserve_treatment_days(
    described: Table,
    guidance: Table,
    alternatives: Table,
    everybody: pd.DataFrame,
    old: list[float],
    new: list[float],
    other: list[float],
    old_dose: float,
    new_dose: float,
    share: float,
    data: st.DataObject,
) -> None:
    rows = [(f"old-{s}", "old", s, old_dose, "tablet") for s in old]
    rows += [(f"new-{s}", "new", s, new_dose, "tablet") for s in new]
    rows += [(f"other-{s}", "other", s, 7.0, "capsule") for s in other]
    approved = alternatives(("new", share, None, "*"), ("other", 1 - share, None, "*"))
    therapy = only(build_moves(described(*rows), guidance(ALTERNATIVE), approved, everybody))
    sold = data.draw(st.lists(st.floats(0, 1000), min_size=len(therapy.drugs), max_size=len(therapy.drugs)))
    low, high = therapy.at_site(therapy.strength_mix(np.array(sold)))
    np.testing.assert_allclose(low @ therapy.days_per_unit, 0.0, atol=1e-9 * therapy.days_per_unit.max())
    np.testing.assert_array_equal(low, high)
    is_old = np.array(therapy.drugs) == "old"
    np.testing.assert_allclose(np.diag(low[0])[is_old], -1.0)


@settings(deadline=None, max_examples=50)
@given(STRENGTHS, st.floats(0.1, 3), st.floats(0.1, 3))
def test_dose_factors_conserve_milligrams_times_factor(
    described: Table,
    guidance: Table,
    alternatives: Table,
    everybody: pd.DataFrame,
    stocked: list[float],
    a: float,
    b: float,
) -> None:
    low_factor, high_factor = sorted((a, b))
    assume((low_factor, high_factor) != (1.0, 1.0))  # such a row moves nothing
    products = described(*[(f"old-{s}", "old", s, None, "tablet") for s in stocked])
    row = {"action": "dose_factor", "dose_factor_low": low_factor, "dose_factor_high": high_factor}
    therapy = only(build_moves(products, guidance(row), alternatives(), everybody))
    strength = products.set_index("product_id")["strength_mg"].loc[list(therapy.product_ids)].to_numpy()
    for delta, factor in zip(at_equal_mix(therapy), (low_factor, high_factor), strict=True):
        np.testing.assert_allclose(delta[0] @ strength, (factor - 1) * strength, atol=1e-9 * strength.max())


@pytest.mark.parametrize(
    "row",
    [
        {"action": "dose_cap", "dose_cap_mg_per_day": 20.0},
        {"action": "absolute_dose", "absolute_dose_mg_per_day": 20.0},
    ],
)
def test_what_exceeds_a_cap_or_stated_dose_becomes_it_and_the_rest_stays(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame, row: dict[str, Any]
) -> None:
    products = described(*[(f"old-{s}", "old", s, 40.0, "tablet") for s in (10.0, 20.0, 40.0, 80.0)])
    therapy = only(build_moves(products, guidance(row), alternatives(), everybody))
    assert therapy.product_ids == ("old-20.0", "old-40.0", "old-80.0")
    for delta in at_equal_mix(therapy):
        assert delta[0].tolist() == [[0, 0, 0], [1, -1, 0], [1, 0, -1]]


def test_a_cap_between_two_strengths_uses_both(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(("a", "old", 10.0, 40.0, "tablet"), ("b", "old", 40.0, 40.0, "tablet"))
    row = {"action": "dose_cap", "dose_cap_mg_per_day": 25.0}
    therapy = only(build_moves(products, guidance(row), alternatives(), everybody))
    assert at_equal_mix(therapy)[0][0].tolist() == [[0, 0], [0.5, -0.5]]


def test_a_dose_stays_in_its_form(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(("tablet", "old", 10.0, None, "tablet"), ("syrup", "old", 5.0, None, "oral solution"))
    row = {"action": "dose_factor", "dose_factor_low": 0.5, "dose_factor_high": 0.5}
    therapy = only(build_moves(products, guidance(row), alternatives(), everybody))
    assert at_equal_mix(therapy)[0][0].tolist() == [[-0.5, 0], [0, -0.5]]


def test_a_dose_factor_holds_for_strengths_that_are_not_in_milligrams(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    tablets = described(("tablet", "old", 10.0, None, "tablet"))
    drops = described(("drops", "old", 1000.0, None, "drops"), unit="IU")
    products = pd.concat([tablets, drops], ignore_index=True)
    row = {"action": "dose_factor", "dose_factor_low": 0.5, "dose_factor_high": 0.8}
    therapy = only(build_moves(products, guidance(row), alternatives(), everybody))
    low, high = at_equal_mix(therapy)
    assert np.diag(low[0]).tolist() == [-0.5, -0.5]
    np.testing.assert_allclose(np.diag(high[0]), [-0.2, -0.2])


def test_a_cap_blocks_a_drug_with_a_strength_that_is_not_in_milligrams(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    tablets = described(("tablet", "old", 10.0, None, "tablet"))
    drops = described(("drops", "old", 1000.0, None, "drops"), unit="IU")
    row = {"action": "dose_cap", "dose_cap_mg_per_day": 5.0}
    moves = build_moves(pd.concat([tablets, drops], ignore_index=True), guidance(row), alternatives(), everybody)
    assert moves.therapies == ()
    assert moves.problems["rule"].tolist() == ["strength_not_in_mg"]


def test_a_vial_becomes_a_vial_where_the_alternative_has_one(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(
        ("old-tablet", "old", 10.0, 10.0, "tablet"),
        ("old-vial", "old", 10.0, 10.0, "vial"),
        ("new-tablet", "new", 5.0, 5.0, "tablet"),
        ("new-vial", "new", 5.0, 10.0, "vial"),
    )
    therapy = only(build_moves(products, guidance(ALTERNATIVE), alternatives(("new", 1.0, None, "*")), everybody))
    assert at_equal_mix(therapy)[0][0].tolist() == [[-1, 0, 1, 0], [0, -1, 0, 2], [0] * 4, [0] * 4]


def test_a_vial_becomes_a_tablet_only_where_the_alternative_has_nothing_else(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(("vial", "old", 10.0, 10.0, "vial"), ("tablet", "new", 5.0, 5.0, "tablet"))
    therapy = only(build_moves(products, guidance(ALTERNATIVE), alternatives(("new", 1.0, None, "*")), everybody))
    assert at_equal_mix(therapy)[0][0].tolist() == [[-1, 1], [0, 0]]


def test_a_stated_dose_ratio_wins_over_usual_daily_doses(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    """Codeine to morphine is 10 to 1 in milligrams, although both have 100 mg as their usual daily dose."""
    products = described(("codeine", "old", 30.0, 100.0, "tablet"), ("morphine", "new", 10.0, 100.0, "tablet"))
    therapy = only(build_moves(products, guidance(ALTERNATIVE), alternatives(("new", 1.0, 0.1, "*")), everybody))
    np.testing.assert_allclose(at_equal_mix(therapy)[0][0], [[-1, 0.3], [0, 0]])


def test_a_dose_ratio_of_one_means_a_day_for_a_day(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(("o", "old", 75, 75, "tablet"), ("n", "new", 90, 180, "tablet"))
    moves = build_moves(products, guidance(ALTERNATIVE), alternatives(("new", 1.0, 1.0, "*")), everybody)
    low, _ = at_equal_mix(only(moves))
    assert low[0].tolist() == [[-1.0, 2.0], [0.0, 0.0]]


@pytest.mark.parametrize("old_dose", [None, 10.0])
def test_without_usual_daily_doses_a_dose_ratio_is_enough(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame, old_dose: float | None
) -> None:
    products = described(("a", "old", 10.0, old_dose, "tablet"), ("b", "new", 5.0, None, "tablet"))
    therapy = only(build_moves(products, guidance(ALTERNATIVE), alternatives(("new", 1.0, 0.5, "*")), everybody))
    assert at_equal_mix(therapy)[0][0].tolist() == [[-1, 1], [0, 0]]


def test_without_usual_daily_dose_or_ratio_the_drug_is_blocked(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(("a", "old", 10.0, 10.0, "tablet"), ("b", "new", 5.0, None, "tablet"))
    moves = build_moves(products, guidance(ALTERNATIVE), alternatives(("new", 1.0, None, "*")), everybody)
    assert moves.therapies == ()
    assert moves.problems["rule"].tolist() == ["treatment_days_unknown"]
    assert "new" in moves.problems["message"].iloc[0]


def test_without_an_approved_alternative_the_drug_is_blocked_whole(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    halve = {"action": "dose_factor", "dose_factor_low": 0.5, "dose_factor_high": 0.5}
    products = described(("a", "old", 10.0, 10.0, "tablet"), ("b", "new", 5.0, 5.0, "tablet"))
    rows = guidance(ALTERNATIVE, halve, halve | {"drug": "new"})
    moves = build_moves(products, rows, alternatives(), everybody)
    assert moves.problems[["drug", "rule"]].to_numpy().tolist() == [["old", "no_approved_alternative"]]
    assert [one.therapy for one in moves.therapies] == ["new"]


def test_an_alternative_approved_for_another_indication_is_not_used(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(("a", "old", 10.0, 10.0, "tablet"), ("b", "new", 5.0, 5.0, "tablet"))
    moves = build_moves(products, guidance(ALTERNATIVE), alternatives(("new", 1.0, None, "stroke")), everybody)
    assert moves.problems["rule"].tolist() == ["no_approved_alternative"]


def test_an_alternative_for_the_indication_wins_over_the_general_one(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(
        ("a", "old", 10.0, 10.0, "tablet"), ("b", "new", 5.0, 5.0, "tablet"), ("c", "newer", 5.0, 5.0, "tablet")
    )
    approved = alternatives(("new", 1.0, None, "*"), ("newer", 1.0, None, "general"))
    therapy = only(build_moves(products, guidance(ALTERNATIVE), approved, everybody))
    assert therapy.product_ids == ("a", "c")


def test_what_would_go_to_an_alternative_that_is_not_stocked_goes_to_the_others(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(("a", "old", 10.0, 10.0, "tablet"), ("b", "new", 5.0, 5.0, "tablet"))
    approved = alternatives(("new", 0.3, None, "*"), ("nowhere", 0.5, None, "*"))
    moves = build_moves(products, guidance(ALTERNATIVE), approved, everybody)
    np.testing.assert_allclose(at_equal_mix(moves.therapies[0])[0][0], [[-0.8, 0.8], [0, 0]])
    assert moves.problems["rule"].tolist() == ["alternative_not_stocked"]


def test_where_no_alternative_is_stocked_the_demand_leaves_and_that_is_said(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(("a", "old", 10.0, 10.0, "tablet"))
    moves = build_moves(products, guidance(ALTERNATIVE), alternatives(("nowhere", 1.0, None, "*")), everybody)
    assert at_equal_mix(moves.therapies[0])[0][0].tolist() == [[-1]]
    assert moves.problems[["drug", "rule"]].to_numpy().tolist() == [["old", "alternative_not_stocked"]]


HALF = {"fallback_action": "dose_factor", "fallback_dose_factor_low": 0.5, "fallback_dose_factor_high": 0.5}
HALF_INSTEAD = ALTERNATIVE | HALF


@pytest.mark.parametrize(
    ("known", "why"),
    [((), "no alternative drug is approved"), ((("nowhere", 1.0, None, "*"),), "none of its alternatives")],
)
def test_without_a_possible_alternative_the_fallback_takes_its_place_and_that_is_said(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame, known: tuple[Any, ...], why: str
) -> None:
    products = described(("a", "old", 10.0, 10.0, "tablet"), ("b", "old", 20.0, 10.0, "tablet"))
    moves = build_moves(products, guidance(HALF_INSTEAD, HALF_INSTEAD), alternatives(*known), everybody)
    (therapy,) = moves.therapies
    low, high = at_equal_mix(therapy)
    np.testing.assert_allclose(low[0], [[-0.5, 0], [1, -1]])
    assert (low == high).all()
    assert therapy.rows["action"].tolist() == ["dose_factor"] * 2
    assert moves.problems["rule"].tolist() == ["fallback_used"]
    assert why in moves.problems["message"].iloc[0]
    assert "2 guidance rows" in moves.problems["message"].iloc[0]


def test_a_possible_alternative_goes_before_the_fallback(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(("a", "old", 10.0, 10.0, "tablet"), ("b", "new", 5.0, 5.0, "tablet"))
    moves = build_moves(products, guidance(HALF_INSTEAD), alternatives(("new", 1.0, None, "*")), everybody)
    assert at_equal_mix(only(moves))[0][0].tolist() == [[-1, 1], [0, 0]]
    assert moves.problems.empty


def test_one_row_without_a_fallback_blocks_the_drug_whole(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(("a", "old", 10.0, 10.0, "tablet"))
    moves = build_moves(products, guidance(HALF_INSTEAD, ALTERNATIVE), alternatives(), everybody)
    assert moves.therapies == ()
    assert moves.problems["rule"].tolist() == ["no_approved_alternative"]


def test_a_fallback_caps_doses_or_moves_nothing(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(("a", "old", 20.0, 20.0, "tablet"), ("b", "old", 40.0, 20.0, "tablet"))
    cap = ALTERNATIVE | {"fallback_action": "dose_cap", "fallback_dose_cap_mg_per_day": 20.0}
    usual = ALTERNATIVE | {"fallback_action": "standard"}
    unsaid = ALTERNATIVE | {"fallback_action": "no_number"}
    moves = build_moves(products, guidance(cap, usual, unsaid), alternatives(), everybody)
    np.testing.assert_allclose(at_equal_mix(moves.therapies[0])[0], [[[0, 0], [1, -1]]])
    assert moves.problems["rule"].tolist() == ["fallback_used", "no_number_in_guideline"]


@pytest.mark.parametrize(
    ("given_shares", "used"),
    [([None, None], [0.5, 0.5]), ([0.8, None], [0.8, 0.2]), ([0.3, 0.3], [0.3, 0.3]), ([1.0, 1.0], [0.5, 0.5])],
)
def test_blank_shares_split_what_the_stated_ones_leave(
    described: Table,
    guidance: Table,
    alternatives: Table,
    everybody: pd.DataFrame,
    given_shares: list[float | None],
    used: list[float],
) -> None:
    products = described(
        ("a", "old", 10.0, 10.0, "tablet"), ("b", "new", 5.0, 5.0, "tablet"), ("c", "newer", 5.0, 5.0, "tablet")
    )
    approved = alternatives(("new", given_shares[0], None, "*"), ("newer", given_shares[1], None, "*"))
    therapy = only(build_moves(products, guidance(ALTERNATIVE), approved, everybody))
    np.testing.assert_allclose(at_equal_mix(therapy)[0][0][0], [-sum(used), *used])


def test_an_unknown_population_share_blocks_the_drug(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(("a", "old", 10.0, 10.0, "tablet"), ("b", "new", 5.0, 5.0, "tablet"))
    rows = guidance(ALTERNATIVE | {"population": "adults"}, {"action": "standard", "population": "children"})
    approved = alternatives(("new", 1.0, None, "*"))
    moves = build_moves(products, rows, approved, everybody)
    assert moves.therapies == ()
    assert moves.problems["rule"].tolist() == ["population_share_unknown"]
    known = pd.DataFrame({"drug": "old", "population": ["adults", "children"], "share": [0.7, 0.3]})
    assert only(build_moves(products, rows, approved, known)).rows["population_share"].tolist() == [0.7]


def test_loading_doses_move_nothing(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    row = {"action": "dose_factor", "dose_factor_low": 2.0, "dose_factor_high": 2.0, "applies_to": "loading"}
    moves = build_moves(described(("a", "old", 1.0, 1.0, "tablet")), guidance(row), alternatives(), everybody)
    assert moves.therapies == ()
    assert moves.problems.empty


def test_a_row_without_a_number_is_said_and_not_taken_for_no_effect(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    rows = guidance({"action": "no_number"})
    moves = build_moves(described(("a", "old", 1.0, 1.0, "tablet")), rows, alternatives(), everybody)
    assert moves.problems[["drug", "rule"]].to_numpy().tolist() == [["old", "no_number_in_guideline"]]


def test_an_alternatives_mix_of_strengths_is_that_of_its_treatment_days(
    described: Table, guidance: Table, alternatives: Table, everybody: pd.DataFrame
) -> None:
    products = described(
        ("a", "old", 10.0, 10.0, "tablet"), ("b", "new", 5.0, 10.0, "tablet"), ("c", "new", 20.0, 10.0, "tablet")
    )
    therapy = only(build_moves(products, guidance(ALTERNATIVE), alternatives(("new", 1.0, None, "*")), everybody))
    mix = therapy.strength_mix(np.array([100.0, 20.0, 15.0]))
    np.testing.assert_allclose(mix, [1, 0.25, 0.75])
    np.testing.assert_allclose(therapy.at_site(mix)[0][0][0], [-1, 0.5, 0.375])


@pytest.fixture(scope="module")
def realistic() -> tuple[Moves, pd.DataFrame]:
    """The built-in guidance over the demo's products and approved alternatives."""
    files = demo_network(as_of=dt.date(2026, 11, 23), facilities=1, history_weeks=2, horizon_weeks=1).files
    content = builtin_content()
    products = describe_products(files["products"], content.usual_daily_dose)
    site = files["alternatives"].assign(population="*")
    defaults = content.default_alternative[~content.default_alternative["drug"].isin(set(site["drug"]))]
    approved = pd.concat([site, defaults.assign(dose_ratio=np.nan)], ignore_index=True)
    return build_moves(products, content.guidance, approved, content.population_share), products


def test_built_in_guidance_moves_the_demos_products_in_closed_therapies(
    realistic: tuple[Moves, pd.DataFrame],
) -> None:
    moves, products = realistic
    seen = [product for therapy in moves.therapies for product in therapy.product_ids]
    assert len(seen) == len(set(seen)) > 40
    assert set(moves.problems["rule"]) <= {"no_number_in_guideline", "alternative_not_stocked", "fallback_used"}
    assert not moves.problems["message"].str.contains("planned without genetics").any()
    drug_of = products.set_index("product_id")["drug"]
    for therapy in moves.therapies:
        assert list(therapy.drugs) == drug_of.loc[list(therapy.product_ids)].tolist()
        assert set(therapy.rows["drug"]) <= set(therapy.drugs)
        assert therapy.rows["population_share"].between(0, 1).all()


def test_built_in_moves_are_finite_and_take_away_no_more_than_there_is(realistic: tuple[Moves, pd.DataFrame]) -> None:
    for therapy in realistic[0].therapies:
        own_drug = np.array([[a == b for b in therapy.drugs] for a in therapy.rows["drug"]])
        for delta in at_equal_mix(therapy):
            assert np.isfinite(delta).all()
            moved_to = delta + np.eye(delta.shape[-1])
            assert (moved_to >= -1e-12).all()
            untouched = np.abs(delta).sum(axis=2) == 0
            assert (untouched | own_drug).all(), "a row moves only products of its own drug"
