"""`scenario`: what if go-live dates, coverage, guidance, supply or budgets were others."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli.common import database_option, open_database, progress, settings_with, write_pictures

if TYPE_CHECKING:
    import pandas as pd

MOST_SHOWN = 40
COLUMNS = ("site", "product", "units/week", "packs now", "then", "cost now", "then", "risk now", "then", "cause")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--rows", "most", type=click.IntRange(min=0), default=MOST_SHOWN, show_default=True, help="Rows shown.")
@click.option("--csv", type=click.Path(dir_okay=False, path_type=Path), help="Also write every line there.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Also write the table there.")
@click.option(
    "--pictures",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Also write a picture of what moves most at each site there, as SVG.",
)
@database_option
def scenario(
    file: Path, most: int, csv: Path | None, markdown: Path | None, pictures: Path | None, database: str | None
) -> None:
    """Compare what FILE (YAML) changes with the newest run's plan: demand, packs, cost, risk and the cause.

    The plan itself, its lines and its inputs stay untouched; the result is kept beside them, for the API.
    """
    from assets.dagster_io.resources import Warehouse
    from assets.dagster_io.run_tables import RunTables
    from assets.scenarios.compare import compare_scenario
    from assets.scenarios.reading import Known, read_scenario
    from warehouse.engine import writing
    from warehouse.releases import RELEASES
    from warehouse.scenarios import store_scenario

    settings = settings_with(database)
    open_database(settings).dispose()
    warehouse = Warehouse(database_url=settings.database_url)
    try:
        tables = RunTables(warehouse, warehouse.latest_run())
        stored = warehouse.read(RELEASES)
        asked = read_scenario(file, Known.of(tables, dict(zip(stored["release_id"], stored["kind"], strict=True))))
        with progress("comparing") as report:
            found = compare_scenario(asked, tables, report)
        with writing(warehouse.engine) as connection:
            name = store_scenario(
                connection,
                name=asked.name,
                changes=asked.labels,
                run_id=found.run.run_id,
                as_of=found.run.as_of,
                lines=found.lines,
                now=dt.datetime.now(dt.UTC).replace(tzinfo=None),
            )
    finally:
        warehouse.engine.dispose()
    click.echo(f"{asked.name}: {'; '.join(asked.labels) or 'no change'}; plan of {found.run.as_of}, kept as {name}")
    _tell(found.moved, most)
    _write(found.lines, found.moved, asked.name, csv, markdown)
    if pictures:
        from assets.pictures.scenarios import scenario_drawings

        write_pictures(pictures, scenario_drawings(found.moved))


def _tell(moved: "pd.DataFrame", most: int) -> None:
    from rich.console import Console
    from rich.table import Table

    if moved.empty:
        click.echo("nothing differs from the plan")
        return
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for place, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if place in (0, 1, len(COLUMNS) - 1) else "right")
    for row in _largest_first(moved).head(most).to_dict("records"):
        table.add_row(*_cells(row))
    Console().print(table)
    if len(moved) > most:
        click.echo(f"... and {len(moved) - most} more lines (--rows)")
    for currency, rows in moved.groupby("currency"):
        now, then = rows["cost_now"].sum(), rows["cost_then"].sum()
        click.echo(
            f"orders of today: {now:,.2f} -> {then:,.2f} {currency} ({then - now:+,.2f}) over the lines that move"
        )


def _largest_first(moved: "pd.DataFrame") -> "pd.DataFrame":
    """By the packs and then by the demand that move."""
    packs = (moved["packs_then"] - moved["packs_now"]).abs()
    units = (moved["units_per_week_then"] - moved["units_per_week_now"]).abs()
    return moved.assign(packs=packs, units=units).sort_values(
        ["packs", "units", "facility_id", "product_id"], ascending=[False, False, True, True]
    )


def _cells(row: dict[Any, Any]) -> list[str]:
    units = f"{row['units_per_week_then'] - row['units_per_week_now']:+,.1f}"
    packs = [f"{row[f'packs_{when}']:,}" for when in ("now", "then")]
    cost = [_or_dash(row[f"cost_{when}"], ",.2f") for when in ("now", "then")]
    risk = [_or_dash(row[f"stockout_probability_{when}"], ".1%") for when in ("now", "then")]
    return [str(row["facility_id"]), str(row["product_id"]), units, *packs, *cost, *risk, str(row["cause"])]


def _or_dash(value: float, form: str) -> str:
    return "-" if value != value else format(value, form)


def _write(lines: "pd.DataFrame", moved: "pd.DataFrame", name: str, csv: Path | None, markdown: Path | None) -> None:
    if csv:
        lines.to_csv(csv, index=False)
        click.echo(csv)
    if markdown:
        rows = [COLUMNS, ["---"] * len(COLUMNS), *(_cells(row) for row in _largest_first(moved).to_dict("records"))]
        table = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
        markdown.write_text(
            f"# {name}\n\n{table if len(moved) else 'Nothing differs from the plan.'}\n", encoding="utf-8"
        )
        click.echo(markdown)
