"""`demo`: the main job on an invented hospital network, end to end."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli.common import database_option, open_database, progress, settings_with
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
    _refuse_other_data(engine)
    with progress("loading") as report:
        load(engine, BUNDLE, "bundle", report)
    plan(database, as_of=today)
    _show(engine)
    click.echo(
        "\nWhere to look next:\n"
        f"  {BUNDLE}/  the files that were loaded\n"
        "  pgx-supply export recommendations --out recommendations.csv\n"
        "  pgx-supply backtest\n"
        "  pgx-supply user add you --role approver && pgx-supply serve --with-dagster\n"
        "  then the worklist on http://127.0.0.1:8000 and the assets on http://127.0.0.1:3000"
    )


def _refuse_other_data(engine: "sa.Engine") -> None:
    """The demo never mixes with a site's own data."""
    import pandas as pd
    import sqlalchemy as sa

    from forecasting.errors import InvalidInput
    from warehouse.schema.inputs import Facility

    own = set(pd.read_csv(BUNDLE / "facilities.csv", dtype=str)["name"])
    with engine.connect() as connection:
        foreign = set(connection.scalars(sa.select(Facility.name))) - own
    if foreign:
        raise InvalidInput(f"the database holds {sorted(foreign)[0]!r}, not the demo: name another with --database")


def _show(engine: "sa.Engine") -> None:
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


def _table(title: str, columns: tuple[tuple[str, bool], ...], rows: list[list[str]]) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name, right in columns:
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


_ORDER_COLUMNS = (
    *(("site", False), ("product", False), ("packs", True), ("cost", True), ("order by", False)),
    *(("reason, risk", False), ("days", True)),
)


def _order_cells(line: dict[str, Any]) -> list[str]:
    cost = "unknown" if line["cost"] is None else f"{line['cost']:,.2f}"
    before, after = (line[f"stockout_probability_{when}"] for when in ("before", "after"))
    reason = line["reason"].replace("_", " ").removesuffix(" risk")
    days = [line[f"days_on_hand_{when}"] for when in ("before", "after")]
    told = " > ".join("-" if one is None else f"{one:.0f}" for one in days)
    return [
        *(line["facility_id"], line["product_id"], f"{line['packs']:,}", cost, f"{line['order_by']:%d %b}"),
        *(f"{reason} {before:.0%} > {after:.0%}", told),
    ]


_MOVE_COLUMNS = (*(("product", False), ("as planned", True), ("change", True), ("share", True), ("mostly by", False)),)


def _move_cells(move: dict[str, Any]) -> list[str]:
    share = f"{move['change'] / move['baseline']:+.0%}" if move["baseline"] else "new"
    cause = f"{move['gene']}, {move['drug']}"
    return [move["product_id"], f"{move['planned']:,.0f}", f"{move['change']:+,.0f}", share, cause]
