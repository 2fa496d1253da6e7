"""`replay`: the last year simulated under four rules of ordering, as a table that fits 80 columns."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli import common

if TYPE_CHECKING:
    import pandas as pd
    import sqlalchemy as sa
    from rich.table import Table

RULES = {
    "par_levels": "par levels",
    "recent_peak": "8-week peak",
    "plan_without_genetics": "plan, blind",
    "plan": "plan",
}
LEGEND = (
    "par levels: filled up to a fixed level each week. 8-week peak: to the highest\n"
    "use of the last eight weeks times days of cover. plan, blind: this program\n"
    "without genotype. Demand that the shelf cannot serve is lost to it.\n"
    "short: weeks of items with unmet demand. stock: mean value held. same service:\n"
    "the stock and waste that the rule would need, with all its levels scaled, to\n"
    "meet as much demand as the plan does."
)


@click.command()
@common.pictures_option("the pictures (what service costs in stock and waste)")
@common.database_option
def replay(pictures: Path | None, database: str | None) -> None:
    """Simulate the last year again: the plan against par levels and the usual practice.

    Each week every rule orders from what was known then; all meet the same demand and the same lead times. `pgx-supply
    export replay` writes all of it to a file.
    """
    from rich.console import Console

    from warehouse.queries.exports import export_frame, latest_origin

    settings = common.settings_with(database)
    engine = common.open_database(settings)
    with engine.connect() as connection:
        latest_origin(connection)
    with common.progress("simulating the past") as report:
        report("a year, week by week", 0, 1)
        from assets.execute import run_replay

        run_replay(settings.database_url, settings.home)
    with engine.connect() as connection:
        scores = export_frame(connection, "replay")
        notes = _notes(connection)
    if scores.empty:
        raise click.ClickException(notes[0] if notes else "there is nothing to replay")
    console = Console()
    for segment in dict.fromkeys(scores["segment"]):
        console.print(_table(scores[scores["segment"] == segment], str(segment)))
        console.print()
    click.echo(LEGEND)
    for note in notes:
        click.echo(note, err=True)
    if pictures:
        from assets.pictures.replay import replay_drawings

        common.write_pictures(pictures, replay_drawings(scores))


def _notes(connection: "sa.Connection") -> list[str]:
    """What the replay did not know, in sentences."""
    from warehouse.queries.exports import problem_messages

    return problem_messages(connection, "replay_scores")


def _table(scores: "pd.DataFrame", segment: str) -> "Table":
    first = scores.iloc[0]
    title = f"Replay of {first['weeks']} weeks, {first['items']:,} items ({segment})"
    columns = ("rule", "demand met", "short", "stock", "expired", "orders", "lines", "cost", "same service")
    table = common.plain_table(title, columns, left=("rule",))
    unscaled = scores[scores["level_factor"] == 1].set_index("rule", drop=False)
    for rule, name in RULES.items():
        row = unscaled.loc[rule]
        cells = [f"{row['fill_rate']:.2%}", f"{row['stockout_weeks']:,}"]
        cells += [_money(row["mean_stock_value"]), _money(row["expired_value"])]
        cells += [f"{row['orders']:,}", f"{row['lines']:,}", _money(row["cost"])]
        table.add_row(name, *cells, _same_service(row, unscaled.loc["plan"]))
    return table


def _same_service(row: Any, plan: Any) -> str:
    """Stock and waste of the rule at the plan's share of demand met, and how much more (or less) that is."""
    if row["rule"] == "plan":
        return _money(row["same_service_value"])
    more = row["same_service_value"] / plan["same_service_value"] - 1
    return "-" if more != more else f"{_money(row['same_service_value'])} {more:+.0%}"


def _money(value: Any) -> str:
    if value is not None and value >= 1e6:
        return f"{value / 1e6:,.2f}M"
    return f"{value / 1e3:,.1f}k" if value is not None and value >= 1e4 else common.cell(value, ",.0f")
