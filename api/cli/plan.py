"""`run`: planning."""

from typing import TYPE_CHECKING, Any

import click

from api.cli.common import as_of_option, database_option, facilities_option, open_database, progress, settings_with

if TYPE_CHECKING:
    import sqlalchemy as sa


def plan(
    database: str | None,
    *,
    as_of: Any = None,
    horizon: int | None = None,
    facilities: tuple[str, ...] = (),
    with_genetics: bool = True,
) -> None:
    """Run every asset with progress, and print which stages were skipped for want of input."""
    settings = settings_with(database)
    engine = open_database(settings)
    _check_known(engine, facilities)
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
    from warehouse.queries.exports import missing_inputs

    with engine.connect() as connection:
        for message in missing_inputs(connection):
            click.echo(message, err=True)


def _check_known(engine: "sa.Engine", facilities: tuple[str, ...]) -> None:
    """Refuse a site that is not stored before anything is started."""
    import sqlalchemy as sa

    from forecasting.errors import InvalidInput
    from warehouse.schema.inputs import Facility

    with engine.connect() as connection:
        known = sorted(connection.scalars(sa.select(Facility.facility_id)))
    unknown = sorted(set(facilities) - set(known))
    if unknown:
        raise InvalidInput(f"unknown facility {', '.join(unknown)}; known are {', '.join(known)}")


@click.command()
@as_of_option("the period after the history's last")
@click.option("--horizon", type=click.IntRange(min=1), help="Periods ahead; default: about half a year.")
@facilities_option
@click.option("--without-genetics", is_flag=True, help="Forecast blind to genotype, for comparison.")
@database_option
def run(
    as_of: Any, horizon: int | None, facilities: tuple[str, ...], without_genetics: bool, database: str | None
) -> None:
    """Plan: from what was loaded to forecasts and recommendations, through every asset."""
    plan(database, as_of=as_of, horizon=horizon, facilities=facilities, with_genetics=not without_genetics)
