"""A bundle of 8 sites, 48 products and 182 weeks: planned in time, complete, moved by genotype only where it should."""

import datetime as dt
import time

import numpy as np
import pandas as pd
import pytest

from forecasting.demo import demo_network

pytestmark = pytest.mark.slow

SITES, PRODUCTS, HISTORY_WEEKS, WEEKS, MOST_SECONDS = 8, 48, 182, 26, 120
AS_OF = dt.date(2026, 11, 23)
KEY = ["facility_id", "product_id", "period_start"]
NO_GENE = "metformin"


def _files():
    """The invented network, cut to 48 products that are sold throughout, at sites that stay open."""
    files = demo_network(as_of=AS_OF, history_weeks=HISTORY_WEEKS).files
    products = files["products"]
    throughout = products[products["launched_on"].isna() & products["withdrawn_on"].isna()]
    no_gene = throughout["drug"] == NO_GENE
    kept = pd.concat([throughout[~no_gene].head(PRODUCTS - no_gene.sum()), throughout[no_gene]])
    ids, drugs = set(kept["product_id"]), set(kept["drug"])
    files["products"] = kept
    for name in ("dispensing", "stock", "open_orders", "receipts"):
        files[name] = files[name][files[name]["product_id"].isin(ids)]
    short = files["shortages"]
    files["shortages"] = short[short["product_id"].isin(ids) | short["drug"].isin(drugs)]
    files["facilities"] = files["facilities"].assign(closed_on=None, successor_id=None)
    return files


@pytest.fixture(scope="module")
def large(desk_at):
    """The bundle's files, its forecasts with and without genetics, and the seconds that the first took."""
    files, desk = _files(), desk_at("large")
    desk.write_bundle(files)
    began = time.perf_counter()
    desk.succeed_alone("load", "bundle")
    desk.succeed_alone("run", "--horizon", WEEKS)
    desk.succeed_alone("export", "forecasts", "--out", "genetic.csv")
    seconds = time.perf_counter() - began
    genetic = pd.read_csv(desk.folder / "genetic.csv", keep_default_na=False, na_values=[""])
    desk.succeed("run", "--horizon", WEEKS, "--without-genetics")
    return files, genetic, desk.export("forecasts", "blind.csv"), seconds


def test_it_is_loaded_planned_and_exported_in_two_minutes(large):
    assert large[3] < MOST_SECONDS


def test_there_is_one_row_per_site_product_and_week(large):
    files, genetic = large[:2]
    used = set(files["dispensing"][["facility_id", "product_id"]].itertuples(index=False, name=None))
    wanted = used | {("*", product_id) for product_id in files["products"]["product_id"]}
    assert len(wanted) > 0.95 * (SITES + 1) * PRODUCTS  # some sites never use some products
    rows = genetic.groupby(KEY[:2]).size()
    assert set(rows.index) == wanted
    assert set(rows) == {WEEKS}
    assert not genetic.duplicated(KEY).any()
    assert np.isfinite(genetic[["mean", "p025", "p50", "p975"]]).all().all()
    assert genetic["period_start"].min() == f"{AS_OF}"


def test_genetics_moves_demand_where_testing_grows_and_nothing_where_nobody_is_tested(large):
    files, genetic, blind, _ = large
    both = genetic.merge(blind, on=KEY, suffixes=("", "_blind"))
    growing = _growing(files["testing_coverage"])
    still = set(files["facilities"]["facility_id"]) - set(files["testing_coverage"]["facility_id"])
    no_gene = both["product_id"].str.startswith(NO_GENE) & (both["facility_id"] != "*")
    agree = both[both["facility_id"].isin(still) | no_gene]
    assert still
    assert no_gene.any()
    assert agree["mean"].tolist() == agree["mean_blind"].tolist()
    tests_clopidogrel = set(growing.loc[growing["gene"] == "CYP2C19", "facility_id"])
    moved = both[both["facility_id"].isin(tests_clopidogrel) & both["product_id"].str.startswith("clopidogrel")]
    last = moved[moved["period_start"] == moved["period_start"].max()]
    assert set(last["facility_id"]) == tests_clopidogrel
    assert (last["mean"] < 0.999 * last["mean_blind"]).all()


def _growing(coverage):
    """Sites and genes whose planned share of patients under advice exceeds the share when history ends."""
    coverage = coverage.assign(share=coverage["share_tested"].astype(float) * coverage["share_followed"].astype(float))
    starts = pd.to_datetime(coverage["period_start"])
    ahead = starts.between(pd.Timestamp(AS_OF), pd.Timestamp(AS_OF) + pd.Timedelta(weeks=WEEKS))
    key = ["facility_id", "gene"]
    reached = coverage[ahead].groupby(key)["share"].max()
    now = coverage[starts < pd.Timestamp(AS_OF)].sort_values("period_start").groupby(key)["share"].last()
    grown = reached - now.reindex(reached.index).fillna(0.0)
    return grown[grown > 0.01].reset_index()
