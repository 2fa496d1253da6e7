"""Frames in and out of tables: what is read as what, and what the writer refuses."""

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import InvalidInput
from warehouse.engine import create_engine, writing
from warehouse.frames import coerce, records, required_columns
from warehouse.schema import Base
from warehouse.settings import Settings
from warehouse.store import insert, read, replace, upsert

TABLES = Base.metadata.tables
FACILITIES = TABLES["facilities"]


def coerced(table, name, values):
    other = {one: "1" for one in required_columns(TABLES[table]) if one != name}
    frame, violations = coerce(pd.DataFrame({**other, name: values}), TABLES[table])
    wrong = [int(row) for one in violations if one.column == name for row in one.rows]
    return frame[name], wrong


def test_dates_are_iso_dates_only():
    texts = ["2026-01-05", " 2026-01-05 ", "2026-01-05T10:00:00", "05/01/2026", "20260105", "2026-13-01", "2026", ""]
    read_dates, wrong = coerced("dispensing", "period_start", texts)
    assert read_dates[:3].tolist() == [pd.Timestamp("2026-01-05")] * 3
    assert wrong == [3, 4, 5, 6]
    assert pd.isna(read_dates[7])


def test_a_time_with_a_zone_is_stored_as_utc():
    times, wrong = coerced("stock", "counted_at", ["2026-01-05T10:00+02:00", "2026-01-05T10:00"])
    assert times.tolist() == [pd.Timestamp("2026-01-05T08:00"), pd.Timestamp("2026-01-05T10:00")]
    assert wrong == []


def test_dates_and_timestamps_of_python_and_pandas_are_read():
    day = dt.date(2026, 1, 5)
    for values in ([day], [dt.datetime(2026, 1, 5, 12)], pd.to_datetime(["2026-01-05 12:00"])):  # noqa: DTZ001
        read_dates, wrong = coerced("dispensing", "period_start", values)
        assert (read_dates.tolist(), wrong) == ([pd.Timestamp(day)], [])


def test_numbers_are_finite_and_plain():
    numbers, wrong = coerced("dispensing", "quantity", ["280.", "-1.5", "1e3", "inf", "nan?", "1,000", "1_000", "0x1F"])
    assert numbers[:3].tolist() == [280, -1.5, 1000]
    assert wrong == [3, 4, 5, 6, 7]


def test_whole_numbers_fit_both_databases():
    packs, wrong = coerced("open_orders", "packs", ["5", "5.0", "5.5", "2147483647", "2147483648"])
    assert packs.dropna().tolist() == [5, 5, 2147483647]
    assert wrong == [2, 4]


def test_decimals_are_exact_to_the_sixth_place():
    prices, wrong = coerced("products", "pack_size", ["0.1", "28.000", "0.1234565", "1e18", "NaN", "1_0", "abc"])
    assert prices[:3].tolist() == [Decimal("0.1"), Decimal("28.000"), Decimal("0.123456")]
    assert wrong == [3, 4, 5, 6]


def test_words_for_true_and_false_are_read_and_others_are_not():
    planned, wrong = coerced("testing_coverage", "planned", ["TRUE", "no", "1", "maybe"])
    assert planned[:3].tolist() == [True, False, True]
    assert wrong == [3]


def facilities(*names):
    return pd.DataFrame({"facility_id": list(names), "name": list(names), "population": 1.0})


@given(st.decimals(min_value=0, max_value=10**15, places=6))
def test_a_price_comes_back_exactly(price):
    column = TABLES["products"].c.pack_price
    dialect = sa.create_engine("sqlite://").dialect
    stored = column.type.process_bind_param(price, dialect)
    assert column.type.process_result_value(stored, dialect) == price


def test_every_kind_of_value_comes_back_from_the_database(engine):
    row = {
        **{"product_id": "001", "drug": "x", "strength_value": 0.1, "strength_unit": "mg", "dose_form": "tablet"},
        **{"pack_size": Decimal("0.333333"), "minimum_order_packs": 3, "launched_on": "2026-01-05"},
    }
    with writing(engine) as connection:
        insert(connection, TABLES["products"], pd.DataFrame([row]))
    with engine.connect() as connection:
        (got,) = records(read(connection, TABLES["products"]), TABLES["products"])
    assert {name: got[name] for name in row} == {**row, "launched_on": dt.date(2026, 1, 5)}
    assert got["pack_price"] is None


def test_upsert_counts_new_changed_and_unchanged_rows(engine):
    with writing(engine) as connection:
        assert upsert(connection, FACILITIES, facilities("A", "B")).accepted == 2
    with writing(engine) as connection:
        written = upsert(connection, FACILITIES, facilities("A", "B", "C").assign(name=["A", "new", "C"]))
    assert (written.accepted, written.unchanged) == (2, 1)
    with engine.connect() as connection:
        assert read(connection, FACILITIES)["name"].tolist() == ["A", "new", "C"]


def test_replace_puts_the_new_rows_in_place_of_those_that_match(engine):
    with writing(engine) as connection:
        insert(connection, FACILITIES, facilities("A", "B"))
        replace(connection, FACILITIES, facilities("C"), FACILITIES.c.facility_id == "A")
        assert read(connection, FACILITIES, columns=["facility_id"])["facility_id"].tolist() == ["B", "C"]


def test_a_broken_rule_rolls_the_whole_transaction_back(engine):
    wrong = facilities("B").assign(population=-1.0)
    with pytest.raises(InvalidInput, match=r"facilities.population = \[-1.0\]: must be 0 or more \(1 of 1 rows\)"):
        _write_two(engine, facilities("A"), wrong)
    with engine.connect() as connection:
        assert read(connection, FACILITIES).empty


def _write_two(engine, first, second):
    with writing(engine) as connection:
        insert(connection, FACILITIES, first)
        insert(connection, FACILITIES, second)


def test_an_unknown_or_missing_column_is_refused(engine):
    with writing(engine) as connection:
        with pytest.raises(InvalidInput, match="unknown column colour"):
            insert(connection, FACILITIES, facilities("A").assign(colour="red"))
        with pytest.raises(InvalidInput, match="missing column name"):
            insert(connection, FACILITIES, facilities("A").drop(columns="name"))


def test_an_empty_table_reads_as_an_empty_frame_of_the_same_types(engine):
    with writing(engine) as connection:
        empty = read(connection, TABLES["dispensing"]).dtypes
        insert(connection, FACILITIES, facilities("A"))
        full = read(connection, FACILITIES).dtypes
    assert str(empty["quantity"]) == str(full["population"]) == "float64"
    assert str(empty["period_start"]).startswith("datetime64")


def test_databases_other_than_the_two_are_refused():
    with pytest.raises(InvalidInput, match="use sqlite or postgresql"):
        create_engine("mysql://localhost/x")
    with pytest.raises(InvalidInput, match="not a database URL"):
        create_engine("no url")


def test_settings_come_from_the_environment_and_hide_the_password():
    given_settings = Settings.from_environment({"PGX_SUPPLY_DATABASE_URL": "postgresql://me:secret@db/pgx"})
    assert "secret" not in str(given_settings.redacted())
    assert Settings.from_environment({}).database_url == "sqlite:///pgx-supply.db"
