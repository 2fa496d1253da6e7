"""The invented network as a site bundle: it fits the tables, it is reproducible, it looks like a hospital network."""

import datetime as dt
import io
import time

import numpy as np
import pandas as pd
import pytest

from forecasting.demo import demo_network, small_network
from forecasting.errors import InvalidInput
from warehouse import frames
from warehouse.schema import inputs
from warehouse.schema.rules import Refers

AS_OF = dt.date(2026, 11, 23)
ORIGIN = pd.Timestamp(AS_OF)
TABLES = {table.name: table for table in inputs.Base.metadata.sorted_tables if table.info["layer"] == "inputs"}
FILES = (
    "facilities ancestry genotype_counts assays testing_coverage products dispensing stock open_orders suppliers "
    "receipts policies alternatives shortages"
).split()
PERSON_WORDS = ("mrn", "birth", "nhs", "person", "patient_id", "sex", "gender", "address", "surname", "age")


def test_every_file_of_the_bundle_is_there(network):
    assert sorted(network.files) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_every_column_of_its_table_and_breaks_no_rule(network, name):
    assert set(network.files[name].columns) == {column.name for column in TABLES[name].columns}
    assert len(frames.validate(network.files[name], TABLES[name])) == len(network.files[name]) > 0


@pytest.mark.parametrize("name", FILES)
def test_every_reference_of_a_file_leads_somewhere(network, name):
    read = frames.validate(network.files[name], TABLES[name])
    for column in TABLES[name].columns:
        for key in column.foreign_keys:
            assert set(read[column.name]) <= set(network.files[key.column.table.name][key.column.name])
        for rule in column.info["rules"]:
            if isinstance(rule, Refers):
                assert not rule.unknown(read[column.name], set(network.files[rule.table][rule.column])).any()


@pytest.mark.parametrize("name", FILES)
def test_a_file_written_as_csv_reads_back_as_the_same_rows(network, name):
    text = io.StringIO(network.files[name].to_csv(index=False))
    read = pd.read_csv(text, dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(
        frames.validate(read, TABLES[name]), frames.validate(network.files[name], TABLES[name]), check_dtype=False
    )


def test_the_small_network_fits_the_tables_too():
    files = small_network(AS_OF).files
    assert [len(frames.validate(files[name], TABLES[name])) > 0 for name in FILES] == [True] * len(FILES)
    assert (len(files["facilities"]), len(files["products"])) == (3, 20)
    assert files["dispensing"]["period_start"].nunique() == 110


def test_the_same_arguments_give_the_same_bytes_and_another_seed_gives_others():
    def text(seed):
        made = small_network(AS_OF, seed=seed)
        parts = [*made.files.items(), ("truth", made.truth.expected), ("prevalence", made.truth.prevalence)]
        return {name: frame.to_csv() for name, frame in parts}

    first, second, other = text(7), text(7), text(8)
    assert first == second
    assert {name for name in first if first[name] != other[name]} >= {"dispensing", "stock", "genotype_counts", "truth"}


def test_generation_takes_less_than_ten_seconds():
    start = time.perf_counter()
    demo_network(as_of=AS_OF)
    assert time.perf_counter() - start < 10


def test_no_column_could_hold_a_person(network):
    columns = {column for frame in network.files.values() for column in frame.columns}
    assert [column for column in columns if any(word in column.split("_") for word in PERSON_WORDS)] == []
    patients = network.files["dispensing"]["patients"].dropna()
    assert patients.min() >= 11


@pytest.mark.parametrize(
    "arguments",
    [
        {"as_of": dt.date(2026, 11, 24)},
        {"facilities": 0},
        {"facilities": 9},
        {"history_weeks": 0},
        {"horizon_weeks": 0},
    ],
)
def test_arguments_that_make_no_network_are_refused(arguments):
    with pytest.raises(InvalidInput):
        demo_network(**{"as_of": AS_OF, **arguments})


@pytest.mark.parametrize("facilities", [1, 2, 5])
def test_fewer_sites_make_a_whole_network_as_well(facilities):
    files = demo_network(as_of=AS_OF, facilities=facilities, history_weeks=30).files
    assert [len(frames.validate(files[name], TABLES[name])) > 0 for name in FILES] == [True] * len(FILES)


def test_there_are_at_least_24_drugs_and_64_products_with_several_strengths(network):
    products = network.files["products"]
    strengths = products.groupby("drug").size()
    assert (len(strengths) >= 24, len(products) >= 64, strengths["atomoxetine"], strengths["warfarin"]) == (
        True,
        True,
        6,
        4,
    )
    assert products["launched_on"].notna().sum() == products["withdrawn_on"].notna().sum() == 1


def test_sites_use_a_few_to_a_few_thousand_units_a_week(network):
    level = network.files["dispensing"].groupby(["facility_id", "product_id"])["quantity"].mean()
    assert level.min() > 0
    assert level.quantile(0.02) < 10
    assert 3_000 < level.max() < 9_000
    assert 100 < level.median() < 600


def test_history_is_the_weeks_before_the_origin_with_the_troubles_of_real_data(network):
    rows = network.files["dispensing"]
    assert rows["period_start"].min() == ORIGIN - pd.Timedelta(weeks=156)
    assert rows["period_start"].max() == ORIGIN - pd.Timedelta(weeks=1)
    assert 30 < (rows["quantity"] < 0).sum() < 0.01 * len(rows)
    weeks = rows.groupby(["facility_id", "product_id"])["period_start"].agg(["count", "min", "max"])
    span = (weeks["max"] - weeks["min"]).dt.days / 7 + 1
    assert 0.001 < 1 - weeks["count"].sum() / span.sum() < 0.02
    lost = rows[rows["period_start"] == ORIGIN - pd.Timedelta(weeks=19)]
    assert "H02" not in set(lost["facility_id"])


def test_a_product_that_ran_out_shows_zeros_where_people_wanted_thousands(network):
    def at_site(frame):
        weeks = frame["period_start"].between(ORIGIN - pd.Timedelta(weeks=30), ORIGIN - pd.Timedelta(weeks=28))
        return frame[weeks & (frame["facility_id"] == "H01") & (frame["product_id"] == "metformin-500")]

    assert set(at_site(network.files["dispensing"])["quantity"]) == {0.0}
    assert at_site(network.truth.expected)["expected_quantity"].min() > 1_000


def test_a_product_is_only_dispensed_while_it_is_on_the_market(network):
    rows = network.truth.expected.merge(network.files["products"], on="product_id")
    assert not (rows["period_start"] < rows["launched_on"]).any()
    assert not (rows["period_start"] >= rows["withdrawn_on"]).any()
    withdrawn = rows[rows["withdrawn_on"].notna()]
    assert withdrawn["period_start"].max() > ORIGIN


def test_the_closed_site_stops_and_its_successor_carries_on(network):
    closed = network.files["facilities"].dropna(subset=["closed_on"]).iloc[0]
    rows = network.files["dispensing"]
    assert rows.loc[rows["facility_id"] == closed["facility_id"], "period_start"].max() < closed["closed_on"]
    assert closed["facility_id"] not in set(network.files["stock"]["facility_id"])
    usual = network.truth.expected.groupby(["facility_id", "period_start"])["usual_care_quantity"].sum()
    before = usual[[closed["facility_id"], closed["successor_id"]]].xs(
        closed["closed_on"] - pd.Timedelta(weeks=1), level=1
    )
    after = usual[closed["successor_id"]][closed["closed_on"]]
    assert after == pytest.approx(before.sum(), rel=0.05)
    assert after > 1.05 * before[closed["successor_id"]]


def test_dispensing_scatters_around_the_expected_demand_without_bias(network):
    rows = network.files["dispensing"].merge(network.truth.expected, on=["facility_id", "product_id", "period_start"])
    assert len(rows) == len(network.files["dispensing"])
    assert rows["quantity"].sum() == pytest.approx(rows["expected_quantity"].sum(), rel=0.01)
    large = rows[rows["expected_quantity"] > 500]
    error = large["quantity"] / large["expected_quantity"] - 1
    assert 0.08 < np.sqrt((error**2).mean()) < 0.30
