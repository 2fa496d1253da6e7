"""A bundle without its optional files is planned: what a missing file would say is assumed, and said so."""

from pathlib import Path
from typing import Any

import pytest

from forecasting.demo import DemoNetwork
from tests.assets.conftest import Planned
from warehouse.importers.bundle import REQUIRED, WITHOUT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("missing", [["receipts"], sorted(set(WITHOUT) - {"stock"})], ids=["receipts", "all but stock"])
def test_a_plan_without_optional_files_still_recommends_orders(
    network: DemoNetwork, tmp_path: Path, missing: list[str]
) -> None:
    files: dict[str, Any] = {name: frame for name, frame in network.files.items() if name not in missing}
    assert set(files) >= set(REQUIRED)
    planned = Planned(tmp_path)
    planned.load(files)
    planned.run(horizon=4, facilities=("H01",))
    assert len(planned.table("recommendations"))
    sources = set(planned.table("lead_times")["source"])
    assert sources == ({"assumed"} if "suppliers" in missing else {"supplier"})
