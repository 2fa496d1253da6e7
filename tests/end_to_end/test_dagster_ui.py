"""The Dagster UI beside the server: the asset graph as an analyst sees it, and its processes' end."""

import re
import signal
import time
from pathlib import Path

import httpx2
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.browser]

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ARTEFACTS = Path(__file__).resolve().parents[1] / "artefacts"
STAGES = ["inputs", "pharmacogenomics", "regimens", "demand", "procurement"]
READY_SECONDS = 240
ENDED_SECONDS = 20


@pytest.fixture(scope="module")
def page():
    """A page of headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not here")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        opened = browser.new_page(viewport={"width": 1800, "height": 1000})
        opened.set_default_timeout(60_000)
        yield opened
        browser.close()


def _assets(url):
    """Assets that the UI's server knows, once its code is loaded."""
    query = {"query": "{ assetNodes { assetKey { path } } }"}
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        try:
            nodes = httpx2.post(f"{url}/graphql", json=query, timeout=20).json()["data"]["assetNodes"]
        except (httpx2.TransportError, ValueError):
            nodes = []
        if nodes:
            return {node["assetKey"]["path"][-1] for node in nodes}
        time.sleep(0.5)
    return pytest.fail(f"{url} showed no asset within {READY_SECONDS} s")


def _session(leader):
    """Processes of the session that this process leads."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def _children(parent):
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def test_the_asset_graph_shows_the_five_stages_and_a_stop_ends_every_process(planned, tmp_path, page, free_port):
    desk = planned.copy_to(tmp_path / "desk")
    with desk.serve("--with-dagster", "--dagster-port", free_port) as (process, _):
        url = f"http://127.0.0.1:{free_port}"
        assert {"dispensing", "prevalence", "forecasts", "recommendations"} <= _assets(url)
        dagster = _children(process.pid)
        assert dagster
        ARTEFACTS.mkdir(exist_ok=True)
        page.goto(f"{url}/asset-groups")
        page.wait_for_function("stages => stages.every(s => document.body.innerText.includes(s))", arg=_groups())
        page.wait_for_timeout(3000)  # the layout settles after the names are there
        assert page.get_by_role("dialog").count() == 0
        page.screenshot(path=ARTEFACTS / "dagster_asset_graph.png")
        page.goto(f"{url}/assets/forecasts")
        page.get_by_text("Latest materialization").first.wait_for()
        page.wait_for_timeout(2000)
        page.screenshot(path=ARTEFACTS / "dagster_forecasts.png")
        page.goto(f"{url}/runs")
        page.get_by_text(re.compile("^Success")).first.wait_for()
        started = [pid for leader in dagster for pid in _session(leader)]
        assert len(started) > 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    until = time.monotonic() + ENDED_SECONDS
    while any(_session(leader) for leader in dagster) and time.monotonic() < until:
        time.sleep(0.5)
    assert [_session(leader) for leader in dagster] == [[] for _ in dagster]
    assert (desk.folder / ".pgx-supply" / "dagster" / "dagster.yaml").is_file()


def _groups():
    return [f"stage_{number}_{name}" for number, name in enumerate(STAGES, start=1)]
