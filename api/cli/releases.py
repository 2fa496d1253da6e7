"""`release`: which knowledge is stored, what a release would change, and putting one in force."""

import datetime as dt
from typing import Any

import click

from api.cli.common import database_option, open_database, parse_date, settings_with


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


@release.command("activate")
@click.argument("releases", nargs=-1, required=True, metavar="RELEASE...")
@click.option("--by", "name", required=True, metavar="NAME", help="Sign-in name of the person who decides.")
@click.option("--facility", "facilities", multiple=True, metavar="ID", help="Only this site; may be repeated.")
@click.option("--effective", callback=parse_date, metavar="DATE", help="First origin day that uses it; default: today.")
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
    from api.activations import activate_releases
    from api.auth import person_by_password
    from api.errors import NotAllowed
    from forecasting.errors import InvalidInput
    from warehouse.engine import writing

    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    engine = open_database(settings_with(database))
    with writing(engine) as connection:
        person = person_by_password(connection, name, password, now)
    # a failed password must be counted: it is not undone with what follows
    if person is None:
        raise InvalidInput(f"{name}: unknown name or wrong password, or locked after too many failures")
    day = effective or now.date()
    try:
        with writing(engine) as connection:
            activate_releases(
                connection, person, releases, facility_ids=facilities, effective_on=day, note=note, now=now
            )
    except NotAllowed as error:
        raise InvalidInput(error.detail) from error
    click.echo(f"in force from {day} at {', '.join(facilities) or 'every site'}: {', '.join(releases)}")
