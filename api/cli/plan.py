"""`run`, `backtest`, `replay`, `scenario`: planning and how good it is."""

from pathlib import Path
from typing import Any

import click

from api.cli.common import as_of_option, database_option, open_database, progress, settings_with
from forecasting.errors import NotBuilt


def plan(
    database: str | None,
    *,
    as_of: Any = None,
    horizon: int | None = None,
    facilities: tuple[str, ...] = (),
    with_genetics: bool = True,
) -> None:
    """Run every asset with progress, and say which stages were skipped for want of input."""
    settings = settings_with(database)
    engine = open_database(settings)
    with progress("planning") as report:
        from assets.execute import run_plan

        run_plan(
            settings.database_url,
            settings.home,
            as_of=as_of,
            horizon=horizon,
            facilities=facilities,
            with_genetics=with_genetics,
            progress=report,
        )
    from warehouse.exports import skipped_stages

    with engine.connect() as connection:
        for message in skipped_stages(connection):
            click.echo(message, err=True)


@click.command()
@as_of_option("the period after the history's last")
@click.option("--horizon", type=click.IntRange(min=1), help="Periods ahead; default: about half a year.")
@click.option("--facility", "facilities", multiple=True, metavar="ID", help="Only this site; may be repeated.")
@click.option("--without-genetics", is_flag=True, help="Forecast blind to genotype, for comparison.")
@database_option
def run(
    as_of: Any, horizon: int | None, facilities: tuple[str, ...], without_genetics: bool, database: str | None
) -> None:
    """Plan: from what was loaded to forecasts and recommendations, through every asset."""
    plan(database, as_of=as_of, horizon=horizon, facilities=facilities, with_genetics=not without_genetics)


@click.command()
@as_of_option("the latest run's")
@database_option
def backtest(as_of: Any, database: str | None) -> None:
    """Show how good each step of the forecast was on held-out periods (of the run with this origin)."""
    from rich.console import Console
    from rich.table import Table

    from warehouse.exports import export_frame

    with open_database(settings_with(database)).connect() as connection:
        scores = export_frame(connection, "backtest", as_of)
    if scores.empty:
        raise click.ClickException("the history is too short to hold any of it out: there is no backtest")
    stages = [stage for stage in ("seasonal_naive", "baseline", "genetic") if stage in set(scores["stage"])]
    console = Console()
    for segment, rows in scores.groupby("segment", sort=False):
        origins, series = int(rows["origins"].max()), int(rows["series"].max())
        table = Table(title=f"{segment}: {series} series, {origins} origins", title_justify="left")
        table.add_column("measure")
        for stage in stages:
            table.add_column(stage.replace("_", " "), justify="right")
        wide = rows.pivot_table(index="metric", columns="stage", values="value")
        for metric, values in wide.iterrows():
            table.add_row(str(metric), *(f"{values[stage]:.3f}" for stage in stages))
        console.print(table)


@click.command()
@database_option
def replay(database: str | None) -> None:
    """What the policy would have ordered last year (not built yet)."""
    raise NotBuilt("replay is not built yet")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@database_option
def scenario(file: Path, database: str | None) -> None:
    """What if go-live dates, coverage, guidance, supply or budget were others (not built yet)."""
    raise NotBuilt("scenario is not built yet")
