"""`serve`: the API, the worklist and webhooks, on request the Dagster UI; `deliver`: webhooks.

Loopback only unless told otherwise.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from api.cli.common import database_option, open_database, settings_with

if TYPE_CHECKING:
    from warehouse.settings import Settings

DAGSTER_PORT = 3000
DAGSTER_STOPS_SECONDS = 20
STOPS_SECONDS = 30
"""How long requests that are being answered are waited for."""


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
    from api.http.observability import log_as_json
    from api.settings import ServerSettings

    settings = settings_with(database)
    server = ServerSettings.from_environment()
    engine = open_database(settings)
    log_as_json(server.log_level)
    app = create_app(engine, x12_sender_id=settings.x12_sender_id, server=server)
    with (
        _ends_quietly(),
        _dagster(settings, host, dagster_port) if with_dagster else contextlib.nullcontext(),
    ):
        uvicorn.run(
            app, host=host, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=STOPS_SECONDS
        )


@click.command("config")
@database_option
def show_config(database: str | None) -> None:
    """Print the settings that count, without passwords and secrets; fail on one that cannot be used."""
    from api.settings import ServerSettings
    from warehouse import writer_settings

    settings = settings_with(database).redacted() | ServerSettings.from_environment().redacted()
    settings |= writer_settings.redacted()
    width = max(map(len, settings))
    for name, value in settings.items():
        click.echo(f"{name:<{width}}  {value}".rstrip())


@click.command()
@click.option("--once", is_flag=True, help="Post what is due now and end.")
@database_option
def deliver(once: bool, database: str | None) -> None:
    """Post waiting events to webhooks until stopped, apart from `serve`, which does so too."""
    import threading

    from api.http.observability import log_as_json
    from api.settings import ServerSettings
    from api.webhooks.delivery import Worker, deliver_due

    engine = open_database(settings_with(database))
    server = ServerSettings.from_environment()
    if once:
        click.echo(f"{deliver_due(engine, server)} tried")
        return
    log_as_json(server.log_level)
    with _ends_quietly(), Worker(engine, server):
        threading.Event().wait()


@contextmanager
def _ends_quietly() -> Iterator[None]:
    """SIGTERM and Ctrl-C end the block, and what it started, and are no failure."""

    def end(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    # uvicorn raises the signal again once it has stopped: left alone, that would end the process and leave Dagster
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _dagster(settings: "Settings", host: str, port: int) -> Iterator[None]:
    from assets.execute import instance_folder

    environment = os.environ | {
        "DAGSTER_HOME": str(instance_folder(settings.home)),
        "PGX_SUPPLY_DATABASE_URL": settings.database_url,
    }
    arguments = ["dev", "-m", "assets.definitions", "-h", host, "-p", str(port)]
    # a session of its own: Ctrl-C reaches it through us, once, and all it started can be ended with it
    process = subprocess.Popen([sys.executable, "-m", "dagster", *arguments], env=environment, start_new_session=True)
    try:
        yield
    finally:
        _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(DAGSTER_STOPS_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
