"""The migrated database is the declared schema, on both kinds of database."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from forecasting.errors import InvalidInput
from warehouse import migrations
from warehouse.engine import create_engine, writing

FOLDER = Path(migrations.__file__).parent


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


def stamp(url: str, revision: str) -> None:
    """Write the number of a schema into a database that has no tables."""
    engine = create_engine(url)
    with writing(engine) as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})
    engine.dispose()


@pytest.mark.parametrize(
    ("revision", "told"),
    [("0034", "before release 0.2.0 .schema 0034. .*: load your files into a new database"), ("0999", "newer version")],
)
def test_a_database_of_before_the_first_release_or_of_a_newer_program_is_refused(empty_url, revision, told):
    stamp(empty_url, revision)
    engine = create_engine(empty_url)
    with pytest.raises(InvalidInput, match=told):
        migrations.upgrade(engine)
    engine.dispose()


@pytest.mark.parametrize(
    "program",
    [
        ["-c", "from api.cli.main import main; main()", "run"],
        ["-m", "alembic", "-c", str(FOLDER / "alembic.ini"), "upgrade", "head"],
    ],
    ids=["pgx-supply", "alembic"],
)
def test_the_command_line_refuses_an_old_database_in_one_sentence(tmp_path, program):
    url = f"sqlite:///{tmp_path / 'old.db'}"
    stamp(url, "0034")
    environment = os.environ | {"PGX_SUPPLY_DATABASE_URL": url}
    done = subprocess.run([sys.executable, *program], capture_output=True, text=True, env=environment, check=False)
    (sentence,) = (done.stdout + done.stderr).splitlines()
    assert done.returncode != 0
    assert "was made before release 0.2.0" in sentence


def test_a_new_revision_takes_nothing_from_the_declared_tables(engine, tmp_path):
    with writing(engine) as connection:
        connection.execute(sa.text("DROP TABLE suppliers"))
        config = migrations._config(connection)
        config.set_main_option("version_locations", os.pathsep.join([str(FOLDER / "versions"), str(tmp_path)]))
        command.revision(config, "suppliers", autogenerate=True, rev_id="9999", version_path=str(tmp_path))
    (file,) = tmp_path.glob("9999_*.py")
    text = file.read_text(encoding="utf-8")
    assert "'minimum_order_value', sa.Numeric(24, 6).with_variant(sa.String(32), \"sqlite\")" in text
    assert "warehouse" not in text
