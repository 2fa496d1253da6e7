"""What commands share: the database option, opening it at the newest schema, progress on a terminal."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import sqlalchemy as sa
    from rich.table import Table

    from warehouse.settings import Settings

Report = Callable[[str, int, int], None]

database_option = click.option(
    "--database",
    metavar="URL",
    help="Database URL; default: PGX_SUPPLY_DATABASE_URL, else a SQLite file in the working folder.",
)


facilities_option = click.option(
    "--facility", "facilities", multiple=True, metavar="ID", help="Only this site; may be repeated."
)


def settings_with(database: str | None) -> "Settings":
    """The environment's settings, with the database of the command line if one was named."""
    from warehouse.settings import Settings

    settings = Settings.from_environment()
    return dataclasses.replace(settings, database_url=database) if database else settings


def open_database(settings: "Settings") -> "sa.Engine":
    """The database at the newest schema; one that cannot be reached raises `InvalidInput`."""
    import sqlalchemy as sa

    from forecasting.errors import InvalidInput
    from warehouse import migrations
    from warehouse.engine import create_engine

    engine = create_engine(settings.database_url)
    try:
        migrations.upgrade(engine)
    except sa.exc.OperationalError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise InvalidInput(f"database {where} cannot be opened: {str(error.orig).splitlines()[0]}") from error
    return engine


@contextmanager
def progress(title: str) -> Iterator[Report]:
    """A progress bar on stderr when that is a terminal; silence elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns: list[Any] = [TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")]
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal, transient=True
    ) as bar:
        task = bar.add_task("", total=None)

        def report(step: str, done: int, total: int) -> None:
            bar.update(task, description=step, completed=done, total=total)

        yield report


@contextmanager
def writing_to(database: str | None) -> "Iterator[sa.Connection]":
    """A connection to the database of the command line whose changes are kept when the block ends well."""
    from warehouse.engine import writing

    with writing(open_database(settings_with(database))) as connection:
        yield connection


def utc_now() -> dt.datetime:
    """The time as tables keep it: UTC, without a time zone."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def plain_table(title: str | None, columns: Iterable[str], *, left: Container[str], gap: int = 1) -> "Table":
    """A table without lines; columns that are not named in `left` are numbers and end at the right."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, padding=(0, gap, 0, 0), pad_edge=False)
    for place, name in enumerate(columns):
        is_text = name in left
        table.add_column(name, justify="left" if is_text else "right", no_wrap=is_text and not place, overflow="fold")
    return table


def cell(value: Any, form: str, missing: str = "-") -> str:
    """A number as a format writes it; `missing` where there is none.

    >>> cell(0.1234, ".1%"), cell(None, ".1%"), cell(float("nan"), ".1%", "")
    ('12.3%', '-', '')
    """
    return missing if value is None or value != value else format(value, form)


def pictures_option(what: str) -> Callable[[Any], Any]:
    """The `--pictures` option; `what` says what is drawn."""
    kind = click.Path(file_okay=False, path_type=Path)
    return click.option("--pictures", type=kind, metavar="FOLDER", help=f"Also write {what} there, as SVG.")


def write_pictures(folder: Path, drawings: Mapping[str, str]) -> None:
    """Each SVG drawing as a file named after it, whose path is printed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in drawings.items():
        file = folder / f"{name.replace(', ', '_').replace(' ', '_')}.svg"
        file.write_text(svg, encoding="utf-8")
        click.echo(file)


def parse_date(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    """A `--as-of` value as a date; anything else is wrong usage."""
    if value is None:
        return None
    try:
        return dt.date.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a date (YYYY-MM-DD)") from error


def as_of_option(default: str) -> Callable[[Any], Any]:
    """The `--as-of` option; `default` says in words which origin is taken without it."""
    return click.option("--as-of", callback=parse_date, metavar="DATE", help=f"Origin day; default: {default}.")
