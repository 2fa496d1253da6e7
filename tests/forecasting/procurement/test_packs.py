"""Orders are exact: integers of packs, decimals of dose units, fractions on the way (field notes, group A)."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import InvalidInput
from forecasting.procurement import packs as p

rules = st.builds(
    p.PackRule,
    st.decimals("0.001", "1000", places=3),
    st.integers(0, 20),
    st.integers(1, 12),
)
quantities = st.decimals("0", "100000", places=3)


def packs_oracle(quantity, rule):
    """Count up, pack by pack, until the order is acceptable."""
    if quantity == 0:
        return 0
    packs = 1
    while packs * rule.pack_size < quantity or packs < rule.minimum_order_packs or packs % rule.order_multiple_packs:
        packs += 1
    return packs


@given(st.decimals("0", "300", places=3), st.builds(p.PackRule, st.decimals("1", "30", places=3), st.integers(0, 9)))
def test_packs_are_the_first_acceptable_number_counted_upwards(quantity, rule):
    assert p.packs_for(quantity, rule) == packs_oracle(quantity, rule)


@given(quantities, rules)
def test_field_note_6__minimum_and_multiple_still_hold_after_the_last_rounding(quantity, rule):
    packs = p.packs_for(quantity, rule)
    assert packs == 0 or (packs >= rule.minimum_order_packs and packs % rule.order_multiple_packs == 0)
    assert packs * rule.pack_size >= quantity


@given(quantities, rules)
def test_packs_within_never_hold_more_than_allowed_and_leave_room_for_no_further_multiple(quantity, rule):
    packs = p.packs_within(quantity, rule)
    more = packs + rule.order_multiple_packs
    assert packs * rule.pack_size <= quantity
    assert packs == 0 or packs >= rule.minimum_order_packs
    assert more < rule.minimum_order_packs or packs == 0 or more * rule.pack_size > quantity


@given(st.lists(st.tuples(quantities, rules), min_size=1, max_size=20))
def test_arrays_round_like_single_values(cases):
    columns = (
        p.to_thousandths(quantity for quantity, _ in cases),
        p.to_thousandths(rule.pack_size for _, rule in cases),
        np.array([rule.minimum_order_packs for _, rule in cases]),
        np.array([rule.order_multiple_packs for _, rule in cases]),
    )
    assert p.packs_for_thousandths(*columns).tolist() == [p.packs_for(*case) for case in cases]
    assert p.packs_within_thousandths(*columns).tolist() == [p.packs_within(*case) for case in cases]


def test_field_note_1__ten_units_of_a_pack_of_one_hundred_are_one_pack_of_one_hundred_units():
    rule = p.PackRule(Decimal(100))
    assert p.packs_for(10, rule) == 1
    assert 1 * rule.pack_size == 100


@given(rules)
def test_field_note_3__zero_asked_gives_zero_packs_whatever_the_minimum(rule):
    assert p.packs_for(Decimal(0), rule) == 0
    assert p.packs_for(Decimal(-5), rule) == 0


@given(st.integers(0, 10_000), rules)
def test_field_note_4__packs_to_quantity_and_back_is_exact(packs, rule):
    rule = p.PackRule(rule.pack_size)
    assert p.packs_for(packs * rule.pack_size, rule) == packs


def test_field_note_4__a_third_of_a_pack_three_times_is_one_pack_and_not_1_02():
    assert p.packs_for(Fraction(1, 3) * 3, p.PackRule(Decimal(1))) == 1


def test_field_note_5__the_rounding_rule_has_a_name_and_a_version_and_no_other_is_accepted():
    assert (p.ROUNDING_RULE, p.ROUNDING_VERSION) == ("at_least", 1)
    with pytest.raises(InvalidInput, match="below_max"):
        p.PackRule(Decimal(1), rounding="below_max")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Decimal(0),), "pack_size 0"),
        ((Decimal("NaN"),), "pack_size NaN"),
        ((Decimal(1), -1), "minimum_order_packs -1"),
        ((Decimal(1), 1, 0), "order_multiple_packs 0"),
    ],
)
def test_impossible_packs_are_refused_with_the_value_named(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        p.PackRule(*arguments)


@given(st.integers(-(10**12), 10**12))
def test_thousandths_survive_the_way_to_decimals_and_back(value):
    assert p.to_thousandths([p.from_thousandths(value)]).tolist() == [value]


def test_a_fourth_decimal_is_refused_rather_than_rounded():
    with pytest.raises(InvalidInput, match="three decimals"):
        p.to_thousandths([Decimal("0.0005")])


@given(st.integers(-3, 60), rules)
def test_what_is_acceptable_is_what_rounding_leaves_as_it_is(packs, rule):
    kept = packs >= 0 and p.packs_for(packs * rule.pack_size, rule) == packs
    columns = (np.array([value]) for value in (packs, rule.minimum_order_packs, rule.order_multiple_packs))
    assert p.acceptable(*columns)[0] == kept
    if kept:
        p.require_acceptable(packs, rule)
    else:
        with pytest.raises(InvalidInput, match="minimum order|multiple"):
            p.require_acceptable(packs, rule)


def test_field_note_2__units_and_packs_round_trip_exactly_in_ten_thousand_random_cases():
    rng = np.random.default_rng(5)
    columns = (rng.integers(low, high, 10_000).tolist() for low, high in ((1, 10**6), (0, 500)))
    for size, packs in zip(*columns, strict=True):
        rule = p.PackRule(Decimal(size).scaleb(-3))
        quantity = packs * rule.pack_size
        assert p.packs_for(quantity, rule) == packs == p.packs_within(quantity, rule)
        assert p.from_thousandths(int(p.to_thousandths([quantity])[0])) == quantity
