"""`release`: which knowledge is stored, what a release would change, and putting one in force."""

from typing import TYPE_CHECKING, Any

import click

from api.cli import common

if TYPE_CHECKING:
    from assets.sites.release_impact import ReleaseImpact


@click.group()
def release() -> None:
    """Releases of guidance, functions, frequencies and mappings: list, compare, put in force."""


@release.command("list")
@click.option("--kind", help="Only this kind, e.g. guidance.")
@common.database_option
def list_releases(kind: str | None, database: str | None) -> None:
    """Show what is stored and where it is in force today, then every activation."""
    from warehouse.releases import activations, stored_releases

    today = common.utc_now().date()
    with common.open_database(common.settings_with(database)).connect() as connection:
        stored = [row for row in stored_releases(connection, today) if kind in (None, row["kind"])]
        decided = [row for row in activations(connection) if kind in (None, row["kind"])]
    for row in stored:
        sites = ", ".join(row["in_force_at"]) or "nowhere"
        click.echo(f"{row['release_id']}  {row['rows']} rows, loaded {row['loaded_at']:%Y-%m-%d}, in force: {sites}")
    for row in decided:
        site = "every site" if row["facility_id"] == "*" else row["facility_id"]
        note = f": {row['note']}" if row["note"] else ""
        click.echo(
            f"{row['decided_at']:%Y-%m-%d %H:%M} UTC  {row['display_name']} put {row['release_id']} in force at {site} "
            f"from {row['effective_on']}{note}"
        )


@release.command("diff")
@click.argument("releases", nargs=-1, required=True, metavar="RELEASE...")
@common.facilities_option
@click.option("--rows", "most", type=click.IntRange(min=0), default=40, show_default=True, help="Changed rows shown.")
@common.database_option
def diff_releases(releases: tuple[str, ...], facilities: tuple[str, ...], most: int, database: str | None) -> None:
    """Show what releases would change against those that the newest run rests on: rows, drugs, sites, packs per week.

    Nothing is put in force and no table is written.
    """
    from assets.dagster_io.resources import Warehouse
    from assets.sites.release_impact import release_impact
    from warehouse.importers.content.difference import counted

    settings = common.settings_with(database)
    common.open_database(settings).dispose()
    warehouse = Warehouse(database_url=settings.database_url)
    with common.progress("comparing"):
        impact = release_impact(warehouse, releases, facilities)
    warehouse.engine.dispose()
    for (kind, against), rows in impact.rows.groupby(["kind", "against"]):
        counts = ", ".join(f"{count} {change}" for change, count in counted(rows).items())
        click.echo(f"{kind} against {against or 'nothing'}: {counts} rows")
    if impact.rows.empty:
        click.echo("no row differs")
    for row in impact.rows.head(most).to_dict("records"):
        field = f": {row['field']} {row['before'] or '(blank)'} -> {row['after'] or '(blank)'}" if row["field"] else ""
        about = f"{row['subject']}, " if row["subject"] not in row["row"] else ""
        click.echo(f"  {row['change']} {row['kind']} {about}{row['row']}{field}")
    if len(impact.rows) > most:
        click.echo(f"  ... and {len(impact.rows) - most} more lines (--rows)")
    _print_moves(impact)


def _print_moves(impact: "ReleaseImpact") -> None:
    from rich.console import Console

    for site, name, message in impact.problems:
        click.echo(f"{site}, {name}: {message}")
    if impact.moves.empty:
        click.echo("no demand would move")
        return
    names = ("site", "drug", "product")
    columns = (*names, "units/week now", "units/week then", "packs/week")
    table = common.plain_table(None, columns, left=names, gap=2)
    for row in impact.moves.to_dict("records"):
        units = [f"{row[f'units_per_week_{when}']:,.1f}" for when in ("before", "after")]
        keys = (str(row[name]) for name in ("facility_id", "drug", "product_id"))
        table.add_row(*keys, *units, f"{row['packs_per_week']:+,.2f}")
    Console().print(table)
    for product, packs in impact.moves.groupby("product_id")["packs_per_week"].sum().items():
        click.echo(f"{product}: {packs:+,.2f} packs per week over these sites")


@release.command("activate")
@click.argument("releases", nargs=-1, required=True, metavar="RELEASE...")
@click.option("--by", "name", required=True, metavar="NAME", help="Sign-in name of the person who decides.")
@common.facilities_option
@click.option(
    "--effective", callback=common.parse_date, required=True, metavar="DATE", help="First origin day that uses it."
)
@click.option("--note", help="Why, for the ledger.")
@click.password_option(
    confirmation_prompt=False, help="Asked for when not given; better not on the command line.", prompt="Password"
)
@common.database_option
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

    now = common.utc_now()
    engine = common.open_database(common.settings_with(database))
    with writing(engine) as connection:
        person = person_by_password(connection, name, password, now)
    # a failed password must be counted: it is not undone with what follows
    if person is None:
        raise InvalidInput(f"{name}: unknown name or wrong password, or locked after too many failures")
    try:
        with writing(engine) as connection:
            activate_releases(
                connection, person, releases, facility_ids=facilities, effective_on=effective, note=note, now=now
            )
    except NotAllowed as error:
        raise InvalidInput(error.detail) from error
    click.echo(f"in force from {effective} at {', '.join(facilities) or 'every site'}: {', '.join(releases)}")
