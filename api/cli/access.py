"""`user`, `key` and `audit`: who may sign in, which systems may call, and what was done."""

import datetime as dt

import click

from api.cli.common import database_option, facilities_option, open_database, settings_with, utc_now, writing_to
from warehouse.roles import Role


@click.group()
def user() -> None:
    """People who sign in to the worklist."""


@user.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--display-name", help="Name shown; default: the sign-in name.")
@facilities_option
@click.password_option(help="Asked for when not given; better not on the command line.")
@database_option
def add_user(
    name: str, role: str, display_name: str | None, facilities: tuple[str, ...], password: str, database: str | None
) -> None:
    """Add a person."""
    from api.access.accounts import NewUser, create_user

    with writing_to(database) as connection:
        create_user(connection, NewUser(name, display_name or name, role, password, facilities or None), now=utc_now())


@click.group()
def key() -> None:
    """Keys with which inventory systems call the API."""


@key.command("add")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="e.g. recommendations:read; may be repeated.")
@facilities_option
@click.option("--days", type=click.IntRange(min=1), default=365, show_default=True, help="Valid for so many days.")
@database_option
def add_key(name: str, scopes: tuple[str, ...], facilities: tuple[str, ...], days: int, database: str | None) -> None:
    """Add a key and print it, once: only its digest is kept."""
    from api.access.keys import create_api_key

    now = utc_now()
    with writing_to(database) as connection:
        secret = create_api_key(
            connection,
            name=name,
            scopes=scopes,
            facility_ids=facilities or None,
            expires_at=now + dt.timedelta(days=days),
            now=now,
        )
    click.echo(secret)


@key.command("rotate")
@click.argument("key_id")
@click.option(
    "--hours", type=click.IntRange(min=0), default=24, show_default=True, help="The old secret counts for so long."
)
@database_option
def rotate_key(key_id: str, hours: int, database: str | None) -> None:
    """Give a key a new secret and print it, once; scopes, sites and end stay."""
    from api.access.keys import rotate_api_key

    now = utc_now()
    with writing_to(database) as connection:
        click.echo(rotate_api_key(connection, key_id, old_until=now + dt.timedelta(hours=hours), now=now))


@key.command("revoke")
@click.argument("key_id")
@database_option
def revoke_key(key_id: str, database: str | None) -> None:
    """End a key at once."""
    from api.access.keys import revoke_api_key

    with writing_to(database) as connection:
        revoke_api_key(connection, key_id, now=utc_now())


@click.group()
def audit() -> None:
    """The trail of who changed what."""


@audit.command("verify")
@click.option("--head", metavar="SHA256", help="A digest noted earlier: it must still be in the trail.")
@database_option
def verify_audit(head: str | None, database: str | None) -> None:
    """Check that no event was changed or removed; print how many there are and the newest digest."""
    from warehouse.audit import verify

    with open_database(settings_with(database)).connect() as connection:
        trail = verify(connection, known_head=head)
    click.echo(f"{trail.events} events, unbroken; newest digest {trail.head}")
