"""The audit trail: appended to, never changed, and a change is found."""

import datetime as dt
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from api.cli.main import cli
from forecasting.errors import InvalidInput
from warehouse import audit
from warehouse.audit import Actor, Event
from warehouse.engine import writing
from warehouse.importers import load
from warehouse.schema.ledger import AuditEvent

NOW = dt.datetime.fromisoformat("2026-11-23T09:00:00.123456")
BEN = Actor("user:2", "Ben", "5f0c3a9be2d14c77")


def write(engine, count):
    with writing(engine) as connection:
        events = [Event("line.approve", f"line:{at}", "north", {"packs": at}, {"note": "ö "}) for at in range(count)]
        audit.append(connection, BEN, NOW, events)


def without_triggers(connection):
    """What somebody with the database's password can do."""
    if connection.dialect.name == "sqlite":
        for verb in ("update", "delete"):
            connection.execute(sa.text(f"DROP TRIGGER audit_events_no_{verb}"))
    else:
        connection.execute(sa.text("DROP TRIGGER audit_events_append_only ON audit_events"))


def test_a_chain_grows_and_verifies(engine):
    with engine.begin() as connection:
        assert audit.verify(connection) == audit.Verified(0, audit.START)
    write(engine, 3)
    with engine.begin() as connection:
        first = audit.verify(connection)
    write(engine, 2)
    with engine.begin() as connection:
        assert audit.verify(connection, known_head=first.head).events == 5


@pytest.mark.parametrize("change", ["UPDATE audit_events SET actor_name = 'Eve'", "DELETE FROM audit_events"])
def test_the_database_refuses_to_change_or_remove_an_event(engine, change):
    write(engine, 1)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), writing(engine) as connection:
        connection.execute(sa.text(change))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE audit_events SET after = '{}' WHERE sequence = 2", "event 2 was changed"),
        ("UPDATE audit_events SET at = '2026-11-24 00:00:00' WHERE sequence = 3", "event 3 was changed"),
        ("UPDATE audit_events SET facility_id = NULL WHERE sequence = 1", "event 1 was changed"),
        ("DELETE FROM audit_events WHERE sequence = 2", "event 2 is missing"),
        ("DELETE FROM audit_events WHERE sequence = 1", "event 1 is missing"),
        ("DELETE FROM audit_events WHERE sequence = 4", "cut off"),
    ],
)
def test_what_was_changed_behind_its_back_is_named(engine, change, told):
    write(engine, 4)
    with writing(engine) as connection:
        head = audit.verify(connection).head
        without_triggers(connection)
        connection.execute(sa.text(change))
    with engine.begin() as connection, pytest.raises(InvalidInput, match=told):
        audit.verify(connection, known_head=head)


def test_a_row_that_was_changed_together_with_its_digest_breaks_the_next(engine):
    write(engine, 3)
    with writing(engine) as connection:
        without_triggers(connection)
        row = dict(connection.execute(sa.select(AuditEvent.__table__).where(AuditEvent.sequence == 2)).mappings().one())
        row["actor_name"] = "Eve"
        changed = sa.update(AuditEvent).where(AuditEvent.sequence == 2)
        connection.execute(changed.values(actor_name="Eve", sha256=audit.digest(row)))
    with engine.begin() as connection, pytest.raises(InvalidInput, match="event 3 is missing, or the one before"):
        audit.verify(connection)


def test_many_writers_make_one_chain(engine):
    gate = threading.Barrier(12)

    def one(_):
        gate.wait()
        write(engine, 3)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(one, range(12)))
    with engine.begin() as connection:
        assert audit.verify(connection).events == 36


def test_the_command_says_how_long_the_chain_is_and_fails_on_a_broken_one(new_engine):
    engine = new_engine("sqlite")
    write(engine, 2)
    arguments = ["audit", "verify", "--database", str(engine.url)]
    told = CliRunner().invoke(cli, arguments)
    assert told.exit_code == 0
    assert told.output.startswith("2 events, unbroken; newest digest ")
    wrong = CliRunner().invoke(cli, [*arguments, "--head", "f" * 64])
    assert isinstance(wrong.exception, InvalidInput)


def test_a_load_is_in_the_trail_and_a_repeat_that_changes_nothing_is_not(engine, tmp_path):
    (tmp_path / "facilities.csv").write_text("facility_id,name,population\nnorth,North,1000\nsouth,South,-5\n")
    (tmp_path / "products.csv").write_text(
        "product_id,drug,strength_value,strength_unit,dose_form,pack_size,pack_price\nw1,warfarin,1,mg,tablet,28,1.20\n"
    )
    (tmp_path / "dispensing.csv").write_text("facility_id,product_id,period_start,quantity\nnorth,w1,2026-11-16,28\n")
    for _ in range(2):
        load(engine, tmp_path)
    with engine.begin() as connection:
        rows = connection.execute(sa.select(AuditEvent.__table__).order_by(AuditEvent.sequence)).mappings().all()
        audit.verify(connection)
    told = [(row["action"], json.loads(row["after"])) for row in rows]
    clean = {"format": "bundle", "accepted": 1, "unchanged": 0, "rejected": 0}
    assert [one for one in told if one[0] != "facilities.load"] == [
        ("products.load", clean),
        ("dispensing.load", clean),
    ]
    # refused rows are told each time
    assert [one[1]["rejected"] for one in told if one[0] == "facilities.load"] == [1, 1]
