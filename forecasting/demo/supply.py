"""Suppliers, orders and stock of the invented hospitals, consistent with what they use.

Everything here is invented: wholesalers, lead times, shelf lives, stock levels and policies. The sizes follow common
practice of hospital wholesalers (a delivery after 2 to 9 days, about a month of demand an order).
"""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd

from forecasting.demo.tables import stream, table
from forecasting.terms import StockStatus

REVIEW_DAYS = 7
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
RECEIPT_LINES, OPEN_LINES = 400, 40
OVERDUE_LINES, FAR_DAYS = 5, 120
LATE_COUNT_SITE, LATE_COUNT_DAYS = 2, 40
"""Position of the site whose stock was last counted so many days ago."""
STOCK_KINDS = pd.DataFrame(
    {"share": [0.36, 0.50, 0.14], "least": [0.10, 1.8, 5.0], "most": [0.95, 3.5, 9.0]},
    index=["low", "middle", "comfortable"],
)
"""How much is in stock, in multiples of the demand over lead time and review period, and for which share of lines."""


def usual_lines(expected: pd.DataFrame, products: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    """Lines that are stocked: `facility_id, product_id, weekly` (dose units a week over the next four weeks) with the
    product's and its supplier's columns."""
    start = pd.Timestamp(as_of)
    soon = expected[expected["period_start"].between(start, start + pd.Timedelta(weeks=3))]
    weekly = soon.groupby(["facility_id", "product_id"], sort=True)["expected_quantity"].mean().rename("weekly")
    lines = (
        weekly[weekly > 0].reset_index().merge(products, on="product_id").merge(table("suppliers"), on="supplier_id")
    )
    return lines.sort_values(["facility_id", "product_id"], ignore_index=True)


def suppliers(as_of: dt.date) -> pd.DataFrame:
    """The `suppliers` file: three wholesalers, closed on the public holidays around the next turn of the year.

    >>> suppliers(dt.date(2026, 11, 23))["closed_dates"].iloc[0]
    '2026-12-25;2026-12-28;2027-01-01'
    """
    rows = table("suppliers")
    closed = (*_christmas(as_of.year), dt.date(as_of.year + 1, 1, 1))
    return rows.assign(
        minimum_order_value=rows["minimum_order_value"].map(lambda value: Decimal(f"{value:.2f}")),
        closed_dates=";".join(day.isoformat() for day in closed),
    )


def _christmas(year: int) -> tuple[dt.date, dt.date]:
    """The two working days that an English Christmas takes."""
    working = [day for number in range(25, 31) if (day := dt.date(year, 12, number)).weekday() < 5]
    return working[0], working[1]


def month_of_packs(lines: pd.DataFrame) -> np.ndarray:
    """Packs that cover four weeks of demand, as the supplier's minimum and multiple allow."""
    packs = np.ceil(4 * lines["weekly"].to_numpy() / lines["pack_size"].to_numpy(dtype=float))
    multiple = lines["order_multiple_packs"].to_numpy(dtype=float)
    packs = np.maximum(packs, lines["minimum_order_packs"].to_numpy(dtype=float))
    return (np.ceil(packs / multiple) * multiple).astype(int)


def receipts(lines: pd.DataFrame, as_of: dt.date, seed: int) -> pd.DataFrame:
    """The `receipts` file: deliveries of the last year; products deviate from their supplier's lead time."""
    rng = stream(seed, 8)
    product_factor = pd.Series(rng.lognormal(0.05, 0.2, len(table("products"))), index=table("products")["product_id"])
    chosen = lines.iloc[rng.choice(len(lines), RECEIPT_LINES)].reset_index(drop=True)
    ordered = pd.Timestamp(as_of) - pd.to_timedelta(rng.integers(14, 364, RECEIPT_LINES), unit="D")
    ordered = _next_order_day(ordered, chosen["order_weekdays"])
    mean = chosen["lead_time_days"].to_numpy() * chosen["product_id"].map(product_factor).to_numpy()
    spread = chosen["lead_time_sd_days"].to_numpy()
    lead = np.maximum(1, np.round(rng.gamma((mean / spread) ** 2, spread**2 / mean))).astype(int)
    received = _working_day(ordered + pd.to_timedelta(lead, unit="D"))
    packs = np.maximum(1, np.round(month_of_packs(chosen) * rng.uniform(0.6, 1.3, RECEIPT_LINES))).astype(int)
    frame = _order_rows(chosen, ordered).assign(received_at=received, packs=packs)
    frame = frame[frame["received_at"] < pd.Timestamp(as_of)].drop_duplicates(["order_id", "product_id"])
    names = ["order_id", "product_id", "facility_id", "ordered_at", "received_at", "packs"]
    return frame.sort_values(["ordered_at", "order_id", "product_id"], ignore_index=True)[names]


def open_orders(lines: pd.DataFrame, as_of: dt.date, seed: int) -> pd.DataFrame:
    """The `open_orders` file: lines on their way, the first few overdue and one that is expected far in the future."""
    rng = stream(seed, 9)
    chosen = lines.iloc[rng.choice(len(lines), min(OPEN_LINES, len(lines)), replace=False)].reset_index(drop=True)
    start, lead = pd.Timestamp(as_of), chosen["lead_time_days"].to_numpy(dtype=int)
    overdue = np.arange(len(chosen)) < OVERDUE_LINES
    since = rng.integers(1, lead + 1) + np.where(overdue, lead + rng.integers(3, 10, len(chosen)), 0)
    ordered = _last_order_day(start - pd.to_timedelta(since, unit="D"), chosen["order_weekdays"])
    expected = _working_day(ordered + pd.to_timedelta(lead, unit="D"))
    expected = expected.where(overdue | (expected >= start), start)
    far = pd.to_timedelta(np.where(np.arange(len(chosen)) == len(chosen) - 1, FAR_DAYS, 0), unit="D")
    frame = _order_rows(chosen, ordered).assign(expected_at=_working_day(expected + far), packs=month_of_packs(chosen))
    names = ["order_id", "facility_id", "product_id", "packs", "ordered_at", "expected_at"]
    return frame.sort_values(["order_id", "product_id"], ignore_index=True)[names]


def _order_rows(lines: pd.DataFrame, ordered: pd.DatetimeIndex) -> pd.DataFrame:
    stem = "PO-" + lines["facility_id"].astype(str) + "-" + lines["supplier_id"].astype(str) + "-"
    frame = lines[["facility_id", "product_id"]].assign(ordered_at=ordered)
    frame["order_id"] = stem + pd.Series(ordered.strftime("%Y%m%d"), index=lines.index)
    return frame


def _next_order_day(days: pd.DatetimeIndex, order_weekdays: pd.Series) -> pd.DatetimeIndex:
    return _order_day(days, order_weekdays, step=1)


def _last_order_day(days: pd.DatetimeIndex, order_weekdays: pd.Series) -> pd.DatetimeIndex:
    return _order_day(days, order_weekdays, step=-1)


def _order_day(days: pd.DatetimeIndex, order_weekdays: pd.Series, step: int) -> pd.DatetimeIndex:
    """The nearest day, going by `step`, on which the line's supplier takes orders."""
    order_days = days
    for _ in range(6):
        weekdays = zip(order_days.day_of_week, order_weekdays, strict=True)
        is_open = np.array([WEEKDAYS[day] in names for day, names in weekdays])
        order_days = order_days.where(is_open, order_days + pd.Timedelta(days=step))
    return order_days


def _working_day(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """The day itself, or the Monday after a weekend."""
    return days + pd.to_timedelta(np.array([0, 0, 0, 0, 0, 2, 1])[days.day_of_week], unit="D")


def stock(lines: pd.DataFrame, as_of: dt.date, seed: int) -> pd.DataFrame:
    """The `stock` file: lots on hand at the latest count of each site.

    About a third of the lines is below what lead time and review period need. The first site has two products with
    nothing left, one expired lot, one in quarantine, one promised in part, and some that expire soon.
    """
    rng = stream(seed, 10)
    kinds = STOCK_KINDS.iloc[rng.choice(len(STOCK_KINDS), len(lines), p=STOCK_KINDS["share"].to_numpy())]
    multiple = rng.uniform(kinds["least"].to_numpy(), kinds["most"].to_numpy())
    protection_days = lines["lead_time_days"].to_numpy() + REVIEW_DAYS
    on_hand = np.ceil(lines["weekly"].to_numpy() / 7 * protection_days * multiple)
    first = np.flatnonzero((lines["facility_id"] == lines["facility_id"].iloc[0]).to_numpy())
    on_hand[rng.choice(first, 2, replace=False)] = 0
    lots = _lots(lines.assign(on_hand=on_hand), as_of, rng)
    special = lots.index[(lots["facility_id"] == lines["facility_id"].iloc[0]) & (lots["quantity"] > 0)][:12]
    lots.loc[special[5], "expiry_date"] = pd.Timestamp(as_of) - pd.Timedelta(days=9)
    lots.loc[special[8], "status"] = StockStatus.QUARANTINED.value
    soon = rng.choice(lots.index[lots["quantity"] > 0].difference(special), 8, replace=False)
    lots.loc[soon, "expiry_date"] = pd.Timestamp(as_of) + pd.to_timedelta(rng.integers(5, 45, 8), unit="D")
    promised = lots.index == special[10]
    return lots.assign(committed=(lots["quantity"] / 2).round().where(promised))


def _lots(lines: pd.DataFrame, as_of: dt.date, rng: np.random.Generator) -> pd.DataFrame:
    """One to three lots a line, counted when its site last counted; an empty shelf is a row of 0 without a lot."""
    number = np.where(lines["on_hand"] > 0, rng.integers(1, 4, len(lines)), 1)
    number = np.minimum(number, np.maximum(lines["on_hand"].to_numpy(dtype=int), 1))
    rows = lines.loc[np.repeat(lines.index, number)].reset_index(drop=True)
    weight = rng.uniform(0.3, 1.0, len(rows))
    line = np.repeat(np.arange(len(lines)), number)
    filled = pd.Series(weight).groupby(line).cumsum() / np.bincount(line, weight)[line]
    reached = (filled * rows["on_hand"]).round()
    quantity = reached - reached.groupby(line).shift(fill_value=0.0)
    life = rng.uniform(0.25, 0.98, len(rows)) * rows["shelf_life_days"].to_numpy(dtype=float)
    empty = (rows["on_hand"] == 0).to_numpy()
    expiry = pd.Series(pd.Timestamp(as_of) + pd.to_timedelta(life.astype(int), unit="D"))
    lot = pd.Series([f"L{number}" for number in rng.permutation(len(rows)) + 100_000])
    return pd.DataFrame(
        {
            "facility_id": rows["facility_id"],
            "product_id": rows["product_id"],
            "quantity": quantity.to_numpy(),
            "counted_at": rows["facility_id"].map(_counted_at(lines["facility_id"], as_of, rng)),
            "lot": lot.mask(empty),
            "expiry_date": expiry.mask(empty),
            "status": StockStatus.AVAILABLE.value,
        }
    )


def _counted_at(facility_ids: pd.Series, as_of: dt.date, rng: np.random.Generator) -> dict[str, pd.Timestamp]:
    counted = {}
    for position, facility_id in enumerate(facility_ids.unique()):
        days = LATE_COUNT_DAYS if position == LATE_COUNT_SITE else int(rng.integers(1, 4))
        counted[facility_id] = (
            pd.Timestamp(as_of) - pd.Timedelta(days=days) + pd.Timedelta(hours=int(rng.integers(7, 18)))
        )
    return counted


SEGMENTS = ("abc", "xyz", "criticality")
NOT_SET = ("par_level", "policy_kind", "fixed_order_cost", "holding_rate_per_year", "shortage_cost")
"""Settings that the network leaves to their defaults."""


def policies(lines: pd.DataFrame) -> pd.DataFrame:
    """The `policies` file: a default, tighter targets for critical drugs, a cap in days, one site's weekly budget."""
    rows = table("policies")
    stocked, drugs = set(lines["facility_id"]), set(lines["drug"])
    rows = rows[rows["facility_id"].isin(stocked | {"*"}) & rows["drug"].isin(drugs | {"*"})].reset_index(drop=True)
    packs = lines["weekly"] / lines["pack_size"].astype(float)
    spend = (packs * lines["pack_price"].astype(float)).groupby(lines["facility_id"]).sum()
    budget = rows["facility_id"].map(spend) * rows.pop("share_of_usual_spend") * rows["review_period_days"] / 7
    rows.insert(7, "budget_per_period", [None if np.isnan(value) else Decimal(round(value)) for value in budget])
    return rows.assign(**dict.fromkeys(SEGMENTS, "*"), **dict.fromkeys(NOT_SET))


def alternatives(drugs: set[str], as_of: dt.date) -> pd.DataFrame:
    """The `alternatives` file among these drugs, all approved by a P&T committee.

    Dose ratios of codeine and tramadol to oral morphine: 100 mg to 10 mg (BNF, prescribing in palliative care).
    """
    rows = table("alternatives")
    rows = rows[rows["drug"].isin(drugs) & rows["alternative_drug"].isin(drugs)].reset_index(drop=True)
    rows["valid_from"] = pd.Timestamp(as_of) - pd.to_timedelta(7 * rows.pop("approved_weeks_ago"), unit="D")
    return rows.assign(valid_to=pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us]"))


def shortages(product_ids: set[str], as_of: dt.date) -> pd.DataFrame:
    """The `shortages` file: one running shortage in which a part of each order is delivered."""
    rows = table("shortages")
    rows = rows[rows["product_id"].isin(product_ids)].reset_index(drop=True)
    rows["starts_on"] = pd.Timestamp(as_of) - pd.to_timedelta(7 * rows.pop("started_weeks_ago"), unit="D")
    rows["ends_on"] = pd.Timestamp(as_of) + pd.to_timedelta(7 * rows.pop("ends_in_weeks"), unit="D")
    return rows[["product_id", "drug", "starts_on", "ends_on", "allocation_share"]]
