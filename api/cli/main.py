"""Entry point: the commands, and how errors are shown (one sentence on stderr; exit code 1 failed, 2 wrong usage)."""

import sys

import click

from api.cli import access, backtest, demo, files, plan, releases, replay, scenario, serve
from forecasting.errors import PgxSupplyError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pgx-supply")
def cli() -> None:
    """Genotype-aware drug demand forecasts and procurement recommendations for hospital pharmacies."""


for command in (
    *(demo.demo, files.load, plan.run, files.export, backtest.backtest, replay.replay, scenario.scenario),
    *(releases.release, serve.serve, serve.deliver, serve.show_config, access.user, access.key, access.audit),
):
    cli.add_command(command)


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        # click hands back the code of a command that ended itself, instead of ending the program with it
        code = cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(1)
    except PgxSupplyError as error:
        click.echo(f"pgx-supply: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"pgx-supply: {error}", err=True)
        sys.exit(1)
    sys.exit(code)
