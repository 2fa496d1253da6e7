import numpy as np
import pandas as pd
import pytest
from scipy import stats

from forecasting.errors import InvalidInput, MissingContent
from forecasting.pharmacogenomics.counts.censoring import censored_mean
from forecasting.pharmacogenomics.genes.gene_model import gene_model
from forecasting.pharmacogenomics.prevalence.posterior import (
    PROBLEM_COLUMNS,
    PrevalencePosterior,
    SiteRecords,
    draw_lookup_keys,
    prevalence_posterior,
)
from forecasting.pharmacogenomics.prevalence.table import COLUMNS


def of_groups(**shares):
    names = {"european": "European", "east_asian": "East Asian", "latino": "Latino", "oceanian": "Oceanian"}
    rows = [(site, names[group], share) for site, mix in shares.items() for group, share in mix.items()]
    return pd.DataFrame(rows, columns=["facility_id", "biogeographic_group", "share"])


def counts(gene, result_type, tested, results, facility="A", **more):
    rows = {"facility_id": facility, "gene": gene, "result_type": result_type, "tested": tested}
    return pd.DataFrame({"result": list(results), "count": list(results.values())}).assign(**rows, **more)


def assay(gene, alleles, facility="A"):
    return pd.DataFrame({"facility_id": [facility], "gene": gene, "alleles_tested": alleles})


EUROPEAN = of_groups(A={"european": 1.0})
ALL_CYP2C19 = ";".join(f"*{i}" for i in range(1, 40))


def alleles_of(state, facility="A", column="mean"):
    rows = state.frame
    rows = rows[(rows["result_type"] == "allele") & (rows["facility_id"] == facility)]
    return rows.set_index("result")[column]


def keys_of(state, facility="A"):
    rows = state.frame
    return rows[(rows["result_type"] == "lookup_key") & (rows["facility_id"] == facility)].set_index("result")


def test_without_counts_the_mean_is_the_published_frequency(content):
    state = prevalence_posterior(content, ["A"], ["CYP2C19"], SiteRecords(ancestry=EUROPEAN))
    published = content.allele_frequency
    published = published[(published["gene"] == "CYP2C19") & (published["biogeographic_group"] == "European")]
    published = published[published["frequency"] > 0].set_index("allele")["frequency"]
    ours = alleles_of(state)
    assert ours.to_dict() == pytest.approx(published[ours.index].to_dict(), abs=1e-6)
    assert (state.frame["share_published"] == 1).all()
    assert list(state.frame.columns) == list(COLUMNS)


def test_a_mixed_site_weighs_groups_by_its_shares(content):
    ancestry = of_groups(A={"european": 0.25, "east_asian": 0.75}, E={"european": 1.0}, X={"east_asian": 1.0})
    state = prevalence_posterior(content, ["A", "E", "X"], ["CYP2C19"], SiteRecords(ancestry=ancestry))
    mixed = 0.25 * alleles_of(state, "E")["*2"] + 0.75 * alleles_of(state, "X")["*2"]
    assert alleles_of(state)["*2"] == pytest.approx(mixed)


def test_every_result_type_sums_to_one_at_every_site(content):
    genes = sorted(content.allele_function["gene"].unique())
    state = prevalence_posterior(content, ["A"], genes, SiteRecords(ancestry=EUROPEAN))
    sums = state.frame.groupby(["facility_id", "gene", "result_type"])["mean"].sum()
    assert sums.to_numpy() == pytest.approx(1, abs=1e-9)
    # of what hardly anybody, or nearly everybody, has, an equal-tailed interval need not hold the mean
    spread = state.frame["mean"] * (1 - state.frame["mean"]) * state.frame["effective_n"]
    rows = state.frame[spread > 0.1]
    assert (rows["low"] <= rows["mean"]).all()
    assert (rows["mean"] <= rows["high"]).all()


def test_diplotype_counts_are_the_conjugate_update_done_by_hand(content):
    before = prevalence_posterior(content, ["A"], ["CYP2C19"], SiteRecords(ancestry=EUROPEAN))
    seen = counts("CYP2C19", "diplotype", 100, {"*1/*1": 60, "*2/*1": 30, "*2/*2": 10})
    state = prevalence_posterior(
        content,
        ["A"],
        ["CYP2C19"],
        SiteRecords(ancestry=EUROPEAN, genotype_counts=seen, assays=assay("CYP2C19", ALL_CYP2C19)),
    )
    prior_people = alleles_of(before, column="effective_n")["*2"]
    expected = (2 * prior_people * alleles_of(before)["*2"] + 50) / (2 * prior_people + 200)
    assert alleles_of(state)["*2"] == pytest.approx(expected)
    assert alleles_of(state, column="effective_n")["*2"] == pytest.approx(prior_people + 100)
    assert alleles_of(state, column="share_counts")["*2"] == pytest.approx(100 / (prior_people + 100))
    shape = 2 * (prior_people + 100)
    low = stats.beta.ppf(0.05, expected * shape, (1 - expected) * shape)
    assert alleles_of(state, column="low")["*2"] == pytest.approx(low)


def test_allele_counts_say_the_same_as_the_diplotypes_they_come_from(content):
    tested = assay("CYP2C19", ALL_CYP2C19)
    by_pair = counts("CYP2C19", "diplotype", 100, {"*1/*1": 60, "*1/*2": 30, "*2/*2": 10})
    full = counts("CYP2C19", "allele", 100, {"*1": 150, "*2": 50})
    short = counts("CYP2C19", "allele", 100, {"*2": 50})
    frames = [
        prevalence_posterior(
            content, ["A"], ["CYP2C19"], SiteRecords(ancestry=EUROPEAN, genotype_counts=seen, assays=tested)
        ).frame
        for seen in (by_pair, full, short)
    ]
    pd.testing.assert_frame_equal(frames[0], frames[1])
    pd.testing.assert_frame_equal(frames[0], frames[2])


def test_many_phenotype_counts_pull_the_site_to_what_was_counted(content):
    truth = {"Normal Metabolizer": 6400, "Intermediate Metabolizer": 3200, "Poor Metabolizer": 400}
    seen = counts("CYP2C19", "phenotype", 10_000, truth)
    state = prevalence_posterior(
        content,
        ["A"],
        ["CYP2C19"],
        SiteRecords(ancestry=EUROPEAN, genotype_counts=seen, assays=assay("CYP2C19", ALL_CYP2C19)),
    )
    means = keys_of(state)["mean"]
    assert means["Normal Metabolizer"] == pytest.approx(0.64, abs=0.005)
    assert means["Poor Metabolizer"] == pytest.approx(0.04, abs=0.002)
    assert means["Rapid Metabolizer"] < 0.01


def test_phenotype_counts_reach_the_mode_that_a_grid_search_finds(content):
    """VKORC1 has two alleles, so the posterior mode condition can be solved on a fine grid."""
    seen = counts("VKORC1", "phenotype", 60, {"-1639 GG": 20, "-1639 AG": 30, "-1639 AA": 10})
    state = prevalence_posterior(
        content,
        ["A"],
        ["VKORC1"],
        SiteRecords(ancestry=EUROPEAN, genotype_counts=seen, assays=assay("VKORC1", "rs9923231 variant (T)")),
    )
    prior = prevalence_posterior(content, ["A"], ["VKORC1"], SiteRecords(ancestry=EUROPEAN))
    copies = 2 * alleles_of(prior, column="effective_n")["rs9923231 variant (T)"]
    p = np.linspace(1e-4, 1 - 1e-4, 200_001)
    q = alleles_of(prior)["rs9923231 variant (T)"]
    log_density = (q * copies + 50) * np.log(p) + ((1 - q) * copies + 70) * np.log(1 - p)
    best = p[np.argmax(log_density)]
    assert alleles_of(state)["rs9923231 variant (T)"] == pytest.approx(best, abs=1e-4)
    assert keys_of(state)["effective_n"].iloc[0] == pytest.approx(copies / 2 + 60)


def test_a_blank_count_is_between_one_and_ten_and_never_zero(content):
    tested = assay("CYP2C19", ALL_CYP2C19)

    def poor(value):
        seen = counts("CYP2C19", "diplotype", 500, {"*1/*1": 480, "*2/*2": value})
        state = prevalence_posterior(
            content, ["A"], ["CYP2C19"], SiteRecords(ancestry=EUROPEAN, genotype_counts=seen, assays=tested)
        )
        return alleles_of(state)["*2"]

    assert poor(1) < poor(np.nan) < poor(10)
    assert poor(np.nan) > poor(0)


def test_the_censored_mean_is_the_truncated_binomial_summed_by_hand():
    k = np.arange(1, 11)
    mass = stats.binom.pmf(k, 80, 0.07)
    ours = censored_mean(np.array([80.0]), np.array([0.07]), 11)
    assert ours == pytest.approx([(k * mass).sum() / mass.sum()])


def test_only_the_latest_as_of_counts(content):
    tested = assay("CYP2C19", ALL_CYP2C19)
    new = counts("CYP2C19", "diplotype", 100, {"*1/*1": 70, "*1/*2": 30}, as_of="2026-06-30")
    old = counts("CYP2C19", "diplotype", 90, {"*1/*1": 20, "*2/*2": 70}, as_of="2025-06-30")
    frames = [
        prevalence_posterior(
            content, ["A"], ["CYP2C19"], SiteRecords(ancestry=EUROPEAN, genotype_counts=seen, assays=tested)
        ).frame
        for seen in (new, pd.concat([new, old]))
    ]
    pd.testing.assert_frame_equal(frames[0], frames[1])


def by_group(state, facility="A"):
    rows = state.table
    rows = rows[(rows["result_type"] == "allele") & (rows["facility_id"] == facility)]
    return rows.set_index(["biogeographic_group", "result"])


def test_counts_given_by_group_inform_that_group_alone(content):
    half = of_groups(A={"european": 0.5, "latino": 0.5})
    tested = assay("CYP2C19", ALL_CYP2C19)
    seen = counts("CYP2C19", "diplotype", 60, {"*1/*1": 40, "*1/*2": 20}, biogeographic_group="European")
    one, before = (
        by_group(
            prevalence_posterior(
                content, ["A"], ["CYP2C19"], SiteRecords(ancestry=half, genotype_counts=given, assays=tested)
            )
        )
        for given in (seen, None)
    )
    pd.testing.assert_frame_equal(one.loc["Latino"], before.loc["Latino"])
    people = before.loc[("European", "*2"), "effective_n"]
    expected = (2 * people * before.loc[("European", "*2"), "mean"] + 20) / (2 * people + 120)
    assert one.loc[("European", "*2"), "mean"] == pytest.approx(expected)
    assert one.loc[("European", "*2"), "effective_n"] == pytest.approx(people + 60)


def test_counts_of_a_whole_site_and_of_its_groups_are_not_added_up(content):
    half = of_groups(A={"european": 0.5, "latino": 0.5})
    parts = [
        counts("CYP2C19", "diplotype", 60, {"*1/*1": 50, "*1/*2": 10}, biogeographic_group="European"),
        counts("CYP2C19", "diplotype", 40, {"*1/*1": 20, "*1/*2": 20}, biogeographic_group="Latino"),
    ]
    whole = counts("CYP2C19", "diplotype", 100, {"*1/*1": 70, "*1/*2": 30}, biogeographic_group="*")
    stranger = counts("CYP2C19", "diplotype", 40, {"*2/*2": 40}, biogeographic_group="East Asian")
    states = [
        prevalence_posterior(content, ["A"], ["CYP2C19"], SiteRecords(ancestry=half, genotype_counts=pd.concat(seen)))
        for seen in (parts, [*parts, whole, stranger])
    ]
    pd.testing.assert_frame_equal(states[0].table, states[1].table)
    told = states[1].problems["problem"]
    assert told.str.contains("whole site left out").any()
    assert told.str.contains("East Asian is not among the groups").any()


def test_groups_of_a_site_without_ancestry_are_taken_together(content):
    parts = [
        counts("CYP2C19", "diplotype", 60, {"*1/*1": 50, "*1/*2": 10}, biogeographic_group="European"),
        counts("CYP2C19", "diplotype", 40, {"*1/*1": 20, "*1/*2": 20}, biogeographic_group="Latino"),
    ]
    whole = counts("CYP2C19", "diplotype", 100, {"*1/*1": 70, "*1/*2": 30})
    frames = [
        prevalence_posterior(content, ["A"], ["CYP2C19"], SiteRecords(ancestry=None, genotype_counts=seen)).frame
        for seen in (pd.concat(parts), whole)
    ]
    pd.testing.assert_frame_equal(frames[0], frames[1])


def test_a_mixed_site_has_the_homozygotes_of_its_groups_not_of_the_pooled_frequency(content):
    """CYP3A5*3 differs so much between these groups that pooled Hardy-Weinberg is far off (Wahlund)."""
    mix = pd.DataFrame(
        {"facility_id": "A", "biogeographic_group": ["European", "Sub-Saharan African"], "share": [0.5, 0.5]}
    )
    state = prevalence_posterior(content, ["A"], ["CYP3A5"], SiteRecords(ancestry=mix))
    rows = by_group(state)
    pooled = rows.loc[("*", "*3"), "mean"] ** 2
    by_hand = sum(
        0.5 * (p * (2 * n * p + 1) / (2 * n + 1))
        for p, n in rows.xs("*3", level="result").drop("*")[["mean", "effective_n"]].to_numpy()
    )
    no_function = [name for name in ("*3", "*6", "*7") if ("*", name) in rows.index]
    assert keys_of(state).loc["Poor Metabolizer", "mean"] > by_hand > pooled + 0.05
    assert no_function[0] == "*3"


def test_a_site_with_counts_and_no_ancestry_rests_on_its_counts(content):
    seen = {"Poor Metabolizer": 90, "Intermediate Metabolizer": 420, "Normal Metabolizer": 490}
    own = counts("CYP2C19", "phenotype", 1000, seen, facility="B")
    state = prevalence_posterior(content, ["B"], ["CYP2C19"], SiteRecords(ancestry=None, genotype_counts=own))
    rows = state.frame[state.frame["result_type"] == "phenotype"].set_index("result")
    assert rows.loc["Poor Metabolizer", "share_counts"] > 0.99
    assert rows.loc[list(seen), "mean"].tolist() == pytest.approx([0.09, 0.42, 0.49], abs=0.005)
    assert state.problems["problem"].str.contains("own counts decide").any()


def test_a_site_without_ancestry_is_left_out_and_named(content):
    state = prevalence_posterior(content, ["A", "B"], ["CYP2C19"], SiteRecords(ancestry=EUROPEAN))
    assert set(state.frame["facility_id"]) == {"A"}
    problem = state.problems[state.problems["facility_id"] == "B"]
    assert list(state.problems.columns) == list(PROBLEM_COLUMNS)
    assert problem["problem"].str.contains("no ancestry").all()
    assert len(problem) == 1
    draws, _ = draw_lookup_keys(state, "CYP2C19", 5, seed=1)
    assert np.isnan(draws[1]).all()
    assert not np.isnan(draws[0]).any()


def test_groups_without_published_frequencies_cost_weight_and_are_named(content):
    ancestry = of_groups(A={"european": 1.0}, B={"european": 0.5, "latino": 0.5}, C={"latino": 1.0})
    state = prevalence_posterior(content, ["A", "B", "C"], ["SLCO1B1"], SiteRecords(ancestry=ancestry))
    weight = keys_of(state, "B")["effective_n"].iloc[0] / keys_of(state, "A")["effective_n"].iloc[0]
    assert weight == pytest.approx(0.5)
    assert "C" not in set(state.frame["facility_id"])
    texts = state.problems.set_index("facility_id")["problem"]
    assert "50% (Latino)" in texts["B"]
    assert "gene left out" in texts["C"]


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        (counts("CYP2C19", "diplotype", 10, {"*1/*1": 11}), "more than the people tested"),
        (counts("CYP2C19", "diplotype", 10, {"*1/*1": -1}), "negative"),
        (counts("CYP2C19", "diplotype", 10, {"*1/*99": 4}), r"\*1/\*99"),
        (counts("CYP2C19", "haplogroup", 10, {"*1": 4}), "unknown result types: haplogroup"),
        (counts("VKORC1", "lookup_key", 10, {"Poor Metabolizer": 4}), "not in the reference content"),
        (counts("CYP3A5", "phenotype", 10, {"Possible Intermediate Metabolizer": 4}), "no allele with a published"),
    ],
)
def test_counts_that_cannot_be_used_are_named_and_change_nothing(seen, problem, content):
    gene = seen["gene"].iloc[0]
    state = prevalence_posterior(content, ["A"], [gene], SiteRecords(ancestry=EUROPEAN, genotype_counts=seen))
    assert state.problems["problem"].str.contains(problem).any()
    assert (state.problems["facility_id"] == "A").all()
    prior = prevalence_posterior(content, ["A"], [gene], SiteRecords(ancestry=EUROPEAN))
    assert alleles_of(state).to_dict() == pytest.approx(alleles_of(prior).to_dict())


def test_of_two_result_types_the_one_that_says_more_is_used(content):
    tested = assay("CYP2C19", ALL_CYP2C19)
    pairs = counts("CYP2C19", "diplotype", 100, {"*1/*1": 70, "*1/*2": 30})
    both = pd.concat([pairs, counts("CYP2C19", "phenotype", 100, {"Poor Metabolizer": 100})])
    one, two = (
        prevalence_posterior(
            content, ["A"], ["CYP2C19"], SiteRecords(ancestry=EUROPEAN, genotype_counts=seen, assays=tested)
        )
        for seen in (pairs, both)
    )
    pd.testing.assert_frame_equal(one.frame, two.frame)
    assert two.problems["problem"].str.contains("only diplotype counts").any()


def test_wrong_input_is_refused_with_the_value(content):
    with pytest.raises(InvalidInput, match="Martian"):
        prevalence_posterior(
            content, ["A"], ["CYP2C19"], SiteRecords(ancestry=EUROPEAN.assign(biogeographic_group="Martian"))
        )
    seen = counts("CYP2C19", "diplotype", np.nan, {"*1/*1": 5})
    with pytest.raises(InvalidInput, match="people tested"):
        prevalence_posterior(content, ["A"], ["CYP2C19"], SiteRecords(ancestry=EUROPEAN, genotype_counts=seen))
    with pytest.raises(MissingContent, match="NOGENE"):
        prevalence_posterior(content, ["A"], ["NOGENE"], SiteRecords(ancestry=EUROPEAN))
    with pytest.raises(MissingContent, match="holds no TPMT"):
        draw_lookup_keys(
            prevalence_posterior(content, ["A"], ["CYP2C19"], SiteRecords(ancestry=EUROPEAN)), "TPMT", 5, seed=1
        )


def test_a_sites_draws_do_not_depend_on_the_other_sites(content):
    mixes = {name: {"european": 0.5, "east_asian": 0.5} for name in "ABC"}
    together = prevalence_posterior(content, ["C", "A", "B"], ["CYP2C19"], SiteRecords(ancestry=of_groups(**mixes)))
    alone = prevalence_posterior(content, ["B"], ["CYP2C19"], SiteRecords(ancestry=of_groups(B=mixes["B"])))
    many, keys = draw_lookup_keys(together, "CYP2C19", 50, seed=3)
    single, same_keys = draw_lookup_keys(alone, "CYP2C19", 50, seed=3)
    assert keys == same_keys
    assert many[2] == pytest.approx(single[0], abs=1e-12)
    assert (many[0] != many[2]).any()
    other_seed, _ = draw_lookup_keys(alone, "CYP2C19", 50, seed=4)
    assert (other_seed != single).any()


@pytest.fixture(scope="module")
def rich(content):
    """Two sites: one with full diplotypes, one with an assay of two alleles."""
    ancestry = of_groups(A={"european": 0.7, "east_asian": 0.3}, B={"east_asian": 1.0})
    seen = pd.concat(
        [
            counts("CYP2C19", "diplotype", 300, {"*1/*1": 200, "*1/*2": 60, "*2/*17": np.nan}),
            counts("CYP2C19", "diplotype", 800, {"*1/*1": 300, "*1/*2": 400, "*2/*2": 100}, facility="B"),
        ]
    )
    tested = pd.concat([assay("CYP2C19", ALL_CYP2C19), assay("CYP2C19", "*2;*17", facility="B")])
    return prevalence_posterior(
        content, ["A", "B"], ["CYP2C19"], SiteRecords(ancestry=ancestry, genotype_counts=seen, assays=tested)
    )


def test_the_posterior_is_rebuilt_from_its_stored_rows_alone(content, rich):
    again = PrevalencePosterior.from_frame(rich.table, content)
    assert again.facility_ids == rich.facility_ids
    first, keys = draw_lookup_keys(rich, "CYP2C19", 100, seed=9)
    second, same_keys = draw_lookup_keys(again, "CYP2C19", 100, seed=9)
    assert keys == same_keys
    assert second == pytest.approx(first, abs=1e-12)
    pd.testing.assert_frame_equal(again.frame, rich.frame)


def test_draws_have_the_means_and_intervals_of_the_table(content, rich):
    draws, keys = draw_lookup_keys(rich, "CYP2C19", 20_000, seed=5)
    assert draws.sum(axis=-1) == pytest.approx(1)
    for i, facility in enumerate(rich.facility_ids):
        rows = keys_of(rich, facility).loc[list(keys)]
        error = draws[i].std(axis=0) / np.sqrt(len(draws[i]))
        assert (np.abs(draws[i].mean(axis=0) - rows["mean"]) < 5 * error + 1e-12).all()
        covered = ((draws[i] >= rows["low"].to_numpy()) & (draws[i] <= rows["high"].to_numpy())).mean(axis=0)
        assert covered[rows["mean"] > 0.01] == pytest.approx(0.9, abs=0.03)


def test_allele_frequencies_behind_the_draws_have_the_stated_weight(content, rich):
    """The spread of *2 homozygotes and carriers follows the beta distribution of a Dirichlet of 2 x effective_n."""
    model = gene_model(content, "CYP2C19")
    assert model.keys == draw_lookup_keys(rich, "CYP2C19", 1, seed=1)[1]
    draws, keys = draw_lookup_keys(rich, "CYP2C19", 20_000, seed=6)
    poor = np.sqrt(draws[0][:, keys.index("Poor Metabolizer")])
    rows = rich.frame[(rich.frame["facility_id"] == "A") & (rich.frame["result_type"] == "allele")]
    function = content.allele_function.set_index(["gene", "allele"])["clinical_function"]
    no_function = rows[[function["CYP2C19", name] == "No function" for name in rows["result"]]]
    p, copies = no_function["mean"].sum(), 2 * no_function["effective_n"].iloc[0]
    assert poor.mean() == pytest.approx(p, rel=0.01)
    assert poor.var() == pytest.approx(p * (1 - p) / (copies + 1), rel=0.05)
