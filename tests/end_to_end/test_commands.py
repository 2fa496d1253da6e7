"""load, run, export: the files that come out, what is said, exit codes, and what wrong usage is told."""

import resource
import sqlite3
import subprocess
import sys

import pandas as pd
import pytest

from api.cli.main import main

SITES, PRODUCTS, WEEKS = 3, 20, 26
COLUMNS = {
    "forecasts": "facility_id product_id period_start mean p025 p05 p10 p25 p50 p75 p90 p95 p975 baseline_mean "
    "genetic_shift model override_shift",
    "recommendations": "recommendation_id facility_id product_id supplier_id packs quantity cost order_by need_by "
    "reason stockout_probability_before stockout_probability_after expected_waste days_on_hand_before "
    "days_on_hand_after status other_reasons settings_from",
    "prevalence": "facility_id gene result_type result mean low high effective_n",
    "representation": "facility_id drug gene biogeographic_group share_served effective_n basis alleles_not_tested "
    "untested_share share_moved share_moved_low share_moved_high packs_per_week thin",
    "backtest": "stage segment horizon metric value value_added series origins",
}


@pytest.fixture(scope="module")
def exported(planned):
    """The exports of the planned network as CSV, by name."""
    return {what: planned.export(what) for what in COLUMNS}


@pytest.mark.parametrize("what", COLUMNS)
def test_an_export_has_the_documented_columns_and_says_the_same_in_csv_and_parquet(planned, exported, what):
    csv, parquet = exported[what], planned.export(what, f"{what}.parquet")
    assert list(csv.columns) == list(parquet.columns) == COLUMNS[what].split()
    assert len(csv) > 0
    pd.testing.assert_frame_equal(csv, _as_csv_reads(parquet, csv), check_dtype=False)


def _as_csv_reads(frame, csv):
    """Exact decimals are text in Parquet; a CSV reader takes them for numbers."""
    numbers = [name for name in frame.columns if pd.api.types.is_numeric_dtype(csv[name])]
    return frame.assign(**{name: pd.to_numeric(frame[name]) for name in numbers})


def test_forecasts_have_one_row_per_site_product_and_week_and_for_the_whole_system(exported):
    forecasts = exported["forecasts"]
    assert len(forecasts) == (SITES + 1) * PRODUCTS * WEEKS
    assert not forecasts.duplicated(["facility_id", "product_id", "period_start"]).any()
    assert sorted(forecasts["facility_id"].unique()) == ["*", "H01", "H02", "H03"]
    weeks = pd.date_range("2026-11-23", periods=WEEKS, freq="7D").strftime("%Y-%m-%d").tolist()
    assert sorted(forecasts["period_start"].unique()) == weeks
    assert not forecasts.isna().any().any()


def test_the_whole_system_is_the_sum_of_its_sites(exported):
    forecasts = exported["forecasts"]
    sums = forecasts[forecasts["facility_id"] != "*"].groupby(["product_id", "period_start"])["mean"].sum()
    whole = forecasts[forecasts["facility_id"] == "*"].set_index(["product_id", "period_start"])["mean"]
    pd.testing.assert_series_equal(sums, whole.sort_index(), rtol=1e-9)


def test_recommended_packs_respect_minimum_and_multiple_and_quantity_is_packs_times_size(exported, network_files):
    products = network_files["products"].set_index("product_id")
    lines = exported["recommendations"].join(products[["pack_size"]].astype(float), on="product_id")
    minimum = lines["product_id"].map(products["minimum_order_packs"]).fillna(1).astype(float)
    multiple = lines["product_id"].map(products["order_multiple_packs"]).fillna(1).astype(float)
    assert (lines["packs"] >= minimum).all()
    assert (lines["packs"] % multiple == 0).all()
    assert (lines["quantity"] == lines["packs"] * lines["pack_size"]).all()


def test_a_parquet_bundle_loads_as_the_csv_bundle_does_and_a_second_load_changes_nothing(loaded, desk, network_files):
    desk.write_bundle(network_files, "parquet")
    desk.succeed("load", "bundle")
    again = desk.succeed("load", "bundle")
    counted = [line.split(": ")[1].split(", ") for line in again.stdout.splitlines() if " -> " in line]
    assert {(accepted, rejected) for accepted, rejected, _ in counted} == {("0 accepted", "0 rejected")}
    for name in network_files:
        assert desk.rows(name) == loaded.rows(name), name


@pytest.mark.slow
def test_stages_without_input_are_skipped_and_told_on_stderr(desk, network_files):
    required = {name: network_files[name] for name in ("facilities", "products", "dispensing")}
    desk.write_bundle(required | {"products": required["products"].drop(columns="supplier_id")})
    told = desk.succeed("load", "bundle").stderr
    assert "no testing_coverage file: the genetic step is skipped" in told
    done = desk.succeed("run", "--horizon", 4, "--facility", "H03")
    assert done.stdout == ""
    assert "stock is missing" in done.stderr
    assert len(desk.export("recommendations")) == 0
    assert set(desk.export("forecasts")["genetic_shift"]) == {0.0}
    with sqlite3.connect(desk.folder / "pgx-supply.db") as connection:
        skipped = pd.read_sql("SELECT asset FROM problems WHERE rule = 'input_missing'", connection)["asset"]
    assert set(skipped) == {"prevalence", "exposure", "lead_times", "recommendations"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["load", "nowhere"], 2, "nowhere"),
        (["load", "bundle", "--format", "excel"], 2, "'excel' is not one of 'bundle'"),
        (["load", "bundle/nothing"], 1, "no file of a site bundle here"),
        (["run", "--as-of", "today"], 2, "'today' is not a date (YYYY-MM-DD)"),
        (["run", "--horizon", "0"], 2, "--horizon"),
        (["run", "--database", "nonsense"], 1, "not a database URL: 'nonsense'"),
        (["run", "--database", "mysql://a/b"], 1, "'mysql' is not supported"),
        (["run", "--database", "postgresql://x:geheim@127.0.0.1:1/x"], 1, "cannot be opened"),
        (["run", "--database", "sqlite:////nowhere/at/all.db"], 1, "cannot be opened"),
        (["export", "forecasts", "--out", "f.csv", "--database", "sqlite:///empty.db"], 1, "nothing was planned yet"),
        (["export", "forecasts", "--out", "f.xlsx"], 2, "must end in .csv or .parquet"),
        (["export", "forecasts"], 2, "--out"),
        (["export", "secrets", "--out", "f.csv"], 2, "'secrets' is not one of"),
        (["export", "forecasts", "--out", "nowhere/f.csv"], 1, "nowhere"),
        (["export", "forecasts", "--out", "f.csv", "--as-of", "2020-01-06"], 1, "no run with origin 2020-01-06"),
        (["replay", "--database", "sqlite:///empty.db"], 1, "nothing was planned yet"),
        (["scenario", "f.yaml", "--database", "sqlite:///empty.db"], 1, "nothing is planned yet"),
        (["fly"], 2, "No such command 'fly'"),
        (["backtest", "--facility", "H01"], 2, "--facility goes with --drug or --product"),
        (["backtest", "--drug", "moonshine"], 1, "no series of the plan's history is of drug moonshine"),
        (["key", "add", "x", "--scope", "everything"], 1, "everything"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_told_in_a_sentence_with_its_exit_code(at_a_desk, monkeypatch, capfd, arguments, code, said):
    # in this process: what is imported once serves them all
    monkeypatch.chdir(at_a_desk.folder)
    monkeypatch.setattr(sys, "argv", ["pgx-supply", *arguments])
    monkeypatch.setenv("PGX_SUPPLY_DATABASE_URL", at_a_desk.database)
    with pytest.raises(SystemExit) as ended:
        main()
    told = capfd.readouterr()
    assert (ended.value.code, told.out) == (code, "")
    assert said in told.err
    assert "geheim" not in told.err
    assert told.err.splitlines()[-1].startswith(("pgx-supply: ", "Error: "))
    assert code == 2 or len(told.err.splitlines()) == 1


def test_the_backtest_fits_a_hundred_columns_and_writes_its_pictures(planned, tmp_path):
    done = planned.succeed("backtest", "--pictures", tmp_path / "pictures", COLUMNS="100")
    # the names of written files are as long as their folder's
    assert all(len(line) <= 100 for line in done.stdout.splitlines() if not line.endswith(".svg"))
    for said in ("Backtest: ", "By segment", "By horizon", "quantile loss", "coverage 95", "genetic adds", "Overrides"):
        assert said in done.stdout
    assert "…" not in done.stdout
    names = {file.name for file in (tmp_path / "pictures").iterdir()}
    assert names == {"accuracy_by_horizon.svg", "coverage.svg", "value_added.svg"}


def test_the_backtest_compares_prophet_and_statsmodels_on_a_total_that_is_asked_for(planned):
    done = planned.run("backtest", "--drug", "clopidogrel", "--facility", "H01")
    assert done.returncode == 0, done.stderr
    table = [line.split() for line in done.stdout.splitlines() if "%" in line]
    assert {row[1] for row in table} == {"engine", "prophet", "sarimax", "unobserved"}
    errors = [float(next(cell for cell in row if cell.endswith("%"))[:-1]) for row in table]
    assert errors == sorted(errors)
    assert "*" in table[0]
    assert sum("*" in row for row in table) == 1
    assert all(0 < error < 60 for error in errors)
    assert all(row[-1] == "mg" for row in table)
    with sqlite3.connect(planned.folder / "pgx-supply.db") as connection:
        stored = pd.read_sql("SELECT * FROM aggregate_forecasts", connection)
    assert set(stored["facility_id"]) == {"H01"}
    assert stored.groupby("model")["chosen"].max().sum() == 1
    engine = stored[stored["model"] == "engine"]
    # one site's strengths are forecast one by one, their total as one: near, not the same
    assert engine["mean"].sum() == pytest.approx(engine["planned"].sum(), rel=0.2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--facility", "H99"], "unknown facility H99; known are H01, H02, H03"),
        pytest.param(["--as-of", "1999-01-04"], "nothing is known before it", marks=pytest.mark.slow),
        pytest.param(["--database", "sqlite:///empty.db"], "there is no dispensing history", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_cannot_be_planned_says_why_in_one_line(at_a_desk, arguments, said):
    told = at_a_desk.fail("run", *arguments)
    assert told.startswith("pgx-supply: ")
    assert said in told
    assert len(told.splitlines()) == 1


@pytest.fixture(scope="module")
def at_a_desk(planned, tmp_path_factory):
    desk = planned.copy_to(tmp_path_factory.mktemp("mistakes"))
    (desk.folder / "bundle" / "nothing").mkdir()
    return desk


def test_help_answers_at_once(desk):
    # processor time: the others may share the machine
    took = []
    for _ in range(5):
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "recommendations" in desk.succeed_alone("--help")
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)
    assert min(took) < 0.5


def test_the_command_line_is_imported_without_what_only_some_commands_need():
    code = "import sys, api.cli.main; print(sorted({'dagster', 'pandas', 'sqlalchemy', 'fastapi'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
