"""Site groups forecast by several processes of a Dagster executor: the same bytes as in one."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.dagster_io.resources import Warehouse
from assets.definitions import definitions
from assets.execute import assets_job, instance_folder
from assets.stages.baseline import forecast_groups
from forecasting.demand.series import DemandPanel
from forecasting.errors import InvalidInput
from forecasting.terms import Period
from warehouse.settings import Settings

BASELINE = [dg.AssetKey("baseline_forecasts")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*InitResourceContext.dagster_run:DeprecationWarning")
def test_two_worker_processes_forecast_to_the_same_bytes_as_one(
    copied: Any, comparable: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = copied()
    before = comparable(mine.table("baseline_forecasts"))
    mine.execute("DELETE FROM baseline_forecasts")
    monkeypatch.setenv("PGX_SUPPLY_DATABASE_URL", mine.url)
    monkeypatch.setenv("PGX_SUPPLY_WORKERS", "2")
    job = dg.build_reconstructable_job("assets.execute", "assets_job")
    with (
        dg.DagsterInstance.from_config(str(instance_folder(mine.folder))) as instance,
        dg.execute_job(job, instance=instance, asset_selection=BASELINE, raise_on_error=True) as result,
    ):
        assert result.success
        steps = {event.step_key for event in result.all_events if event.is_step_success}
        started = [event for event in result.all_events if event.event_type_value == "STEP_WORKER_STARTED"]
    groups = {step for step in steps if step and "group_forecast" in step}
    assert len(groups) == 2
    processes = {event.engine_event_data.metadata["pid"].value for event in started if event.step_key in groups}
    assert len(processes) == 2
    pd.testing.assert_frame_equal(comparable(mine.table("baseline_forecasts")), before, check_exact=True)


def test_the_settings_choose_the_executor() -> None:
    assert assets_job().executor_def.name == "in_process"
    many = Settings.from_environment({"PGX_SUPPLY_WORKERS": "3"})
    job = definitions(Warehouse(database_url="sqlite://"), many).resolve_job_def("plan")
    assert job.executor_def.name == "multiprocess"


@pytest.mark.parametrize("text", ["0", "two", "-1", "1.5", "99999"])
def test_a_number_of_workers_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="PGX_SUPPLY_WORKERS = .* whole number"):
        Settings.from_environment({"PGX_SUPPLY_WORKERS": text})


@pytest.mark.parametrize("groups", [1, 2, 3, 7, 50])
def test_groups_keep_sites_whole_and_the_panel_in_order(groups: int) -> None:
    sites = tuple(np.repeat(list("abcde"), [1, 9, 2, 4, 4]))
    names = tuple(str(number) for number in range(20))
    panel = DemandPanel(sites, names, np.arange(40.0).reshape(20, 2), pd.Timestamp("2026-01-05").date(), Period.WEEK)
    parts = forecast_groups(panel, groups)
    assert 1 <= len(parts) <= groups
    assert [name for part in parts for name in part.product_ids] == list(names)
    of_sites = [set(part.facility_ids) for part in parts]
    assert sum(map(len, of_sites)) == 5
