"""`demo`: the main job on an invented hospital network, end to end."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli.common import cell, database_option, open_database, plain_table, progress, settings_with
from api.cli.plan import plan

if TYPE_CHECKING:
    import sqlalchemy as sa
    from rich.table import Table

BUNDLE = Path("pgx-supply-demo")
SHOWN = 10
PIPED_WIDTH = 100
"""Columns where nobody's terminal sets a limit."""


@click.command()
@database_option
def demo(database: str | None) -> None:
    """Plan an invented hospital network and show today's top recommendations."""
    from assets.demo import write_demo_bundle
    from warehouse.importers import load

    settings = settings_with(database)
    engine = open_database(settings)
    today = dt.datetime.now(dt.UTC).date()
    write_demo_bundle(BUNDLE, today - dt.timedelta(days=today.weekday()))
    _check_is_demo(engine)
    with progress("loading") as report:
        load(engine, BUNDLE, "bundle", report)
    plan(database, as_of=today)
    _print_results(engine)
    click.echo(
        "\nWhere to look next:\n"
        f"  {BUNDLE}/  the files that were loaded\n"
        "  pgx-supply export recommendations --out recommendations.csv\n"
        "  pgx-supply backtest\n"
        "  pgx-supply user add you --role approver && pgx-supply serve --with-dagster\n"
        "  then the worklist on http://127.0.0.1:8000 and the assets on http://127.0.0.1:3000"
    )


def _check_is_demo(engine: "sa.Engine") -> None:
    """Refuse a database with a site's own data: the demo never mixes with it."""
    import pandas as pd
    import sqlalchemy as sa

    from forecasting.errors import InvalidInput
    from warehouse.schema.inputs import Facility

    demo_sites = set(pd.read_csv(BUNDLE / "facilities.csv", dtype=str)["name"])
    with engine.connect() as connection:
        foreign = set(connection.scalars(sa.select(Facility.name))) - demo_sites
    if foreign:
        raise InvalidInput(f"the database holds {sorted(foreign)[0]!r}, not the demo: name another with --database")


def _print_results(engine: "sa.Engine") -> None:
    from rich.console import Console

    from warehouse.queries.exports import genetic_moves, top_recommendations

    console = Console()
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    with engine.connect() as connection:
        count, lines = top_recommendations(connection, SHOWN)
        moves = genetic_moves(connection, SHOWN)
    title = f"Today's top {len(lines)} of {count} recommendations"
    console.print(_table(title, _ORDER_COLUMNS, [_order_cells(line) for line in lines]))
    if lines:
        click.echo(f"\nThe first in words: {lines[0]['paragraph']}")
    title = "\nWhere testing moves demand most, in dose units over the horizon"
    console.print(_table(title, _MOVE_COLUMNS, [_move_cells(move) for move in moves]))


_ORDER_COLUMNS = ("site", "product", "packs", "cost", "order by", "reason, risk", "days")
_MOVE_COLUMNS = ("product", "as planned", "change", "share", "mostly by")
_TEXT_COLUMNS = ("site", "product", "order by", "reason, risk", "mostly by")


def _table(title: str, columns: tuple[str, ...], rows: list[list[str]]) -> "Table":
    table = plain_table(title, columns, left=_TEXT_COLUMNS, gap=2)
    for row in rows:
        table.add_row(*row)
    for column in table.columns:
        column.no_wrap = True
    return table


def _order_cells(line: dict[str, Any]) -> list[str]:
    reason = line["reason"].replace("_", " ").removesuffix(" risk")
    risks = " > ".join(f"{line[f'stockout_probability_{when}']:.0%}" for when in ("before", "after"))
    days = " > ".join(cell(line[f"days_on_hand_{when}"], ".0f") for when in ("before", "after"))
    cost = cell(line["cost"], ",.2f", "unknown")
    texts = [line["facility_id"], line["product_id"], f"{line['packs']:,}", cost, f"{line['order_by']:%d %b}"]
    return [*texts, f"{reason} {risks}", days]


def _move_cells(move: dict[str, Any]) -> list[str]:
    share = f"{move['change'] / move['baseline']:+.0%}" if move["baseline"] else "new"
    cause = f"{move['gene']}, {move['drug']}"
    return [move["product_id"], f"{move['planned']:,.0f}", f"{move['change']:+,.0f}", share, cause]
