"""Which overrides act on a day: set before, not withdrawn, not expired; of a drug, on every product of it."""

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from warehouse.engine import writing
from warehouse.queries.overrides import known_overrides, override
from warehouse.schema import Base

NOW = dt.datetime.fromisoformat("2026-11-24T09:00")
TODAY = NOW.date()


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """Two sites, two strengths of one drug and another drug, one person."""
    with writing(engine) as connection:
        for table, rows in {
            "facilities": [{"facility_id": one, "name": one.title(), "population": 1.0} for one in ("north", "south")],
            "products": [product("w-1", "warfarin"), product("w-5", "warfarin"), product("c-75", "clopidogrel")],
            "users": [
                {"name": "ben", "display_name": "Ben", "password_hash": "x", "role": "buyer", "active": True}
                | {"created_at": NOW}
            ],
        }.items():
            connection.execute(sa.insert(Base.metadata.tables[table]), rows)
    return engine


def product(product_id: str, drug: str) -> dict[str, object]:
    return {"product_id": product_id, "drug": drug, "strength_value": 1.0, "strength_unit": "mg"} | {
        "dose_form": "tablet",
        "pack_size": Decimal(28),
    }


def add(engine: Engine, table: str = "forecast_overrides", **changed: object) -> None:
    usual = {"facility_id": "north", "product_id": "w-1", "drug": "warfarin", "kind": "factor", "value": 1.5}
    usual |= {"starts_on": TODAY, "ends_on": TODAY + dt.timedelta(weeks=4), "expires_on": TODAY + dt.timedelta(weeks=8)}
    usual |= {"reason_code": "new_service", "created_at": NOW, "user_id": 1}
    row = usual | changed if table == "forecast_overrides" else changed
    with writing(engine) as connection:
        connection.execute(sa.insert(Base.metadata.tables[table]), row)


def acting(engine: Engine, *, days: int = 0, hours: float = 1.0) -> pd.DataFrame:
    with engine.connect() as connection:
        return known_overrides(connection, TODAY + dt.timedelta(days=days), NOW + dt.timedelta(days=days, hours=hours))


def test_an_override_acts_after_it_was_set_until_it_expires(filled: Engine) -> None:
    add(filled)
    assert acting(filled, hours=-1).empty
    assert acting(filled)["product_id"].tolist() == ["w-1"]
    assert len(acting(filled, days=56)) == 1
    assert acting(filled, days=57).empty


def test_a_withdrawn_override_acts_in_runs_that_began_before_and_in_none_after(filled: Engine) -> None:
    add(filled)
    add(filled, "override_withdrawals", override_id=1, withdrawn_at=NOW + dt.timedelta(hours=2), user_id=1)
    assert len(acting(filled, hours=1)) == 1
    assert acting(filled, hours=3).empty


def test_an_override_of_a_drug_covers_its_products_and_the_order_is_oldest_first(filled: Engine) -> None:
    add(filled, product_id=None)
    add(filled, product_id="w-5", value=2.0)
    found = acting(filled)
    assert found[["override_id", "product_id"]].to_numpy().tolist() == [[1, "w-1"], [1, "w-5"], [2, "w-5"]]
    assert set(found["decided_by"]) == {"Ben"}


def test_who_is_bound_to_another_site_reads_nothing_of_it(filled: Engine) -> None:
    add(filled)
    with filled.connect() as connection:
        assert override(connection, frozenset({"south"}), 1) is None
        row = override(connection, None, 1)
    assert row is not None
    assert (row["decided_by"], row["withdrawn_by"]) == ("Ben", None)


def test_the_table_refuses_what_makes_no_sense(filled: Engine) -> None:
    for wrong in ({"value": -1.0}, {"kind": "guess"}, {"reason_code": "because"}, {"facility_id": "west"}):
        with pytest.raises(sa.exc.IntegrityError):
            add(filled, **wrong)


@pytest.mark.parametrize("change", ["UPDATE {} SET note = 'better'", "DELETE FROM {}"])
def test_note_25_the_database_refuses_to_change_or_remove_what_people_set(filled: Engine, change: str) -> None:
    add(filled)
    add(filled, "override_withdrawals", override_id=1, withdrawn_at=NOW, user_id=1)
    for table in ("override_withdrawals", "forecast_overrides"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), writing(filled) as connection:
            connection.execute(sa.text(change.format(table)))
