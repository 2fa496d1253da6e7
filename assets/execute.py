"""Running the plan from a program: one database, one process with progress step by step, or Dagster's several."""

import dataclasses
import datetime as dt
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from assets.dagster_io.resources import Warehouse
from assets.definitions import computed_assets, definitions
from forecasting import errors
from warehouse.settings import DATABASE_VARIABLE, WORKERS_VARIABLE, Settings

Progress = Callable[[str, int, int], None]
"""Called with the name of a finished step, the steps finished and the steps in all."""

# a step reports by an error or a problem; the log would only repeat Dagster's events
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
    config: dict[str, Any] = {"facilities": list(facilities), "with_genetics": with_genetics}
    config |= {"as_of": as_of.isoformat()} if as_of else {}
    config |= {"horizon": horizon} if horizon else {}
    run_config = {"ops": {"runs": {"config": config}}}
    if Settings.from_environment().workers > 1:
        _run_in_processes(database_url, home, run_config)
    else:
        hooks = {_progress_hook(progress, len(computed_assets))} if progress else set()
        _run_here("plan", database_url, home, run_config, hooks)


def run_aggregates(database_url: str, home: Path, *, drugs: Sequence[str], facility_id: str, product_id: str) -> None:
    """Forecast totals of the latest run with Prophet and statsmodels beside the engine."""
    config = {"drugs": list(drugs), "facility_id": facility_id, "product_id": product_id}
    _run_here("aggregates", database_url, home, {"ops": {"aggregate_forecasts": {"config": config}}})


def run_replay(database_url: str, home: Path) -> None:
    """Materialise the replay of the newest run; the first error of a step is raised as it is."""
    _run_here("replay", database_url, home)


def _run_here(
    job_name: str,
    database_url: str,
    home: Path,
    run_config: dict[str, Any] | None = None,
    hooks: Set[dg.HookDefinition] = frozenset(),
) -> None:
    """Run a job in this process; the first error of a step is raised as it is."""
    with _quiet(), dg.DagsterInstance.from_config(str(instance_folder(home))) as instance:
        job = _job(database_url, job_name).with_hooks(hooks)
        job.execute_in_process(run_config=run_config, instance=instance, raise_on_error=True)


def _job(database_url: str, name: str) -> dg.JobDefinition:
    """A job over one database, with the settings of the environment."""
    settings = dataclasses.replace(Settings.from_environment(), database_url=database_url)
    return definitions(Warehouse(database_url=database_url), settings).resolve_job_def(name)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        # Dagster calls its own deprecated method when it makes an IO manager
        warnings.filterwarnings("ignore", ".*InitResourceContext.dagster_run", DeprecationWarning)
        yield


def assets_job() -> dg.JobDefinition:
    """The planning run without its checks, as another process finds it: from the environment."""
    return _job(Settings.from_environment().database_url, "plan_assets")


def _run_in_processes(database_url: str, home: Path, run_config: dict[str, Any]) -> None:
    """The assets under Dagster's multiprocess executor, then the checks here."""
    workers = str(Settings.from_environment().workers)
    with (
        _quiet(),
        dg.DagsterInstance.from_config(str(instance_folder(home))) as instance,
        _environment({DATABASE_VARIABLE: database_url, WORKERS_VARIABLE: workers}),
    ):
        job = dg.build_reconstructable_job("assets.execute", "assets_job")
        with dg.execute_job(job, instance=instance, run_config=run_config, raise_on_error=False) as result:
            storage = Path(instance.storage_directory()) / result.run_id
            for event in result.all_events:
                if event.is_step_failure:
                    raise _as_raised(event.step_failure_data.error)
            if not result.success:
                raise RuntimeError("the planning run failed; the Dagster UI has its events")
        shutil.rmtree(storage, ignore_errors=True)  # arrays handed between steps
    _run_here("plan_checks", database_url, home)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables as other processes shall find them: a database's password belongs in no stored configuration."""
    previous = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in previous.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _as_raised(error: Any) -> Exception:
    """What a step in another process raised: a user's mistake as itself, anything else as a failure with its trace."""
    while error.cause is not None:
        error = error.cause
    kind: type[errors.PgxSupplyError] | None = getattr(errors, error.cls_name or "", None)
    if kind is not None:
        message = error.message.removeprefix(f"forecasting.errors.{error.cls_name}: ").strip()
        return kind(message)
    return RuntimeError(error.to_string())


def _progress_hook(progress: Progress, total: int) -> dg.HookDefinition:
    """A hook that counts finished assets; checks are quick and not counted."""
    names = {key.path[-1] for asset in computed_assets for key in asset.keys} | {
        "forecast_with_genetics",
        "baseline_of_groups",
        "learned_effects",
        "previews_of_releases",
    }
    done: list[str] = []

    @dg.success_hook(name="progress")
    def report(context: dg.HookContext) -> None:
        if context.op.name in names:
            done.append(context.op.name)
            progress(context.op.name, len(done), total)

    return report
