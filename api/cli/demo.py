"""`demo`: the main job on an invented hospital network, end to end."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli.common import database_option, open_database, progress, settings_with
from api.cli.plan import plan

if TYPE_CHECKING:
    import sqlalchemy as sa

BUNDLE = Path("pgx-supply-demo")
SHOWN = 10


@click.command()
@database_option
def demo(database: str | None) -> None:
    """Plan an invented hospital network and show today's top recommendations."""
    from warehouse.importers import load

    settings = settings_with(database)
    engine = open_database(settings)
    today = dt.datetime.now(dt.UTC).date()
    _write_bundle(today - dt.timedelta(days=today.weekday()))
    _refuse_other_data(engine)
    with progress("loading") as report:
        load(engine, BUNDLE, "bundle", report)
    plan(database)
    _show(engine)
    click.echo(
        "\nWhere to look next:\n"
        f"  {BUNDLE}/  the files that were loaded\n"
        "  pgx-supply export recommendations --out recommendations.csv\n"
        "  pgx-supply backtest\n"
        "  pgx-supply user add you --role approver && pgx-supply serve --with-dagster\n"
        "  then the worklist on http://127.0.0.1:8000 and the assets on http://127.0.0.1:3000"
    )


def _write_bundle(as_of: dt.date) -> None:
    from forecasting.demo import demo_network

    BUNDLE.mkdir(exist_ok=True)
    for name, frame in demo_network(as_of=as_of).files.items():
        frame.to_csv(BUNDLE / f"{name}.csv", index=False)


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
    from rich.table import Table

    from warehouse.exports import top_recommendations

    with engine.connect() as connection:
        count, lines = top_recommendations(connection, SHOWN)
    title = f"Today's top {len(lines)} of {count} recommendations"
    table = Table(title=title, title_justify="left", show_lines=True)
    for name, right in _COLUMNS:
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "why")
    for line in lines:
        table.add_row(*_cells(line))
    Console().print(table)
    if lines:
        click.echo(f"\nThe first in words: {lines[0]['paragraph']}")


_COLUMNS = (("site", False), ("product", False), ("packs", True), ("cost", True), ("order by", False), ("why", False))


def _cells(line: dict[str, Any]) -> list[str]:
    cost = "price unknown" if line["cost"] is None else f"{line['cost']:,.2f} {line['currency'] or ''}".strip()
    before, after = line["stockout_probability_before"], line["stockout_probability_after"]
    why = f"{line['reason'].replace('_', ' ')}: run-out {before:.0%} -> {after:.0%}"
    days = line["days_on_hand_before"]
    why += "" if days is None else f", {days:.0f} days on hand"
    return [line["facility_id"], line["product_id"], f"{line['packs']:,}", cost, str(line["order_by"]), why]
