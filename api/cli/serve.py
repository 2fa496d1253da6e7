"""`serve`: the API and the worklist, and on request the Dagster UI beside them. Loopback only unless told otherwise."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from api.cli.common import database_option, open_database, settings_with

if TYPE_CHECKING:
    from warehouse.settings import Settings

DAGSTER_PORT = 3000


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--with-dagster", is_flag=True, help=f"Also start the Dagster UI on :{DAGSTER_PORT}.")
@click.option("--dagster-port", default=DAGSTER_PORT, show_default=True, type=click.IntRange(1, 65535))
@database_option
def serve(host: str, port: int, with_dagster: bool, dagster_port: int, database: str | None) -> None:
    """Serve the API and the worklist until stopped."""
    import uvicorn

    from api.app import create_app

    settings = settings_with(database)
    engine = open_database(settings)
    if with_dagster:
        with _dagster(settings, host, dagster_port):
            uvicorn.run(create_app(engine), host=host, port=port, log_level="warning")
    else:
        uvicorn.run(create_app(engine), host=host, port=port, log_level="warning")


@contextmanager
def _dagster(settings: "Settings", host: str, port: int) -> Iterator[None]:
    from assets.execute import instance_folder

    environment = os.environ | {
        "DAGSTER_HOME": str(instance_folder(settings.home)),
        "PGX_SUPPLY_DATABASE_URL": settings.database_url,
    }
    arguments = ["dev", "-m", "assets.definitions", "-h", host, "-p", str(port)]
    process = subprocess.Popen([sys.executable, "-m", "dagster", *arguments], env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
