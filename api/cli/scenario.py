"""`scenario`: what if go-live dates, coverage, guidance, supply or budgets were others."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli import common

if TYPE_CHECKING:
    import pandas as pd

MOST_SHOWN = 40
COLUMNS = ("site", "product", "units/week", "packs now", "then", "cost now", "then", "risk now", "then", "cause")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--rows", "most", type=click.IntRange(min=0), default=MOST_SHOWN, show_default=True, help="Rows shown.")
@click.option("--csv", type=click.Path(dir_okay=False, path_type=Path), help="Also write every line there.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Also write the table there.")
@common.pictures_option("a picture of what moves most at each site")
@common.database_option
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

    settings = common.settings_with(database)
    common.open_database(settings).dispose()
    warehouse = Warehouse(database_url=settings.database_url)
    try:
        tables = RunTables(warehouse, warehouse.latest_run())
        stored = warehouse.read(RELEASES)
        wanted = read_scenario(file, Known.of(tables, dict(zip(stored["release_id"], stored["kind"], strict=True))))
        with common.progress("comparing") as report:
            comparison = compare_scenario(wanted, tables, report)
        with writing(warehouse.engine) as connection:
            name = store_scenario(
                connection,
                name=wanted.name,
                changes=wanted.labels,
                run_id=comparison.run.run_id,
                as_of=comparison.run.as_of,
                lines=comparison.lines,
                now=common.utc_now(),
            )
    finally:
        warehouse.engine.dispose()
    click.echo(
        f"{wanted.name}: {'; '.join(wanted.labels) or 'no change'}; plan of {comparison.run.as_of}, kept as {name}"
    )
    _print_moved(comparison.moved, most)
    _write_files(comparison.lines, comparison.moved, wanted.name, csv, markdown)
    if pictures:
        from assets.pictures.scenarios import scenario_drawings

        common.write_pictures(pictures, scenario_drawings(comparison.moved))


def _print_moved(moved: "pd.DataFrame", most: int) -> None:
    from rich.console import Console

    if moved.empty:
        click.echo("nothing differs from the plan")
        return
    table = common.plain_table(None, COLUMNS, left=("site", "product", "cause"))
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
    cost = [common.cell(row[f"cost_{when}"], ",.2f") for when in ("now", "then")]
    risk = [common.cell(row[f"stockout_probability_{when}"], ".1%") for when in ("now", "then")]
    return [str(row["facility_id"]), str(row["product_id"]), units, *packs, *cost, *risk, str(row["cause"])]


def _write_files(
    lines: "pd.DataFrame", moved: "pd.DataFrame", name: str, csv: Path | None, markdown: Path | None
) -> None:
    if csv:
        lines.to_csv(csv, index=False)
        click.echo(csv)
    if markdown:
        rows = [COLUMNS, ["---"] * len(COLUMNS), *(_cells(row) for row in _largest_first(moved).to_dict("records"))]
        table = "\n".join(f"| {' | '.join(text.replace('|', '/') for text in row)} |" for row in rows)
        markdown.write_text(
            f"# {name}\n\n{table if len(moved) else 'Nothing differs from the plan.'}\n", encoding="utf-8"
        )
        click.echo(markdown)
