"""`release list`, `diff`, `activate` as commands, on both kinds of database, and a release worked by hand."""

import datetime as dt
import re
import sys

import pandas as pd
import pytest

from api.cli.main import main
from assets.sites.release_impact import release_impact
from forecasting.demo import small_network
from forecasting.pharmacogenomics.content import builtin_content
from tests.assets.conftest import Planned
from tests.assets.sites.test_release_impact import (
    FACTOR_ROW,
    NEW_FACTOR,
    TESTED,
    WITHDRAWN_ROW,
    Site,
    changed_alternatives,
    changed_guidance,
    expected,
    expected_tacrolimus_mg,
    packs,
)
from tests.end_to_end.conftest import Desk
from warehouse.engine import writing
from warehouse.importers.content import releases as content_releases
from warehouse.releases import newest_releases

AS_OF = dt.date(2026, 11, 23)
TODAY = dt.datetime.now(dt.UTC).date()
TOMORROW = TODAY + dt.timedelta(days=1)
PASSWORD = "correct horse battery"
BY = ["--by", "pia", "--password", PASSWORD]


@pytest.fixture
def command(monkeypatch, capfd, tmp_path):
    """A function: exit code, stdout and stderr of the command, over SQLite in this process."""

    def run(url, *arguments):
        if url.startswith("postgresql"):
            done = Desk(tmp_path, url).run(*arguments)
            return done.returncode, done.stdout, done.stderr
        monkeypatch.setattr(sys, "argv", ["pgx-supply", *map(str, arguments)])
        monkeypatch.setenv("PGX_SUPPLY_DATABASE_URL", url)
        monkeypatch.setenv("COLUMNS", "120")
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        told = capfd.readouterr()
        return code, told.out, told.err

    return run


def curated(folder, guidance, alternatives=None):
    """A folder of curated tables."""
    folder.mkdir(exist_ok=True)
    guidance.to_csv(folder / "guidance.csv", index=False)
    if alternatives is not None:
        alternatives.to_csv(folder / "default_alternative.csv", index=False)
    return folder


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def stored(request, new_engine, tmp_path, command):
    """Three sites, a pharmacist, an empty release, and a curated one beside what the program brings: URL and ids."""
    engine = new_engine(request.param)
    url = engine.url.render_as_string(hide_password=False)
    files = small_network(AS_OF, history_weeks=4, horizon_weeks=1).files
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for name in ("facilities", "products", "dispensing"):
        files[name].to_csv(bundle / f"{name}.csv", index=False)
    assert command(url, "load", bundle)[0] == 0
    assert command(url, "load", curated(tmp_path / "curated", changed_guidance()), "--format", "curated")[0] == 0
    with writing(engine) as connection:
        empty = content_releases.store_release(
            connection, "guidance", "nobody", "1", builtin_content().guidance.iloc[:0]
        )
        old, new = (newest_releases(connection, publisher)["guidance"] for publisher in ("pgx-supply", "curated"))
    assert command(url, "user", "add", "pia", "--role", "pharmacist", "--password", PASSWORD)[0] == 0
    assert command(url, "user", "add", "ben", "--role", "buyer", "--password", PASSWORD)[0] == 0
    return url, old, new, empty


def test_an_activation_needs_a_person_a_day_and_what_can_be_put_in_force(stored, command):
    url, old, new, empty = stored
    dated = [*BY, "--effective", TOMORROW]
    for arguments, code, said in (
        ([new, "--effective", TOMORROW, "--password", PASSWORD], 2, "--by"),
        ([new, *BY], 2, "--effective"),
        ([new, *BY, "--effective", "soon"], 2, "'soon' is not a date"),
        (["guidance:nobody:9", *dated], 1, "there is no release 'guidance:nobody:9'"),
        ([new, *dated, "--facility", "H99"], 1, "unknown facility H99; known are H01, H02, H03"),
        ([empty, *dated], 1, "has no rows"),
        ([new, old, *dated], 1, "more than one release of guidance"),
        ([new, "--by", "ben", "--password", PASSWORD, "--effective", TOMORROW], 1, "only a signed-in pharmacist"),
        ([new, "--by", "pia", "--password", "wrong", "--effective", TOMORROW], 1, "wrong password"),
        ([new, "--by", "nobody", "--password", PASSWORD, "--effective", TOMORROW], 1, "unknown name"),
    ):
        ended, out, err = command(url, "release", "activate", *arguments)
        assert (ended, out) == (code, ""), arguments
        assert said in err
        assert PASSWORD not in err
        assert code == 2 or len(err.splitlines()) == 1
    listed = command(url, "release", "list")[1]
    assert "put " not in listed


def test_the_list_tells_what_is_in_force_where_and_who_decided(stored, command):
    url, old, new, empty = stored
    code, out, err = command(url, "release", "list", "--kind", "guidance")
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    assert (code, err, set(lines)) == (0, "", {old, new, empty})
    assert lines[old].endswith("in force: every site")
    assert lines[new].endswith("in force: nowhere")
    code, out, err = command(
        url, "release", "activate", new, *BY, "--effective", TODAY, "--facility", "H02", "--note", "P&T 19 Nov"
    )
    assert (code, out, err) == (0, f"in force from {TODAY} at H02: {new}\n", "")
    assert command(url, "release", "activate", old, *BY, "--effective", TOMORROW)[0] == 0
    out = command(url, "release", "list", "--kind", "guidance")[1]
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    assert lines[new].endswith("in force: H02")
    assert lines[old].endswith("in force: H01, H03")
    decided = [line.split("  ")[1] for line in out.splitlines() if " UTC  " in line]
    assert decided == [
        f"pia put {old} in force at every site from {TOMORROW}",
        f"pia put {new} in force at H02 from {TODAY}: P&T 19 Nov",
    ]
    assert command(url, "release", "list", "--kind", "published_recommendation")[1] == ""


def test_before_a_run_there_is_nothing_to_compare_with(stored, command):
    url, _, new, _ = stored
    code, out, err = command(url, "release", "diff", new)
    assert (code, out) == (1, "")
    assert "nothing is planned yet" in err


@pytest.fixture
def released(planned, tmp_path, command):
    """A copy of the planned desk with a release of exactly three changes loaded: the database and the two ids."""
    desk = planned.copy_to(tmp_path / "desk")
    made = Planned(desk.folder, f"sqlite:///{desk.folder / 'pgx-supply.db'}")
    # the sites approved no alternative of their own; the hand calculation is at the guideline's full strength
    made.execute("DELETE FROM alternatives WHERE drug = 'simvastatin'")
    made.execute("UPDATE genetic_effects SET strength = 1, delay_days = 0")
    folder = curated(tmp_path / "curated", changed_guidance(), changed_alternatives())
    assert command(made.url, "load", folder, "--format", "curated")[0] == 0
    stored = made.table("content_releases")
    made.releases = sorted(stored.loc[stored["publisher"] == "curated", "release_id"])
    return made


def test_one_factor_one_alternative_one_withdrawn_row_give_exactly_their_diff_and_packs(released, command):
    code, out, err = command(released.url, "release", "diff", *released.releases)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line for line in lines if line.startswith("  ")] == [
        "  changed default_alternative simvastatin * pravastatin: share 0.4 -> 1",
        "  withdrawn default_alternative simvastatin * rosuvastatin",
        f"  withdrawn guidance clopidogrel, {WITHDRAWN_ROW}",
        f"  changed guidance tacrolimus, {FACTOR_ROW}: dose_factor_high 2 -> {NEW_FACTOR}",
        f"  changed guidance tacrolimus, {FACTOR_ROW}: dose_factor_low 1.5 -> {NEW_FACTOR}",
    ]
    assert any(re.search(r"default_alternative against \S+: 0 new, 1 changed, 1 withdrawn rows", one) for one in lines)
    assert any(re.search(r"guidance against \S+: 0 new, 1 changed, 1 withdrawn rows", one) for one in lines)
    warehouse = released.warehouse
    found = release_impact(warehouse, released.releases)
    warehouse.engine.dispose()
    told = {tuple(line.split()[:3]): line.split()[3:] for line in lines if line.split()[:1] in (["H01"], ["H02"])}
    products = Site(released, TESTED[0]).products
    for site in TESTED:
        moved = packs(found, site)
        for product, value in moved.items():
            assert told[site, products.loc[product, "drug"], product][-1] == f"{value:+,.2f}"
        tacrolimus = {name: moved.pop(name) for name in list(moved) if name.startswith("tacrolimus")}
        by_hand = {name: value for name, value in expected(released, site).items() if abs(value) > 1e-9}
        assert moved == pytest.approx(by_hand, rel=1e-9, abs=1e-9), site
        mg = products["pack_size"].astype(float) * products["strength_value"]
        total = sum(value * mg[name] for name, value in tacrolimus.items())
        assert total == pytest.approx(expected_tacrolimus_mg(released, site), rel=1e-9, abs=1e-9)
    assert not {site for site, *_ in told} - set(TESTED)


def test_a_diff_can_speak_of_one_site_and_of_fewer_rows(released, command):
    code, out, _ = command(released.url, "release", "diff", *released.releases, "--facility", "H02", "--rows", "1")
    assert code == 0
    assert "... and 4 more lines" in out
    assert not [line for line in out.splitlines() if line.startswith(("H01", "H03"))]
    code, out, err = command(released.url, "release", "diff", released.releases[0], "--facility", "H99")
    assert (code, out) == (1, "")
    assert "H99: not among the sites of the newest run" in err


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_history_follows_the_guidance_of_its_day_once_a_person_put_a_release_in_force(
    kind, new_engine, tmp_path, command, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    as_of = TODAY + dt.timedelta(days=7 - TODAY.weekday())
    engine = new_engine(kind)
    url = engine.url.render_as_string(hide_password=False)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for name, frame in small_network(as_of, history_weeks=78, horizon_weeks=8).files.items():
        frame.to_csv(bundle / f"{name}.csv", index=False)
    rows = builtin_content().guidance.copy()
    stays = (rows["drug"] == "clopidogrel") & (rows["action"] == "alternative")
    rows.loc[stays, "action"] = "standard"
    run = ["run", "--as-of", as_of, "--horizon", 8]
    for arguments in (
        ["load", bundle],
        ["load", curated(tmp_path / "curated", rows), "--format", "curated"],
        ["user", "add", "pia", "--role", "approver", "--password", PASSWORD],
        run,
    ):
        code, _, err = command(url, *arguments)
        assert code == 0, err
    made = Planned(tmp_path, url)
    before = clopidogrel(made)
    stored = made.table("content_releases")
    release = stored.loc[stored["publisher"] == "curated", "release_id"].item()
    assert made.table("release_previews")["release_id"].unique().tolist() == [release]
    moves = made.table("release_moves").query("product_id == 'clopidogrel-75'").set_index("facility_id")
    assert (moves["packs_per_week"] > 0).all()
    activate = ["release", "activate", release, *BY, "--effective", as_of, "--facility", "H01"]
    assert command(url, *activate)[0] == 0
    assert command(url, *run)[0] == 0
    after = clopidogrel(made)
    # who followed the old advice comes back: more clopidogrel in H01's history as it is seen today, H02's as it was
    known = (before["H01"] > 0) & (after["H01"] > 0)
    assert (after["H01"][known] >= before["H01"][known] * (1 - 1e-9)).all()
    assert after["H01"].sum() > before["H01"].sum() * 1.005
    assert after["H02"].to_numpy() == pytest.approx(before["H02"].to_numpy(), rel=1e-3, nan_ok=True)
    guidance = made.table("site_releases").query("kind == 'guidance' and facility_id == 'H01'")
    assert guidance.sort_values("effective_on")["in_force"].tolist() == [False, True]
    assert guidance.set_index("in_force").loc[True, "release_id"] == release
    assert "H01" not in set(made.table("release_previews").query("release_id == @release")["facility_id"])


def clopidogrel(made):
    """Reference demand by site and week."""
    rows = made.table("reference_demand").query("product_id == 'clopidogrel-75'")
    found: pd.DataFrame = rows.pivot_table(index="period_start", columns="facility_id", values="quantity")
    return found
