"""Killed at any moment: a rerun ends where an undisturbed run does, and no decision is lost."""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from warehouse.schema import Base

pytestmark = pytest.mark.slow

HORIZON = 8
RESULTS = [table.name for table in Base.metadata.sorted_tables if table.info["layer"] == "results"]


def _plan(desk):
    desk.succeed("run", "--horizon", HORIZON)


def _seconds_of(desk, *arguments):
    """How long the command takes with its start-up, as the ones that are killed have it."""
    began = time.perf_counter()
    desk.succeed_alone(*arguments)
    return time.perf_counter() - began


def _kill(process, seconds):
    """Whether the process still ran when it was killed, with all it had started."""
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    return False


@pytest.fixture(scope="module")
def decided(loaded, desk_at):
    """A desk that was planned, where a person approved a line and changed another one; and the seconds of a run."""
    desk = loaded.copy_to(desk_at("decided").folder)
    _plan(desk)
    lines = desk.export("recommendations")["recommendation_id"].tolist()
    with desk.serve() as (_, url), desk.signed_in(url, "ada") as (browser, _worklist):
        desk.approve(url, browser, lines[0])
        desk.approve(url, browser, lines[1])
    assert desk.counts()["decisions"] == 2
    return desk


@pytest.fixture(scope="module")
def undisturbed(decided, desk_at):
    """The result tables after one more run that nothing disturbs, and the seconds that it took."""
    desk = decided.copy_to(desk_at("undisturbed").folder)
    seconds = _seconds_of(desk, "run", "--horizon", HORIZON)
    return {name: desk.rows(name) for name in RESULTS}, seconds


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_run_killed_at_a_random_moment_and_run_again_ends_where_an_undisturbed_one_does(
    decided, undisturbed, tmp_path, seed
):
    wanted, seconds = undisturbed
    desk = decided.copy_to(tmp_path / "desk")
    decisions, decided_lines = desk.rows("decisions"), _decided(desk)
    moment = seconds * random.Random(seed).uniform(0.2, 0.95)  # the first fifth is start-up
    while not _kill(desk.start("run", "--horizon", HORIZON), moment):
        moment *= 0.7  # the machine is quicker now than it was before
    assert desk.rows("decisions") == decisions
    assert _decided(desk) == decided_lines
    _plan(desk)
    for name in RESULTS:
        assert desk.rows(name) == wanted[name], name
    assert desk.rows("decisions") == decisions


def _decided(desk):
    """Lines about which a person decided, whole."""
    return [row for row in desk.rows("recommendations") if "approved" in row]


def test_the_same_on_postgresql(loaded, desk_at, postgres_url, undisturbed_without_decisions):
    wanted, seconds = undisturbed_without_decisions
    folder = desk_at("postgresql").folder
    shutil.copytree(loaded.folder / "bundle", folder / "bundle")
    desk = type(loaded)(folder, postgres_url)
    desk.succeed("load", "bundle")
    _kill(desk.start("run", "--horizon", HORIZON), seconds * 0.6)
    _plan(desk)
    # the last digits of numbers may differ between databases, whose rows come in another order
    for name in RESULTS:
        assert len(desk.rows(name)) == len(wanted[name]), name
    assert {row[:6] for row in desk.rows("recommendations")} == {row[:6] for row in wanted["recommendations"]}


@pytest.fixture(scope="module")
def undisturbed_without_decisions(loaded, desk_at):
    desk = loaded.copy_to(desk_at("undecided").folder)
    seconds = _seconds_of(desk, "run", "--horizon", HORIZON)
    return {name: desk.rows(name) for name in RESULTS}, seconds


@pytest.fixture
def postgres_url(new_engine):
    """URL of a migrated PostgreSQL database of its own."""
    return new_engine("postgresql").url.render_as_string(hide_password=False)


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8])
def test_a_killed_load_leaves_no_half_loaded_file(loaded, desk, network_files, share):
    desk.write_bundle(network_files)
    desk.folder.joinpath("warm").mkdir()
    other = type(desk)(desk.folder / "warm")
    other.write_bundle(network_files)
    seconds = _seconds_of(other, "load", "bundle")
    desk.succeed("key", "add", "x", "--scope", "forecasts:read")  # makes the tables, so that they can be counted
    _kill(desk.start("load", "bundle"), seconds * share)
    counts, whole = desk.counts(), loaded.counts()
    assert all(counts[name] in (0, whole[name]) for name in network_files)
    assert len({counts[name] == 0 for name in network_files}) == 1
    desk.succeed("load", "bundle")
    for name in network_files:
        assert desk.rows(name) == loaded.rows(name), name
