"""Running the plan from a program: one process, one database, progress step by step."""

import datetime as dt
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from assets.definitions import computed_assets, definitions
from assets.resources import Warehouse

Progress = Callable[[str, int, int], None]
"""Called with the name of a finished step, the steps finished and the steps in all."""

# what a step has to say comes as an error or as a problem; the log would only repeat Dagster's events
INSTANCE_SETTINGS = "telemetry:\n  enabled: false\nnux:\n  enabled: false\npython_logs:\n  python_log_level: CRITICAL\n"


def instance_folder(home: Path) -> Path:
    """The folder of Dagster's run history, made on first use, without telemetry and without its welcome dialog."""
    folder = (home / "dagster").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "dagster.yaml"
    if not settings.exists():
        settings.write_text(INSTANCE_SETTINGS, encoding="utf-8")
    return folder


def run_plan(
    database_url: str,
    home: Path,
    *,
    as_of: dt.date | None = None,
    horizon: int | None = None,
    facilities: tuple[str, ...] = (),
    with_genetics: bool = True,
    progress: Progress | None = None,
) -> None:
    """Materialise every asset and run every check; the first error of a step is raised as it is."""
    asked: dict[str, Any] = {"facilities": list(facilities), "with_genetics": with_genetics}
    asked |= {"as_of": as_of.isoformat()} if as_of else {}
    asked |= {"horizon": horizon} if horizon else {}
    with warnings.catch_warnings(), dg.DagsterInstance.from_config(str(instance_folder(home))) as instance:
        warnings.simplefilter("ignore", dg.BetaWarning)
        # Dagster calls its own deprecated method when it makes an IO manager
        warnings.filterwarnings("ignore", ".*InitResourceContext.dagster_run", DeprecationWarning)
        job = definitions(Warehouse(database_url=database_url)).resolve_job_def("plan")
        if progress:
            job = job.with_hooks({_progress_hook(progress, len(computed_assets))})
        job.execute_in_process(run_config={"ops": {"runs": {"config": asked}}}, instance=instance, raise_on_error=True)


def _progress_hook(progress: Progress, total: int) -> dg.HookDefinition:
    """A hook that counts finished assets; checks are quick and not counted."""
    names = {key.path[-1] for asset in computed_assets for key in asset.keys} | {"forecast_with_genetics"}
    done: list[str] = []

    @dg.success_hook(name="progress")
    def report(context: dg.HookContext) -> None:
        if context.op.name in names:
            done.append(context.op.name)
            progress(context.op.name, len(done), total)

    return report
