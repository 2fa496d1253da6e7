"""`release`: which knowledge is stored, what a release would change, and putting one in force."""

import datetime as dt
from typing import TYPE_CHECKING, Any

import click

from api.cli.common import database_option, open_database, parse_date, progress, settings_with

if TYPE_CHECKING:
    from assets.sites.release_impact import ReleaseImpact


@click.group()
def release() -> None:
    """Releases of guidance, functions, frequencies and mappings: list, compare, put in force."""


@release.command("list")
@click.option("--kind", help="Only this kind, e.g. guidance.")
@database_option
def list_releases(kind: str | None, database: str | None) -> None:
    """Show what is stored and where it is in force today, then every activation."""
    from warehouse.releases import activations, stored_releases

    today = dt.datetime.now(dt.UTC).date()
    with open_database(settings_with(database)).connect() as connection:
        stored = [row for row in stored_releases(connection, today) if kind in (None, row["kind"])]
        decided = [row for row in activations(connection) if kind in (None, row["kind"])]
    for row in stored:
        where = ", ".join(row["in_force_at"]) or "nowhere"
        click.echo(f"{row['release_id']}  {row['rows']} rows, loaded {row['loaded_at']:%Y-%m-%d}, in force: {where}")
    for row in decided:
        site = "every site" if row["facility_id"] == "*" else row["facility_id"]
        note = f": {row['note']}" if row["note"] else ""
        click.echo(
            f"{row['decided_at']:%Y-%m-%d %H:%M} UTC  {row['display_name']} put {row['release_id']} in force at {site} "
            f"from {row['effective_on']}{note}"
        )


@release.command("diff")
@click.argument("releases", nargs=-1, required=True, metavar="RELEASE...")
@click.option("--facility", "facilities", multiple=True, metavar="ID", help="Only this site; may be repeated.")
@click.option("--rows", "most", type=click.IntRange(min=0), default=40, show_default=True, help="Changed rows shown.")
@database_option
def diff_releases(releases: tuple[str, ...], facilities: tuple[str, ...], most: int, database: str | None) -> None:
    """Show what releases would change against those that the newest run rests on: rows, drugs, sites, packs per week.

    Nothing is put in force and no table is written.
    """
    from assets.dagster_io.resources import Warehouse
    from assets.sites.release_impact import release_impact
    from warehouse.importers.content.difference import counted

    settings = settings_with(database)
    open_database(settings).dispose()
    warehouse = Warehouse(database_url=settings.database_url)
    with progress("comparing"):
        found = release_impact(warehouse, releases, facilities)
    warehouse.engine.dispose()
    for (kind, against), rows in found.rows.groupby(["kind", "against"]):
        told = ", ".join(f"{count} {change}" for change, count in counted(rows).items())
        click.echo(f"{kind} against {against or 'nothing'}: {told} rows")
    if found.rows.empty:
        click.echo("no row differs")
    for row in found.rows.head(most).to_dict("records"):
        field = f": {row['field']} {row['before'] or '(blank)'} -> {row['after'] or '(blank)'}" if row["field"] else ""
        about = f"{row['subject']}, " if row["subject"] not in row["row"] else ""
        click.echo(f"  {row['change']} {row['kind']} {about}{row['row']}{field}")
    if len(found.rows) > most:
        click.echo(f"  ... and {len(found.rows) - most} more lines (--rows)")
    _tell_moves(found)


def _tell_moves(found: "ReleaseImpact") -> None:
    from rich.console import Console
    from rich.table import Table

    for site, name, message in found.problems:
        click.echo(f"{site}, {name}: {message}")
    if found.moves.empty:
        click.echo("no demand would move")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("site", "drug", "product"):
        table.add_column(name)
    for name in ("units/week now", "units/week then", "packs/week"):
        table.add_column(name, justify="right")
    for row in found.moves.to_dict("records"):
        units = [f"{row[f'units_per_week_{when}']:,.1f}" for when in ("before", "after")]
        names = (str(row[name]) for name in ("facility_id", "drug", "product_id"))
        table.add_row(*names, *units, f"{row['packs_per_week']:+,.2f}")
    Console().print(table)
    for product, packs in found.moves.groupby("product_id")["packs_per_week"].sum().items():
        click.echo(f"{product}: {packs:+,.2f} packs per week over these sites")


@release.command("activate")
@click.argument("releases", nargs=-1, required=True, metavar="RELEASE...")
@click.option("--by", "name", required=True, metavar="NAME", help="Sign-in name of the person who decides.")
@click.option("--facility", "facilities", multiple=True, metavar="ID", help="Only this site; may be repeated.")
@click.option("--effective", callback=parse_date, required=True, metavar="DATE", help="First origin day that uses it.")
@click.option("--note", help="Why, for the ledger.")
@click.password_option(
    confirmation_prompt=False, help="Asked for when not given; better not on the command line.", prompt="Password"
)
@database_option
def activate_release(
    releases: tuple[str, ...],
    name: str,
    facilities: tuple[str, ...],
    effective: Any,
    note: str | None,
    password: str,
    database: str | None,
) -> None:
    """Put releases in force at all sites, or at some, from a day on; the ledger keeps who decided and when."""
    from api.access.sign_in import person_by_password
    from api.http.errors import NotAllowed
    from api.releases.activation import activate_releases
    from forecasting.errors import InvalidInput
    from warehouse.engine import writing

    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    engine = open_database(settings_with(database))
    with writing(engine) as connection:
        person = person_by_password(connection, name, password, now)
    # a failed password must be counted: it is not undone with what follows
    if person is None:
        raise InvalidInput(f"{name}: unknown name or wrong password, or locked after too many failures")
    day = effective
    try:
        with writing(engine) as connection:
            activate_releases(
                connection, person, releases, facility_ids=facilities, effective_on=day, note=note, now=now
            )
    except NotAllowed as error:
        raise InvalidInput(error.detail) from error
    click.echo(f"in force from {day} at {', '.join(facilities) or 'every site'}: {', '.join(releases)}")
