"""`load` and `export`: files in and out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli.common import as_of_option, database_option, open_database, progress, settings_with

if TYPE_CHECKING:
    import sqlalchemy as sa

    from warehouse.importers import LoadReport

CONTENT_FORMATS = ("cpic", "pharmcat", "curated")
FORMATS = ("bundle", "scmd", "epd", "sdud", *CONTENT_FORMATS)
EXPORTS = (
    "forecasts",
    "recommendations",
    "prevalence",
    "representation",
    "backtest",
    "replay",
    "genetic_effects",
    "genetic_value",
    "override_value",
    "edit_value",
)
MOST_SHOWN_REJECTS = 20


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
@click.option("--format", "format_name", type=click.Choice(FORMATS), default="bundle", show_default=True)
@database_option
def load(paths: tuple[Path, ...], format_name: str, database: str | None) -> None:
    """Load a site bundle or a publisher's files: good rows in, bad rows named, nothing twice."""
    from warehouse.importers import load as load_files

    engine = open_database(settings_with(database))
    if format_name in CONTENT_FORMATS:
        _store_builtin_content(engine)
    with progress("loading") as report:
        loaded = load_files(engine, list(paths), format_name, report)
    print_report(loaded)
    if loaded.refused or any(table.rejected and not table.accepted + table.unchanged for table in loaded.tables):
        raise click.exceptions.Exit(1)


def _store_builtin_content(engine: "sa.Engine") -> None:
    """What a publisher leaves out is carried over from built-in content, and its rows are compared with it."""
    from assets.sites.content import store_builtin_content
    from warehouse.engine import writing

    with writing(engine) as connection:
        store_builtin_content(connection)


def print_report(report: "LoadReport") -> None:
    """What became of every file on stdout, what was wrong on stderr."""
    for table in report.tables:
        counts = f"{table.accepted} accepted, {table.rejected} rejected, {table.unchanged} unchanged"
        click.echo(f"{table.file} -> {table.table}: {counts}")
        for note in table.notes:
            click.echo(f"  {note}")
    for message in report.messages:
        click.echo(message, err=True)
    for row in report.rejected_rows[:MOST_SHOWN_REJECTS]:
        click.echo(f"rejected: {row}", err=True)
    if report.rejected > MOST_SHOWN_REJECTS:
        click.echo(f"... {report.rejected} rejected in all; the table rejected_rows has them", err=True)
    for refused in report.refused:
        click.echo(f"refused: {refused.file}: {refused.reason}", err=True)


@click.command()
@click.argument("what", type=click.Choice(EXPORTS))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="FILE.csv or FILE.parquet")
@as_of_option("the latest run's")
@database_option
def export(what: str, out: Path, as_of: Any, database: str | None) -> None:
    """Write forecasts, recommendations, prevalence, representation or the backtest of a run to a file.

    CPIC itself calls some results n/a. pandas takes that for a missing value when it reads CSV: pass
    keep_default_na=False, or export Parquet.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise click.BadParameter(f"{out.name!r} must end in .csv or .parquet", param_hint="--out")
    from warehouse.queries.exports import export_frame

    with open_database(settings_with(database)).connect() as connection:
        frame = export_frame(connection, what, as_of)
    if out.suffix == ".csv":
        frame.to_csv(out, index=False)
    else:
        frame.to_parquet(out, index=False)
