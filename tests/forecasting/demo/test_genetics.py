"""What is true about genotypes, testing and the drug mix of the invented network."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.demo import coverage, demo_network
from forecasting.demo.genotypes import assayed_genes, prevalence, site_genotypes
from forecasting.demo.moves import alternative_move, dose_move, gene_sets, rule_shares
from forecasting.demo.tables import table
from forecasting.pharmacogenomics.content import builtin_content

AS_OF = dt.date(2026, 11, 23)
ORIGIN = pd.Timestamp(AS_OF)
PUBLISHED = Path(__file__).parents[3].parent / "shared" / "data" / "pgx"
EXPECTED, AT_ORIGIN, USUAL = "expected_quantity", "expected_quantity_origin_exposure", "usual_care_quantity"
NO_PROGRAMME, PLANNED, GROWING, STOPPED = ["H03", "H07"], ["H02", "H06"], ["H01", "H04"], ["H05"]


def by_day(network, facility_id, product_id):
    rows = network.truth.expected.query("facility_id == @facility_id and product_id == @product_id")
    return rows.set_index("period_start")


def test_prevalence_at_a_european_site_is_on_average_what_cpic_publishes():
    file = PUBLISHED / "frequencies" / "phenotype_frequency_by_group.csv"
    if not file.exists():
        pytest.skip("the published phenotype frequencies are not at hand")
    published = pd.read_csv(file).query("population_group == 'European' and gene != 'CYP2B6'")
    seeds = [prevalence(site_genotypes(["H07"], seed)).set_index(["gene", "lookup_key"])["share"] for seed in range(15)]
    mean = sum(seeds) / len(seeds)
    wanted = published.set_index(["gene", "phenotype_or_activity_score"])["frequency"]
    common = wanted.index.intersection(mean.index)
    assert {gene for gene, _ in common} >= {"CYP2C19", "CYP2D6", "CYP3A5", "SLCO1B1", "TPMT"}
    assert mean[common].to_numpy() == pytest.approx(wanted[common].to_numpy(), abs=0.015)


def test_every_allele_of_an_assay_is_known_and_every_rule_names_keys_that_exist():
    for row in table("assay_alleles").itertuples():
        assert row.allele in assayed_genes()[row.gene].alleles
    moves = table("moves")
    for gene, patterns in [("gene_1", "keys_1"), ("gene_2", "keys_2")]:
        for row in moves.dropna(subset=[gene]).to_dict("records"):
            model = assayed_genes()[row[gene]]
            assert set(row[patterns].split(";")) <= {"*", *model.keys, *model.phenotypes}


def test_a_two_gene_rule_reaches_the_people_who_carry_both():
    """By hand for one site of one group, where the genes are independent."""
    sites = site_genotypes(["H07"], 7)
    rules = rule_shares(sites).query("drug == 'warfarin'").set_index(["keys_1", "keys_2"])["H07"]
    by_key = prevalence(sites).set_index(["gene", "lookup_key"])["share"]
    assert rules["1.0", "-1639 AA"] == pytest.approx(by_key["CYP2C9", "1.0"] * by_key["VKORC1", "-1639 AA"])
    assert rules["1.0", "*"] == pytest.approx(by_key["CYP2C9", "1.0"] * (1 - by_key["VKORC1", "-1639 AA"]))
    scored = by_key["CYP2C9", "0.0"] + by_key["CYP2C9", "0.5"] + by_key["CYP2C9", "1.0"]
    assert rules["*", "-1639 AA"] == pytest.approx((1 - scored) * by_key["VKORC1", "-1639 AA"])


def test_rxcui_are_those_that_cpic_publishes_and_blank_where_it_has_none():
    file = PUBLISHED / "drugs" / "cpic_drug.csv"
    if not file.exists():
        pytest.skip("the published drug table is not at hand")
    published = pd.read_csv(file, dtype=str).set_index("name")["rxnorm_ingredient_rxcui"]
    rxcui = table("drugs").set_index("drug")["rxcui"]
    assert rxcui.dropna().to_dict() == published.reindex(rxcui.index).dropna().to_dict()


def test_prevalence_adds_up_and_lies_near_the_published_group(network):
    shares = network.truth.prevalence
    assert shares.groupby(["facility_id", "gene"])["share"].sum().to_numpy() == pytest.approx(np.ones(80))
    european = shares.query("facility_id == 'H07' and gene == 'CYP2C19'").set_index("lookup_key")["share"]
    assert european["Poor Metabolizer"] == pytest.approx(0.1485**2, abs=0.015)
    assert european["Intermediate Metabolizer"] == pytest.approx(0.262, abs=0.05)


def test_counts_from_1_to_10_are_blank_and_no_others(network):
    counted, given = network.truth.genotype_counts, network.files["genotype_counts"]
    assert given["count"].isna().tolist() == counted["count"].between(1, 10).tolist()
    assert given["count"].isna().any()
    shown = given["count"].notna()
    assert given.loc[shown, "count"].tolist() == counted.loc[shown, "count"].tolist()


def test_counts_add_up_to_the_people_tested(network):
    counted = network.truth.genotype_counts
    keys = ["facility_id", "gene", "biogeographic_group", "result_type", "tested"]
    total = counted.groupby(keys)["count"].sum().reset_index()
    copies = np.where(total["result_type"] == "allele", 2, 1)
    assert total["count"].tolist() == (copies * total["tested"]).tolist()
    assert set(counted["result_type"]) == {"allele", "diplotype", "phenotype"}


def test_an_allele_that_a_site_does_not_test_is_never_reported(network):
    tested = network.files["assays"].set_index(["facility_id", "gene"])["alleles_tested"].str.split(";")
    rows = network.truth.genotype_counts.query("result_type == 'diplotype'")
    for row in rows.itertuples():
        assert set(row.result.split("/")) <= set(tested[row.facility_id, row.gene])
    assert "*17" not in tested["H05", "CYP2C19"]
    keys = network.truth.prevalence.query("facility_id == 'H05' and lookup_key == 'Ultrarapid Metabolizer'")
    assert keys.query("gene == 'CYP2C19'")["share"].item() > 0.01


def test_coverage_stays_within_what_the_network_was_given(network):
    rows = network.files["testing_coverage"]
    last = rows[~rows["planned"]].groupby("facility_id")["share_tested"].max()
    assert set(rows["facility_id"]) == {*PLANNED, *GROWING, *STOPPED}
    assert rows["share_tested"].max() <= 0.6
    assert rows["share_followed"].between(0.4, 0.8).all()
    assert (last > 0.1).all()
    assert rows.loc[~rows["planned"], "period_start"].max() <= ORIGIN
    assert (rows["period_start"].dt.day == 1).all()


def test_plans_reach_ahead_only_where_testing_is_to_grow(network):
    rows = network.files["testing_coverage"]
    ahead = rows[rows["period_start"] > ORIGIN]
    assert ahead["planned"].all()
    assert set(ahead["facility_id"]) == {*PLANNED, *GROWING}
    assert set(rows.loc[rows["facility_id"].isin(PLANNED), "planned"]) == {True}


def test_the_true_share_tested_never_falls_and_stops_where_it_is_not_to_grow(network):
    programme = coverage.programmes([*PLANNED, *GROWING, *STOPPED], AS_OF, seed=7)
    days = pd.date_range(ORIGIN - pd.Timedelta(weeks=156), periods=200, freq="7D")
    share = coverage.share_tested(programme, days, AS_OF)
    assert (np.diff(share, axis=1) >= 0).all()
    stopped = ~programme["keeps_growing"].to_numpy()
    assert (np.diff(share[stopped][:, days >= ORIGIN], axis=1) == 0).all()


def test_without_a_change_of_exposure_the_two_truths_agree(network):
    truth = network.truth.expected
    never = truth[truth["facility_id"].isin(NO_PROGRAMME)]
    assert never[EXPECTED].to_numpy() == pytest.approx(never[USUAL].to_numpy())
    ahead = truth[(truth["period_start"] >= ORIGIN) & truth["facility_id"].isin([*NO_PROGRAMME, *STOPPED])]
    assert ahead[EXPECTED].to_numpy() == pytest.approx(ahead[AT_ORIGIN].to_numpy())
    before = truth[(truth["period_start"] < ORIGIN) & truth["facility_id"].isin(PLANNED)]
    assert before[EXPECTED].to_numpy() == pytest.approx(before[USUAL].to_numpy())


@pytest.mark.parametrize("facility_id", GROWING + PLANNED)
def test_clopidogrel_falls_and_its_alternatives_rise_where_testing_grows(network, facility_id):
    def change(product_id):
        last = by_day(network, facility_id, product_id).iloc[-1]
        return last[EXPECTED] / last[AT_ORIGIN] - 1

    assert change("clopidogrel-75") < -0.02
    assert change("ticagrelor-90") > 0.04
    assert change("prasugrel-10") > 0.04


def test_treatment_days_of_platelet_inhibitors_are_the_same_with_and_without_genetics(network):
    products = network.files["products"].query("drug in ['clopidogrel', 'ticagrelor', 'prasugrel']")
    rows = network.truth.expected.merge(products, on="product_id")
    days = rows[[EXPECTED, AT_ORIGIN, USUAL]].mul(rows["strength_value"] / rows["usual_daily_dose"], axis=0)
    total = days.groupby([rows["facility_id"], rows["period_start"]]).sum()
    assert total[EXPECTED].to_numpy() == pytest.approx(total[USUAL].to_numpy())
    assert total[AT_ORIGIN].to_numpy() == pytest.approx(total[USUAL].to_numpy())


def test_a_rise_of_the_tacrolimus_dose_is_the_share_of_expressers_times_the_factor(network):
    """By hand: milligrams rise by exposure x (NM + IM) x 0.7."""
    milligrams = {
        name: sum(
            by_day(network, "H05", product_id)[name].iloc[-1] * strength
            for product_id, strength in [("tacrolimus-0.5", 0.5), ("tacrolimus-1", 1.0), ("tacrolimus-5", 5.0)]
        )
        for name in (EXPECTED, USUAL)
    }
    keys = network.truth.prevalence.query("facility_id == 'H05' and gene == 'CYP3A5'").set_index("lookup_key")["share"]
    named = ["Normal Metabolizer", "Intermediate Metabolizer", "Possible Intermediate Metabolizer"]
    expressers = keys[named].sum()
    programme = coverage.programmes(["H05"], AS_OF, seed=7).query("gene == 'CYP3A5'")
    exposure = (
        coverage.share_tested(programme, pd.DatetimeIndex([ORIGIN]), AS_OF)[0, 0] * programme["share_followed"].item()
    )
    assert milligrams[EXPECTED] / milligrams[USUAL] == pytest.approx(1 + exposure * expressers * 0.7, rel=1e-6)


def test_drugs_that_genotype_does_not_touch_are_the_same_everywhere(network):
    touched = set(gene_sets()) | set(table("alternatives")["alternative_drug"])
    products = network.files["products"]
    controls = products.loc[~products["drug"].isin(touched), "product_id"]
    rows = network.truth.expected[network.truth.expected["product_id"].isin(controls)]
    assert {"metformin-500", "ramipril-5", "furosemide-40", "levetiracetam-500"} <= set(controls)
    assert rows[EXPECTED].tolist() == rows[USUAL].tolist()


@pytest.mark.parametrize("factor", [0.12, 0.35, 0.5, 0.75, 1.0, 1.7, 2.0, 3.0])
@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_dose_changes_conserve_milligrams_times_the_factor(factor, index):
    strengths = np.array([0.5, 1.0, 3.0, 5.0])
    units = dose_move(strengths, index, factor)
    assert units @ strengths == pytest.approx(strengths[index] * factor)
    assert (units > 0).sum() <= 2
    if 0.5 <= strengths[index] * factor <= 5.0:
        assert units.sum() == pytest.approx(1.0)


def test_alternatives_conserve_treatment_days_unless_a_dose_ratio_is_stated():
    products = pd.DataFrame(
        {
            "drug": ["voriconazole", "isavuconazole", "posaconazole", "codeine", "morphine", "morphine"],
            "strength_value": [200.0, 100.0, 100.0, 30.0, 10.0, 2.0],
            "usual_daily_dose": [400.0, 200.0, 300.0, 100.0, 100.0, 100.0],
        }
    )
    mix = np.array([1.0, 1.0, 1.0, 1.0, 0.75, 0.25])
    units = alternative_move(products, 0, {"isavuconazole": 0.6, "posaconazole": 0.4}, mix)
    assert units.tolist() == pytest.approx([0, 0.5 * 0.6 * 2, 0.5 * 0.4 * 3, 0, 0, 0])
    units = alternative_move(products, 3, {"morphine": 1.0}, mix)
    assert units @ products["strength_value"] == pytest.approx(30 * 0.1)


def test_a_network_whose_testing_never_started_has_no_genetic_effect():
    truth = demo_network(as_of=AS_OF, history_weeks=10, horizon_weeks=4, facilities=3).truth.expected
    early = truth[truth["facility_id"] == "H02"]
    assert early[EXPECTED].to_numpy() == pytest.approx(early[USUAL].to_numpy())


def test_atc_codes_and_defined_daily_doses_are_those_of_the_reference_content():
    content = builtin_content().usual_daily_dose.query("basis == 'WHO ATC/DDD'").set_index("drug")
    ours = table("drugs").set_index("drug")
    common = ours.index.intersection(content.index)
    assert len(common) >= 22
    assert ours.loc[common, "atc"].tolist() == content.loc[common, "atc"].tolist()
    assert ours.loc[common, "usual_daily_dose"].tolist() == content.loc[common, "usual_daily_dose_mg"].tolist()
