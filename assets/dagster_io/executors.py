"""Dagster's executor for the steps, by the settings; nothing else schedules them."""

from typing import Any

import dagster as dg

from warehouse.settings import Settings

PRELOADED = ["assets.definitions"]


def executor_of(settings: Settings) -> tuple[dg.ExecutorDefinition, Any]:
    """The executor, and the IO manager that hands arrays between steps: in memory in one process, else by files.

    The files lie in Dagster's storage: every worker must reach that folder.
    """
    if settings.workers == 1:
        return dg.in_process_executor, dg.mem_io_manager
    processes = {
        "max_concurrent": settings.workers,
        # a forked worker has everything imported already; a spawned one pays for it at every step
        "start_method": {"forkserver": {"preload_modules": PRELOADED}},
    }
    return dg.multiprocess_executor.configured(processes), dg.FilesystemIOManager()
