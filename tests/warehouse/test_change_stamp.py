"""A stamp that stays while nothing was committed, on both kinds of database and from another process's view."""

import pytest
import sqlalchemy as sa

from warehouse.change_stamp import Stamps
from warehouse.engine import create_engine, writing
from warehouse.queries.lines import table


@pytest.fixture
def stamps(engine):
    found = Stamps(engine)
    yield found
    found.close()


@pytest.fixture
def other(engine):
    """An engine with connections of its own, as another process has."""
    made = create_engine(engine.url.render_as_string(hide_password=False))
    yield made
    made.dispose()


def add(engine, number):
    with writing(engine) as connection:
        connection.execute(
            sa.insert(table("suppliers")), [{"supplier_id": f"s-{number}", "name": "S", "lead_time_days": 2}]
        )


def test_it_moves_with_every_commit_and_never_comes_back(engine, other, stamps):
    seen = [stamps.read()]
    for number in range(6):
        add([engine, other][number % 2], number)
        seen.append(stamps.read())
    assert None not in seen
    assert len(set(seen)) == 7


def test_it_stays_while_nothing_is_committed(engine, other, stamps):
    add(engine, 1)
    before = stamps.read()
    with other.begin() as connection:
        connection.execute(sa.select(table("suppliers"))).all()
    with writing(other) as connection:
        connection.execute(sa.select(table("suppliers"))).all()
    assert stamps.read() == before


def test_what_is_not_committed_does_not_count_and_what_is_does(other, stamps):
    with writing(other) as connection:
        connection.execute(sa.insert(table("suppliers")), [{"supplier_id": "s", "name": "S", "lead_time_days": 2}])
        while_open = stamps.read()
        assert stamps.read() == while_open
    assert stamps.read() != while_open


def test_a_new_connection_has_stamps_of_its_own(stamps):
    before = stamps.read()
    stamps.close()
    assert stamps.read() != before


def test_there_is_none_when_the_database_is_away(new_engine):
    engine = new_engine("postgresql")
    stamps = Stamps(engine)
    assert stamps.read() is not None
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    with engine.connect() as connection:
        connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
    assert stamps.read() is None
    assert stamps.read() is not None
    stamps.close()
