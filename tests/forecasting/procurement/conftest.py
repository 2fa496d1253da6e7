"""Small made-up networks: every argument of `recommend`, ready to be changed by a test."""

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.procurement.protection_demand import GENETIC_STEP_COLUMNS, DemandDraws
from forecasting.terms import Period

AS_OF = dt.date(2026, 11, 23)  # a Monday


def make_network(
    items: int = 1, *, periods: int = 12, draws: int = 50, daily: float = 10.0, seed: int = 0, **item: Any
):
    """Items with Poisson demand, one lot each, no open orders, lead time exactly three days; `item` overrides."""
    rng = np.random.default_rng(seed)
    rates = np.broadcast_to(daily, items).astype(float)
    final = rng.poisson(rates[:, None, None] * 7, (items, periods, draws)).astype(float)
    mean = np.repeat(rates[:, None] * 7, periods, axis=1)
    row = {
        "facility_id": "north",
        "drug": "clopidogrel",
        "strength_value": Decimal("75"),
        "strength_unit": "mg",
        "dose_form": "tablet",
        "pack_size": Decimal("28"),
        "pack_price": Decimal("4.20"),
        "currency": "GBP",
        "supplier_id": "wholesaler",
        "minimum_order_packs": 1,
        "order_multiple_packs": 1,
        "shelf_life_days": 730,
        "target_kind": "fill_rate",
        "target": 0.98,
        "review_period_days": 7,
        "max_on_hand_days": None,
        "order_weekdays": "",
        "policy_source": "facility",
    }
    frame = pd.DataFrame([row | {"product_id": f"product-{number:04d}"} | item for number in range(items)])
    products = frame["product_id"]
    lots = pd.DataFrame({"facility_id": "north", "product_id": products, "quantity": 20.0, "counted_at": AS_OF})
    lots = lots.assign(lot="A", expiry_date=None, status="available")
    times = {"supplier_id": "wholesaler", "mean_days": 3.0, "sd_days": 0.0, "observations": 0, "source": "supplier"}
    return {
        "items": frame,
        "demand": DemandDraws(final, mean, mean, rates, no_steps(), np.zeros((0, periods))),
        "period": Period.WEEK,
        "period_starts": [AS_OF + dt.timedelta(weeks=week) for week in range(periods)],
        "as_of": AS_OF,
        "lots": lots,
        "open_orders": open_orders(),
        "lead_times": pd.DataFrame([{"product_id": product} | times for product in products]),
        "draws_seed": 1,
    }


def no_steps() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=object) for name in GENETIC_STEP_COLUMNS})


def open_orders(*rows: dict[str, Any]) -> pd.DataFrame:
    usual = {"facility_id": "north", "product_id": "product-0000", "packs": 1, "kind": "open order", "id": "PO-1"}
    columns = ["facility_id", "product_id", "packs", "ordered_at", "expected_at", "kind", "id"]
    return pd.DataFrame([usual | {"expected_at": AS_OF, "ordered_at": None} | row for row in rows], columns=columns)


@pytest.fixture(scope="session")
def network():
    return make_network


@pytest.fixture(scope="session")
def orders():
    return open_orders
