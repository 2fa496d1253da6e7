"""The migrated database is the declared schema, on both kinds of database."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic import command

from warehouse import migrations
from warehouse.engine import create_engine, writing


def test_upgrade_makes_the_declared_schema_and_alembic_finds_no_difference(empty_url):
    engine = create_engine(empty_url)
    assert not migrations.is_current(engine)
    migrations.upgrade(engine)
    migrations.upgrade(engine)
    assert migrations.is_current(engine)
    migrations.check(engine)
    engine.dispose()


def test_check_sees_a_check_constraint_that_is_not_there(empty_url):
    engine = create_engine(empty_url)
    migrations.upgrade(engine)
    with writing(engine) as connection:
        connection.execute(sa.text("DROP TABLE ancestry"))
        connection.execute(
            sa.text(
                "CREATE TABLE ancestry (facility_id VARCHAR NOT NULL, biogeographic_group VARCHAR NOT NULL, "
                "share FLOAT NOT NULL, CONSTRAINT pk_ancestry PRIMARY KEY (facility_id, biogeographic_group), "
                "CONSTRAINT fk_ancestry_facility_id_facilities FOREIGN KEY (facility_id) REFERENCES facilities)"
            )
        )
    with pytest.raises(Exception, match="ck_ancestry"):
        migrations.check(engine)
    engine.dispose()


def test_two_processes_that_upgrade_at_once_both_succeed(empty_url):
    engines = [create_engine(empty_url) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(migrations.upgrade, engines))
    assert all(migrations.is_current(engine) for engine in engines)
    for engine in engines:
        engine.dispose()


def test_the_database_itself_refuses_a_share_above_one(engine):
    with writing(engine) as connection:
        connection.execute(sa.text("INSERT INTO facilities (facility_id, name, population) VALUES ('A', 'Site', 1)"))
    too_much = sa.text("INSERT INTO ancestry VALUES ('A', 'European', 1.5)")
    with engine.connect() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.execute(too_much)


RELEASE = """INSERT INTO content_releases (release_id, kind, publisher, version, sha256, rows, column_types, loaded_at)
VALUES ('guidance:x:1', 'guidance', 'x', '1', 'd', 1, '{}', '2026-01-01 00:00:00')"""
DOSE = """INSERT INTO usual_daily_doses (release_id, drug, usual_daily_dose_mg, basis, source)
VALUES ('guidance:x:1', 'd', 5, 'b', 's')"""


def test_a_database_with_rows_of_an_older_program_is_brought_up_with_all_of_them(empty_url):
    engine = create_engine(empty_url)
    with writing(engine) as connection:
        command.upgrade(migrations._config(connection), "0020")
        for statement in (
            "INSERT INTO facilities (facility_id, name, population) VALUES ('A', 'A', 9000)",
            RELEASE,
            DOSE,
        ):
            connection.execute(sa.text(statement))
    migrations.upgrade(engine)
    migrations.check(engine)
    with writing(engine) as connection:
        count = sa.text("SELECT count(*) FROM usual_daily_doses JOIN content_releases USING (release_id)")
        assert connection.scalar(count) == 1
        with pytest.raises(sa.exc.IntegrityError):
            connection.execute(sa.text("DELETE FROM content_releases"))
    engine.dispose()
