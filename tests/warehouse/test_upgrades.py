"""A database of any release, with rows in every table, is brought to the newest schema and loses nothing."""

import dataclasses
import datetime as dt
import hashlib
import os
import re
import textwrap
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.orm import Session

from warehouse import migrations
from warehouse.engine import create_engine, writing
from warehouse.schema import Base

VERSIONS = Path(migrations.__file__).parent / "versions"
ROWS_A_TABLE = 2
EXACT_TEXT_LENGTH = 32
"""SQLite keeps exact numbers as text of this length."""

RELEASED = {"0200": "66faf0a87593f64bb6e8e216862bc618395597f9819598e3862a90e007f24681"}
"""Every released revision, with the digest of its files. A release adds its revisions; no entry is ever changed.

Databases in use have this schema already and never run the revision again: an edit would reach new databases only.
"""


def revision_digest(revision: str) -> str:
    """SHA-256 of the text of the revision's files, in the order of their names."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(VERSIONS.glob(f"{revision}_*"))]
    return hashlib.sha256("".join(texts).encode()).hexdigest()


@pytest.mark.parametrize("revision", RELEASED)
def test_a_released_revision_is_never_edited(revision):
    assert revision_digest(revision) == RELEASED[revision], "change the schema by a further revision instead"


@dataclasses.dataclass(frozen=True)
class Content:
    """What a database holds: the rows of each table, and the names of its triggers."""

    rows: dict[str, list[dict[str, Any]]]
    triggers: set[str]


def content_of(connection: sa.Connection) -> Content:
    """All rows and triggers, read by the schema that the database has."""
    found = sa.MetaData()
    found.reflect(connection)
    rows = {
        table.name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
        for table in found.tables.values()
        if table.name != "alembic_version"
    }
    triggers = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    }[connection.dialect.name]
    return Content(rows, set(connection.scalars(sa.text(triggers))))


def losses(before: Content, after: Content) -> list[str]:
    """What the upgrade lost, in words: tables, rows, values of columns that are still there, triggers."""
    lost = [f"trigger {name} is gone" for name in sorted(before.triggers - after.triggers)]
    for table, old_rows in before.rows.items():
        new_rows = after.rows.get(table)
        if new_rows is None:
            lost.append(f"table {table} is gone")
        elif len(new_rows) != len(old_rows):
            lost.append(f"{table} had {len(old_rows)} rows and has {len(new_rows)}")
        else:
            kept = old_rows[0].keys() & new_rows[0].keys()
            lost += [
                f"{table} has no row {old}" for old in old_rows if not any(_same(old, new, kept) for new in new_rows)
            ]
    return sorted(lost)


def _same(old: dict[str, Any], new: dict[str, Any], columns: set[str]) -> bool:
    return all(old[name] == new[name] for name in columns)


def fill(connection: sa.Connection) -> None:
    """Insert two rows in every table of the schema that the database has: all columns filled, and only the required."""
    found = sa.MetaData()
    found.reflect(connection)
    for table in found.sorted_tables:
        if table.name != "alembic_version":
            words = _allowed_words(connection, table)
            connection.execute(table.insert(), [_row(table, number, words) for number in range(1, ROWS_A_TABLE + 1)])


def _allowed_words(connection: sa.Connection, table: sa.Table) -> dict[str, list[str]]:
    """The words of each column whose CHECK lists them."""
    checks = sa.inspect(connection).get_check_constraints(table.name)
    return {
        str(check["name"]).removeprefix(f"ck_{table.name}_").removesuffix("_one_of"): re.findall(
            "'((?:[^']|'')*)'", check["sqltext"]
        )
        for check in checks
        if str(check["name"]).endswith("_one_of")
    }


def _row(table: sa.Table, number: int, words: dict[str, list[str]]) -> dict[str, Any]:
    return {
        column.name: None if number == ROWS_A_TABLE and column.nullable else _value(column, number, words)
        for column in table.columns
    }


def _value(column: sa.Column[Any], number: int, words: dict[str, list[str]]) -> Any:
    """A value that the column's conditions allow, different in each row; a foreign key names the row of its number."""
    if column.name in words:
        return words[column.name][number % len(words[column.name])]
    if isinstance(column.type, sa.String):
        if column.type.length == EXACT_TEXT_LENGTH:
            return f"{number}.25"
        key = next(iter(column.foreign_keys), None)
        return f"{key.column.name if key else column.name} {number}"
    return {
        dt.date: dt.date(2026, 1, number),
        dt.datetime: dt.datetime.fromisoformat(f"2026-01-0{number}T12:30"),
        float: number / 4,
        Decimal: Decimal(number) + Decimal("0.25"),
        bool: number == 1,
        int: number,
    }[column.type.python_type]


@pytest.fixture(params=RELEASED)
def filled(request: pytest.FixtureRequest, empty_url: str) -> Iterator[sa.Engine]:
    """A database at a released revision, with rows in every table."""
    engine = create_engine(empty_url)
    with writing(engine) as connection:
        command.upgrade(migrations._config(connection), request.param)
        fill(connection)
    yield engine
    engine.dispose()


def upgrade_losses(engine: sa.Engine) -> list[str]:
    """Upgrade the database as the program does; what it lost."""
    with engine.connect() as connection:
        before = content_of(connection)
    migrations.upgrade(engine)
    with engine.connect() as connection:
        return losses(before, content_of(connection))


def test_a_database_with_rows_of_a_release_is_upgraded_and_loses_nothing(filled):
    with filled.connect() as connection:
        rows = content_of(connection).rows
    assert {len(of_table) for of_table in rows.values()} == {ROWS_A_TABLE}
    assert [table for table, (complete, _) in rows.items() if None in complete.values()] == []
    assert upgrade_losses(filled) == []
    migrations.check(filled)
    with Session(filled) as session:
        for mapper in Base.registry.mappers:
            read = session.scalars(sa.select(mapper.class_)).all()
            table = mapper.class_.__tablename__
            assert len(read) == ROWS_A_TABLE or table not in rows, table


# what follows shows that the test above would see what a later revision breaks

Plant = Callable[[str], None]

PLANTED = '''"""planted by a test"""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
{statements}
'''


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Adds a revision after the newest, in a folder of its own."""

    def planted(statements: str) -> None:
        config_of = migrations._config
        head = ScriptDirectory.from_config(config_of()).get_current_head()
        text = PLANTED.format(head=head, statements=textwrap.indent(statements, "    "))
        (tmp_path / "9999_planted.py").write_text(text, encoding="utf-8")

        def config_with_planted(connection: sa.Connection | None = None) -> Any:
            config = config_of(connection)
            config.set_main_option("version_locations", os.pathsep.join([str(VERSIONS), str(tmp_path)]))
            return config

        monkeypatch.setattr(migrations, "_config", config_with_planted)

    return planted


def test_a_later_revision_that_adds_a_required_column_loses_nothing(filled, plant):
    plant(
        'with op.batch_alter_table("facilities") as batch:\n'
        '    batch.add_column(sa.Column("beds", sa.Integer(), nullable=False, server_default="12"))'
    )
    assert upgrade_losses(filled) == []
    assert migrations.is_current(filled)
    with filled.connect() as connection:
        assert connection.scalars(sa.text("SELECT beds FROM facilities")).all() == [12, 12]


def test_a_later_revision_that_loses_rows_values_tables_and_triggers_is_caught(filled, plant):
    plant(
        'op.execute("DELETE FROM dispensing WHERE quantity > 0.3")\n'
        'op.execute("UPDATE suppliers SET lead_time_days = 7 WHERE lead_time_sd_days IS NULL")\n'
        'op.execute("DROP TABLE shortages")\n'
        'with op.batch_alter_table("comments", recreate="always") as batch:\n'
        '    batch.add_column(sa.Column("pinned", sa.Boolean(), nullable=True))'
    )
    triggers = ["no_delete", "no_update"] if filled.dialect.name == "sqlite" else ["append_only"]
    assert [loss.partition(" {")[0] for loss in upgrade_losses(filled)] == [
        "dispensing had 2 rows and has 1",
        "suppliers has no row",
        "table shortages is gone",
        *(f"trigger comments_{name} is gone" for name in triggers),
    ]


def test_a_later_revision_that_leaves_a_reference_to_nothing_is_refused_as_a_whole(new_engine, plant):
    engine = new_engine("sqlite")  # PostgreSQL refuses the statement itself
    with writing(engine) as connection:
        fill(connection)
    plant('op.execute("DELETE FROM facilities")')
    with pytest.raises(RuntimeError, match="refer to rows of facilities that are not there"):
        migrations.upgrade(engine)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM facilities")) == ROWS_A_TABLE
