"""What must hold for any order, over ten thousand random items in one pass, without their explanations."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from forecasting.procurement.order.inputs import OrderInputs, prepare
from forecasting.procurement.order.plan import NO_LIMIT, plan_orders
from forecasting.procurement.packs import acceptable
from forecasting.procurement.protection_demand import CumulativeDemand

AS_OF = dt.date(2026, 11, 23)
pytestmark = pytest.mark.slow
ITEMS, DRAWS = 10_000, 12


@pytest.fixture(scope="module")
def arguments(network):
    rng = np.random.default_rng(20)
    case = network(ITEMS, draws=DRAWS, periods=6, daily=rng.choice([0.0, 0.05, 2.0, 40.0], ITEMS))
    pick = lambda values: [values[n] for n in rng.integers(0, len(values), ITEMS)]  # noqa: E731
    case["items"] = case["items"].assign(
        pack_size=pick([Decimal(1), Decimal(28), Decimal("7.5"), Decimal(1000)]),
        minimum_order_packs=pick([0, 1, 5]),
        order_multiple_packs=pick([1, 3, 12]),
        target_kind=pick(["fill_rate", "cycle_service"]),
        target=pick([0.5, 0.9, 0.98, 0.999]),
        max_on_hand_days=pick([None, None, 20, 90]),
        order_weekdays=pick(["", "Thu", "Tue;Fri"]),
        review_period_days=pick([None, 7, 14]),
    )
    case["lead_times"] = case["lead_times"].assign(mean_days=pick([2.0, 9.0]), sd_days=pick([0.0, 2.0]))
    case["lots"] = case["lots"].assign(
        quantity=pick([0, 5, 100, 800]), expiry_date=pick([None, AS_OF - dt.timedelta(1), AS_OF + dt.timedelta(9)])
    )
    case["open_orders"] = open_orders(case, pick([0, 0, 3]), pick([1, 8, 20]))
    return case


def open_orders(case, packs, days, name="PO"):
    columns = case["items"][["facility_id", "product_id"]]
    expected = [AS_OF + dt.timedelta(days=int(day)) for day in days]
    return columns.assign(packs=packs, ordered_at=AS_OF, expected_at=expected, kind="open order", id=name)


def planned(case, **change):
    prepared = prepare(OrderInputs(**case | change))
    demand = CumulativeDemand(prepared.demand.final, prepared.period_edges)
    return prepared, plan_orders(demand, prepared.situation)


@pytest.fixture(scope="module")
def usual(arguments):
    return planned(arguments)


def test_packs_respect_minimum_multiple_and_limits(usual):
    case, plan = usual
    settings = case.situation.settings
    assert acceptable(plan.packs, settings.minimum_order_packs, settings.order_multiple_packs).all()
    after = plan.usable + plan.in_time + plan.packs * settings.pack_size
    limited = (plan.storage_level != NO_LIMIT) & (plan.packs > 0)
    assert limited.sum() > 100
    assert (after <= plan.storage_level)[limited].all()
    assert (plan.packs <= plan.packs_needed).all()
    assert (plan.packs > 0).sum() > 1000


def test_more_stock_never_raises_an_order(arguments, usual):
    extra = arguments["lots"].assign(lot="B", quantity=37.0, expiry_date=None)
    _, fuller = planned(arguments, lots=pd.concat([arguments["lots"], extra], ignore_index=True))
    assert (fuller.packs <= usual[1].packs).all()
    assert (fuller.packs < usual[1].packs).any()


def test_field_note_11__more_open_orders_never_raise_an_order(arguments, usual):
    more = open_orders(arguments, np.ones(ITEMS, dtype=int), np.arange(ITEMS) % 30, "PO-2")
    _, covered = planned(arguments, open_orders=pd.concat([arguments["open_orders"], more], ignore_index=True))
    assert (covered.packs <= usual[1].packs).all()
    assert (covered.packs < usual[1].packs).any()


def test_zero_demand_gives_no_order_even_on_an_empty_shelf(arguments):
    case, plan = planned(arguments, lots=arguments["lots"].assign(quantity=0.0))
    still = (case.demand.final == 0).all(axis=(1, 2))
    assert still.sum() > 1000
    assert (plan.packs[still] == 0).all()


def test_field_note_10__running_again_proposes_nothing_twice(arguments, usual):
    case, plan = usual
    settings = case.situation.settings
    placed = open_orders(arguments, plan.packs, np.zeros(ITEMS), "rec").assign(
        ordered_at=[day.order_by for day in case.order_days],
        expected_at=pd.Timestamp(AS_OF) + pd.to_timedelta(settings.new_order_day, unit="D"),
    )
    _, again = planned(arguments, open_orders=pd.concat([arguments["open_orders"], placed], ignore_index=True))
    untrimmed = plan.packs == plan.packs_needed
    assert (again.packs[untrimmed] == 0).all()
