"""The vectorised simulation against shelves of single lots, simulated one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.procurement.packs import packs_for_thousandths
from forecasting.procurement.replay.simulation import NEVER_EXPIRES, ORDER_DAYS, PurchaseTerms, simulate

TEST = settings(max_examples=60, deadline=None)


def simulated_one_by_one(demand, terms, opening, level, item):
    """One item with a list of lots [day it came, quantity left], in plain Python: as slow and obvious as possible."""
    lots, coming, ordered = [[0, int(opening[item])]], [], []
    unmet, expired, stock, packs = [], [], [], []
    for day in range(demand.shape[1]):
        lots += [[day, quantity] for due, quantity in coming if due == day]
        coming = [one for one in coming if one[0] > day]
        gone = [lot for lot in lots if day > lot[0] + terms.usable_days[item]]
        expired.append(sum(quantity for _, quantity in gone))
        lots = [lot for lot in lots if lot not in gone]
        if day % ORDER_DAYS == 0:
            week, wanted = day // ORDER_DAYS, 0
            if week % terms.order_interval_weeks[item] == 0:
                there = sum(quantity for _, quantity in lots) + sum(quantity for _, quantity in coming)
                short = int(level[item]) - there
                if short > 0:
                    wanted = max(-(-short // int(terms.pack_size[item])), int(terms.minimum_order_packs[item]))
                    while wanted % terms.order_multiple_packs[item]:
                        wanted += 1
            if wanted:
                coming.append((day + int(terms.lead_days[item, week]), wanted * int(terms.pack_size[item])))
            packs.append(wanted)
        left = int(demand[item, day])
        for lot in lots:
            used = min(lot[1], left)
            lot[1] -= used
            left -= used
        unmet.append(left)
        stock.append(sum(quantity for _, quantity in lots))
        ordered.append(coming)
    return unmet, expired, stock, packs


@st.composite
def cases(draw):
    items, weeks = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    whole = lambda low, high, *shape: random.integers(low, high + 1, shape)  # noqa: E731
    keeps = np.where(random.random(items) < 0.3, NEVER_EXPIRES, whole(1, 30, items))
    terms = PurchaseTerms(
        pack_size=whole(1, 9, items) * 500,
        minimum_order_packs=whole(0, 4, items),
        order_multiple_packs=whole(1, 3, items),
        usable_days=keeps,
        lead_days=whole(1, 20, items, weeks),
        order_interval_weeks=whole(1, 3, items),
    )
    demand = whole(0, 3000, items, weeks * ORDER_DAYS) * (random.random((items, weeks * ORDER_DAYS)) < 0.7)
    return demand, terms, whole(0, 30_000, items), whole(0, 60_000, items)


@TEST
@given(cases())
def test_every_item_fares_as_if_it_were_alone_with_its_lots(case):
    demand, terms, opening, level = case
    result = simulate(
        demand, terms, opening, lambda shelf: packs_for_thousandths(level - shelf.position, *terms.pack_rule)
    )
    for item in range(len(demand)):
        unmet, expired, stock, packs = simulated_one_by_one(demand, terms, opening, level, item)
        assert result.unmet[item].tolist() == unmet
        assert result.expired[item].tolist() == expired
        assert result.stock[item].tolist() == stock
        assert result.packs[item].tolist() == packs


@TEST
@given(cases())
def test_nothing_is_lost_on_the_shelf(case):
    demand, terms, opening, level = case
    seen_in = np.zeros(len(demand), dtype=np.int64)

    def rule(shelf):
        seen_in[:] = shelf.inflow[:, -1]
        return packs_for_thousandths(level - shelf.position, *terms.pack_rule)

    result = simulate(demand, terms, opening, rule)
    last = (demand.shape[1] // ORDER_DAYS - 1) * ORDER_DAYS
    gone = (demand - result.unmet + result.expired)[:, :last].sum(axis=1) + result.expired[:, last]
    before = seen_in - gone
    np.testing.assert_array_equal(result.stock[:, last], before - (demand - result.unmet)[:, last])
    assert (result.stock >= 0).all()


@TEST
@given(cases())
def test_what_a_rule_sees_of_the_shelf_by_age_is_the_shelf(case):
    demand, terms, opening, level = case

    def rule(shelf):
        days = [np.full(len(demand), day) for day in range(shelf.day + 1)]
        ages = [shelf.arrived_between(day, day) for day in days]
        np.testing.assert_array_equal(sum(ages), shelf.on_hand)
        return packs_for_thousandths(level - shelf.position, *terms.pack_rule)

    simulate(demand, terms, opening, rule)
