"""People's overrides of forecasts as the ledger keeps them: which act on a day, and what callers may read of them."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.orm import aliased

from forecasting.terms import RecommendationStatus
from warehouse.queries.lines import Rows, Scope, within
from warehouse.schema.inputs import Facility, Product
from warehouse.schema.ledger import ForecastOverride, OverrideWithdrawal, User
from warehouse.schema.results import Forecast, Recommendation

OVERRIDES: Any = ForecastOverride.__table__
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


def overrides_query(scope: Scope) -> sa.Select[Any]:
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


def override(
    connection: sa.Connection, scope: Scope, override_id: int, *, for_update: bool = False
) -> sa.RowMapping | None:
    """One override, or None where there is none in scope; `for_update` holds it until the transaction ends."""
    query = overrides_query(scope).where(ForecastOverride.override_id == override_id)
    if for_update:
        query = query.with_for_update(of=ForecastOverride)
    return connection.execute(query).mappings().one_or_none()


def planned_period_starts(connection: sa.Connection, facility_id: str) -> list[dt.date]:
    """Starts of the periods that the newest plan of a site forecasts; none before the first plan."""
    of_site = Forecast.facility_id == facility_id
    newest = sa.select(sa.func.max(Forecast.as_of)).where(of_site).scalar_subquery()
    query = sa.select(Forecast.period_start).distinct().where(of_site, Forecast.as_of == newest)
    return list(connection.scalars(query.order_by(Forecast.period_start)))


def forecasts_by_product(connection: sa.Connection, facility_id: str, product_ids: Sequence[str]) -> dict[str, Rows]:
    """Rows of the newest plan of a site by product, by period: start, the three steps and the mean."""
    of_site = Forecast.facility_id == facility_id
    newest = sa.select(sa.func.max(Forecast.as_of)).where(of_site).scalar_subquery()
    query = sa.select(Forecast.__table__).where(
        of_site, Forecast.as_of == newest, Forecast.product_id.in_(sorted(product_ids))
    )
    by_product: dict[str, list[sa.RowMapping]] = {}
    for row in connection.execute(query.order_by(Forecast.product_id, Forecast.period_start)).mappings():
        by_product.setdefault(row["product_id"], []).append(row)
    return dict(by_product)


def newest_recommendations(
    connection: sa.Connection, as_of: dt.date, facility_id: str, product_ids: Sequence[str]
) -> dict[str, sa.RowMapping]:
    """The line of each product that the plan of a day proposes, or that somebody decided; of several the newest."""
    query = sa.select(Recommendation.__table__).where(
        Recommendation.as_of == as_of,
        Recommendation.facility_id == facility_id,
        Recommendation.product_id.in_(sorted(product_ids)),
        Recommendation.status != RecommendationStatus.SUPERSEDED.value,
    )
    rows = connection.execute(query.order_by(Recommendation.updated_at, Recommendation.recommendation_id)).mappings()
    return {row["product_id"]: row for row in rows}


def overlapping_overrides(
    connection: sa.Connection,
    facility_id: str,
    product_ids: Sequence[str],
    days: tuple[dt.date, dt.date],
    today: dt.date,
) -> list[int]:
    """Numbers of a site's active overrides that cover some of the products on some of the days, first to last."""
    drugs = sa.select(Product.drug).where(Product.product_id.in_(sorted(product_ids)))
    query = (
        sa.select(ForecastOverride.override_id)
        .outerjoin(OverrideWithdrawal, OverrideWithdrawal.override_id == ForecastOverride.override_id)
        .where(
            OverrideWithdrawal.override_id.is_(None),
            ForecastOverride.facility_id == facility_id,
            ForecastOverride.expires_on >= today,
            ForecastOverride.starts_on <= days[1],
            ForecastOverride.ends_on >= days[0],
            sa.or_(
                ForecastOverride.product_id.in_(sorted(product_ids)),
                sa.and_(ForecastOverride.product_id.is_(None), ForecastOverride.drug.in_(drugs)),
            ),
        )
    )
    return list(connection.scalars(query.order_by(ForecastOverride.override_id)))
