"""People's overrides of forecasts as the ledger keeps them: which act on a day, and what callers may read of them."""

import datetime as dt
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.orm import aliased

from warehouse.queries import Scope, within
from warehouse.schema.inputs import Facility, Product
from warehouse.schema.ledger import ForecastOverride, OverrideWithdrawal, User

OVERRIDES: Any = ForecastOverride.__table__
WITHDRAWALS: Any = OverrideWithdrawal.__table__
ACTING_COLUMNS = [
    *("facility_id", "override_id", "product_id", "kind", "value", "starts_on", "ends_on"),
    *("reason_code", "decided_by"),
]


def known_overrides(connection: sa.Connection, as_of: dt.date, at: dt.datetime) -> pd.DataFrame:
    """Overrides that a plan of the origin day `as_of` uses when it begins at the moment `at` (UTC): `ACTING_COLUMNS`,
    one row a product, oldest override first.

    Set before, not withdrawn by then, and not expired on the origin day.
    """
    covered = sa.or_(
        Product.product_id == ForecastOverride.product_id,
        sa.and_(ForecastOverride.product_id.is_(None), Product.drug == ForecastOverride.drug),
    )
    query = (
        sa.select(
            ForecastOverride.facility_id,
            ForecastOverride.override_id,
            Product.product_id,
            *(OVERRIDES.c[name] for name in ("kind", "value", "starts_on", "ends_on", "reason_code")),
            User.display_name.label("decided_by"),
        )
        .join(Product, covered)
        .join(User, User.user_id == ForecastOverride.user_id)
        .outerjoin(OverrideWithdrawal, OverrideWithdrawal.override_id == ForecastOverride.override_id)
        .where(
            ForecastOverride.created_at < at,
            ForecastOverride.expires_on >= as_of,
            sa.or_(OverrideWithdrawal.withdrawn_at.is_(None), OverrideWithdrawal.withdrawn_at >= at),
        )
        .order_by(ForecastOverride.override_id, Product.product_id)
    )
    frame = pd.DataFrame(connection.execute(query).all(), columns=ACTING_COLUMNS)
    return frame.assign(**{name: pd.to_datetime(frame[name]) for name in ("starts_on", "ends_on")})


def override_rows(scope: Scope) -> sa.Select[Any]:
    """Overrides with the names of site and people, the product's words, and who withdrew them when."""
    author, taker = aliased(User), aliased(User)
    product = (Product.strength_value, Product.strength_unit, Product.dose_form)
    return (
        sa.select(
            *OVERRIDES.columns,
            Facility.name.label("facility_name"),
            *product,
            author.display_name.label("decided_by"),
            OverrideWithdrawal.withdrawn_at,
            OverrideWithdrawal.note.label("withdrawn_note"),
            taker.display_name.label("withdrawn_by"),
        )
        .join(Facility, Facility.facility_id == ForecastOverride.facility_id)
        .join(author, author.user_id == ForecastOverride.user_id)
        .outerjoin(Product, Product.product_id == ForecastOverride.product_id)
        .outerjoin(OverrideWithdrawal, OverrideWithdrawal.override_id == ForecastOverride.override_id)
        .outerjoin(taker, taker.user_id == OverrideWithdrawal.user_id)
        .where(within(ForecastOverride.facility_id, scope))
    )


def override_row(
    connection: sa.Connection, scope: Scope, override_id: int, *, for_update: bool = False
) -> sa.RowMapping | None:
    """One override, or None where there is none in scope; `for_update` holds it until the transaction ends."""
    query = override_rows(scope).where(ForecastOverride.override_id == override_id)
    if for_update:
        query = query.with_for_update(of=ForecastOverride)
    return connection.execute(query).mappings().one_or_none()
