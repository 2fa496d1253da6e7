"""Shared limits against trying every order; fairness, shadow prices, and a supplier's minimum order value."""

import dataclasses
import itertools
from decimal import Decimal

import numpy as np
import pytest

from forecasting.arrays import take
from forecasting.procurement.explanation.calculation import recompute
from forecasting.procurement.explanation.number_check import unsupported_numbers
from forecasting.procurement.explanation.paragraph import render_paragraph
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.order.shadow_prices import OrderRequests, packs_at_price, trim
from forecasting.procurement.packs import BILLIONTHS
from forecasting.procurement.policy.limits import Limit, LimitKind
from forecasting.procurement.recommend import recommend


def orders(rng, items=4, draws=12, most=4, ranks=1):
    pick = lambda *values: rng.choice(values, items).astype(np.int64)  # noqa: E731
    return OrderRequests(
        demand=rng.integers(0, 40_000, (items, draws)),
        position=rng.integers(0, 15_000, items),
        pack_size=pick(1000, 5000, 7500),
        smallest_order=pick(1, 2),
        step=np.ones(items, dtype=np.int64),
        packs=rng.integers(2, most + 1, items),
        days_per_unit=pick(500_000, 1_000_000, 2_000_000),
        rank=rng.integers(0, ranks, items),
    )


def gain(requests, packs):
    return requests.gain(np.zeros_like(packs), packs).sum()


def every_order(requests, use, room):
    """All orders within the limits, by trying them."""
    choices = [[0, *range(f, p + 1)] for f, p in zip(requests.smallest_order, requests.packs, strict=True)]
    for packs in itertools.product(*choices):
        chosen = np.array(packs)
        if np.all(use @ chosen <= room + 1e-9):
            yield chosen


@pytest.mark.parametrize("limits", [1, 2])
def test_what_is_kept_gains_as_much_as_the_best_of_all_orders_but_for_one_step_a_limit(limits):
    rng = np.random.default_rng(limits)
    losses = []
    for _ in range(40):
        requests = orders(rng)
        use = rng.integers(1, 9, (limits, 4)).astype(float)
        room = use @ requests.packs * rng.uniform(0.2, 0.9, limits)
        found = trim(requests, use, np.floor(room)).packs
        assert np.all(use @ found <= room + 1e-9)
        best = max(gain(requests, packs) for packs in every_order(requests, use, np.floor(room)))
        step = max(gain(take(requests, np.array([n])), requests.smallest_order[[n]]) for n in range(4))
        losses.append((best - gain(requests, found)) / max(best, 1))
        assert gain(requests, found) >= best - limits * step
    assert np.mean(losses) < 0.03


def test_nothing_is_changed_where_everything_fits_and_nothing_is_left_where_there_is_no_room():
    requests = orders(np.random.default_rng(1))
    use = np.ones((1, 4))
    plenty = trim(requests, use, np.array([1e9]))
    assert plenty.packs.tolist() == requests.packs.tolist()
    assert not plenty.shadow_price.any()
    assert trim(requests, use, np.array([-3.0])).packs.tolist() == [0, 0, 0, 0]


def test_critical_items_are_served_before_any_other_is():
    rng = np.random.default_rng(4)
    for _ in range(20):
        requests = orders(rng, items=6, ranks=3)
        price = rng.uniform(1, 9, (1, 6)).round(2)
        critical = requests.rank == requests.rank.min()
        enough = np.array([float((price[0] * requests.packs)[critical].sum())])
        assert (trim(requests, price, enough).packs[critical] == requests.packs[critical]).all()


def test_within_a_class_a_pack_goes_where_it_gains_most_for_its_price():
    same = np.tile(np.arange(0, 40_000, 1000), (2, 1))
    facts = dict.fromkeys(("pack_size", "days_per_unit"), np.array([1000, 1000]))
    facts |= {"position": np.zeros(2, dtype=np.int64), "rank": np.zeros(2, dtype=np.int64)}
    facts |= {
        "smallest_order": np.ones(2, dtype=np.int64),
        "step": np.ones(2, dtype=np.int64),
        "packs": np.array([30, 30]),
    }
    requests = OrderRequests(demand=same, **facts)
    even = trim(requests, np.array([[2.0, 2.0]]), np.array([60.0])).packs
    assert even.tolist() == [15, 15]
    dear = trim(requests, np.array([[1.0, 3.0]]), np.array([60.0])).packs
    assert dear[0] > dear[1]


def test_the_shadow_price_is_what_a_little_more_room_gains():
    rng = np.random.default_rng(8)
    demand = rng.integers(0, 400_000, (5, 400))
    ones = np.ones(5, dtype=np.int64)
    requests = OrderRequests(demand, 0 * ones, 1000 * ones, ones, ones, 300 * ones, 1_000_000 * ones, 0 * ones)
    use = np.array([[1.0, 2.0, 1.0, 3.0, 1.0]])
    rooms = np.array([700.0, 720.0])
    less, more = (trim(requests, use, rooms[[n]]) for n in (0, 1))
    gained = (gain(requests, more.packs) - gain(requests, less.packs)) / 400 / BILLIONTHS / 20
    assert gained == pytest.approx(less.shadow_price[0, 0] / BILLIONTHS, rel=0.05)


def test_packs_at_a_price_are_those_of_going_up_step_by_step():
    rng = np.random.default_rng(2)
    for _ in range(30):
        requests = orders(rng, items=5, most=9)
        price = rng.integers(1, 6 * BILLIONTHS, 5)
        expected = []
        for n in range(5):
            item, packs = take(requests, np.array([n])), 0
            while True:
                more = packs + (int(item.step[0]) if packs else int(item.smallest_order[0]))
                met = item.gain(np.array([packs]), np.array([more]))[0]
                if more > item.packs[0] or met < price[n] * (more - packs) * item.draws:
                    break
                packs = more
            expected.append(packs)
        assert packs_at_price(requests, price).tolist() == expected


def limited(network, kind, amount, **item):
    case = network(6, daily=np.array([1.0, 2.0, 4.0, 8.0, 12.0, 3.0]), **item)
    case["limits"] = [Limit(kind, "north", amount, np.arange(6))]
    return case


@pytest.mark.parametrize(("kind", "amount"), [(LimitKind.BUDGET, 30.0), (LimitKind.STORAGE, 9.0)])
def test_field_note_35__an_order_beyond_the_budget_or_the_room_is_trimmed_and_the_line_says_how(network, kind, amount):
    free = recommend(OrderInputs(**limited(network, kind, 1e9)))
    found = recommend(OrderInputs(**limited(network, kind, amount)))
    packs = found.lines["packs"].sum()
    assert packs < free.lines["packs"].sum()
    assert (found.lines["cost"].sum() if kind is LimitKind.BUDGET else packs) <= amount
    trimmed = [one for one in found.explanations if any(s["name"] == "packs_within_limits" for s in one["steps"])]
    assert trimmed
    for document in found.explanations:
        recompute(document)
        text = render_paragraph(document)
        assert unsupported_numbers(text, document) == []
    assert f"the {kind.value} of north" in render_paragraph(trimmed[0])
    rules = set(found.problems["rule"])
    assert {f"{kind.value}_limits", f"{kind.value}_shadow_price"} <= rules
    price = said(found, f"{kind.value}_shadow_price")[0]
    assert "100 more" in price
    assert "treatment-days" in price


def test_a_critical_line_is_whole_while_a_standard_one_gives_way(network):
    case = limited(network, LimitKind.BUDGET, 20.0)
    case["items"]["criticality"] = ["standard"] * 5 + ["critical"]
    free = recommend(OrderInputs(**case | {"limits": []})).lines.set_index("product_id")["packs"]
    found = recommend(OrderInputs(**case)).lines.set_index("product_id")["packs"]
    assert found["product-0005"] == free["product-0005"]
    assert found.sum() < free.sum()


def test_money_that_was_spent_in_the_period_is_gone(network):
    case = limited(network, LimitKind.BUDGET, 45.0)
    spent = dataclasses.replace(case["limits"][0], used=44.0)
    assert recommend(OrderInputs(**case | {"limits": [spent]})).lines.empty


def said(found, rule):
    return found.problems.loc[found.problems["rule"] == rule, "message"].tolist()


def minimum(network, least, **item):
    return network(2, daily=np.array([6.0, 1.0]), minimum_order_value=least, **item)


def test_an_order_below_the_suppliers_minimum_value_is_topped_up_with_what_is_used_soonest(network):
    plain = recommend(OrderInputs(**minimum(network, None)))
    topped = recommend(OrderInputs(**minimum(network, Decimal(60))))
    assert plain.lines["cost"].sum() < 60 <= topped.lines["cost"].sum()
    assert topped.lines["cost"].sum() < 60 + Decimal("4.20")
    for document in topped.explanations:
        recompute(document)
        assert unsupported_numbers(render_paragraph(document), document) == []
    assert "topped up" in said(topped, "minimum_order_value")[0]


def test_an_order_that_nobody_needs_soon_is_held_until_the_next_order_day(network):
    case = minimum(network, Decimal(60), target=0.999, target_kind="cycle_service")
    demand = case["demand"].final[:, 0] / 7 * 10  # ten days' demand at the first week's rate
    case["lots"]["quantity"] = np.floor(np.quantile(demand, 0.97, axis=1))
    plain = recommend(OrderInputs(**case | {"items": case["items"].assign(minimum_order_value=None)}))
    held = recommend(OrderInputs(**case))
    critical = recommend(OrderInputs(**case | {"items": case["items"].assign(criticality="critical")}))
    assert len(plain.lines) > 0
    assert held.lines.empty
    assert "held until the next order day" in said(held, "minimum_order_value")[0]
    assert len(critical.lines) == len(plain.lines)


def test_an_order_that_cannot_reach_the_minimum_value_is_kept_and_the_buyer_sees_it(network):
    found = recommend(OrderInputs(**minimum(network, Decimal(100_000))))
    plain = recommend(OrderInputs(**minimum(network, None)))
    assert found.lines["packs"].tolist() == plain.lines["packs"].tolist()
    assert "ask the supplier" in said(found, "minimum_order_value")[0]
