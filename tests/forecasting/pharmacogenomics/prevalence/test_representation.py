import dataclasses

import numpy as np
import pandas as pd
import pytest

from forecasting.pharmacogenomics.prevalence.posterior import SiteRecords, prevalence_posterior
from forecasting.pharmacogenomics.prevalence.representation import representation, varied_keys
from forecasting.regimens.mixing import mixing_matrices, move_exposure
from forecasting.regimens.sensitivity import interval_ends, units_per_share
from forecasting.regimens.therapy import TherapyAtSite


def served(**shares):
    rows = [(site, group, share) for site, mix in shares.items() for group, share in mix.items()]
    return pd.DataFrame(rows, columns=["facility_id", "biogeographic_group", "share"])


MIXED = served(A={"European": 0.7, "East Asian": 0.3})


def audit(content, gene="CYP2C19", ancestry=MIXED, counts=None, assays=None):
    sites = ancestry["facility_id"].unique().tolist() if ancestry is not None else ["A"]
    state = prevalence_posterior(
        content, sites, [gene], SiteRecords(ancestry=ancestry, genotype_counts=counts, assays=assays)
    )
    return representation(state.by_gene[gene], ancestry, assays).set_index("biogeographic_group")


def people(number, **more):
    results = pd.DataFrame({"result": ["*1/*1", "*1/*2"], "count": [0.75 * number, 0.25 * number]})
    return results.assign(facility_id="A", gene="CYP2C19", result_type="diplotype", tested=number, **more)


def test_every_group_served_has_a_row_with_its_share_and_sample_size(content):
    rows = audit(content)
    assert rows["share_served"].to_dict() == {"*": 1.0, "European": 0.7, "East Asian": 0.3}
    assert (rows["basis"] == "published").all()
    assert (rows["effective_n"] % 10 == 0).all()
    one = prevalence_posterior(content, ["A"], ["CYP2C19"], SiteRecords(ancestry=MIXED)).by_gene["CYP2C19"]
    by_hand = 1 / (0.7**2 / one.state.people[1] + 0.3**2 / one.state.people[0])
    assert rows.loc["*", "effective_n"] == pytest.approx(by_hand, abs=5)


def test_people_counted_in_one_group_do_not_stand_for_another(content):
    rows, before = audit(content, counts=people(2000, biogeographic_group="European")), audit(content)
    assert rows.loc["European", "effective_n"] == pytest.approx(before.loc["European", "effective_n"] + 2000, abs=10)
    assert rows.loc["East Asian", "effective_n"] == before.loc["East Asian", "effective_n"]
    assert rows["basis"].to_dict() == {"*": "counts", "European": "counts", "East Asian": "published"}
    assert rows["thin"].to_dict() == {"*": False, "European": False, "East Asian": True}


def test_a_group_without_published_frequencies_is_named_as_stood_in_for(content):
    rows = audit(content, "SLCO1B1", served(A={"European": 0.5, "Latino": 0.5}))
    assert rows.loc["Latino", ["basis", "effective_n", "thin"]].tolist() == ["stand_in", 0.0, True]
    assert rows.loc["*", "thin"]


def test_untested_alleles_are_listed_commonest_first_if_they_change_the_phenotype(content):
    assays = pd.DataFrame({"facility_id": ["A"], "gene": "CYP2C19", "alleles_tested": "*1;*2;*17"})
    rows = audit(content, assays=assays)
    missing = rows.loc["*", "alleles_not_tested"].split(";")
    assert missing[0] == "*3"
    assert not {"*1", "*2", "*17", "*11", "*13"} & set(missing)
    assert rows.loc["*", "untested_share"] == pytest.approx(0.3 * 0.073, abs=0.01)
    assert audit(content)["alleles_not_tested"].isna().all()


def test_a_site_without_ancestry_has_one_row_and_no_share(content):
    rows = audit(content, ancestry=None, counts=people(500))
    assert rows.index.tolist() == ["*"]
    assert np.isnan(rows.loc["*", "share_served"])


def test_groups_vary_one_at_a_time_and_together_for_the_whole_site(content):
    one = prevalence_posterior(content, ["A"], ["CYP2C19"], SiteRecords(ancestry=MIXED)).by_gene["CYP2C19"]
    varied = varied_keys(one, 4000, seed=1)
    assert varied.site.tolist() == [0, 0, 0]
    assert varied.group.tolist() == ["*", "East Asian", "European"]
    for keys in varied.keys:
        assert keys.mean(axis=0) == pytest.approx(one.mean_keys()[0], abs=0.01)
    spread = {name: keys.var(axis=0).sum() for name, keys in zip(varied.group, varied.keys, strict=True)}
    assert spread["*"] == pytest.approx(spread["European"] + spread["East Asian"], rel=0.05)


def therapy(planned):
    """Half a unit of product 0 per patient becomes product 1 where the one row is followed."""
    delta = np.array([[[-1.0, 0.5], [0.0, 0.0]]])
    return TherapyAtSite(
        therapy="t",
        product_ids=("a", "b"),
        row_ids=("r",),
        delta_low=delta,
        delta_high=delta,
        probability=np.zeros((1, 1)),
        mean_probability=np.array([0.25]),
        exposure_history=np.zeros((3, 1)),
        exposure_at_origin=np.zeros(1),
        exposure_planned=np.full((2, 1), planned),
    )


def packs_at_stake(therapy, probability, baseline, pack_size):
    """The widths of the products' 90 % intervals in packs, added up."""
    low, high = interval_ends(probability @ (units_per_share(therapy, baseline) / pack_size))
    return (high - low).sum(axis=-1)


def test_packs_at_stake_by_hand():
    """100 units a week, a fifth exposed: shares from 0.2 to 0.4 move 4 to 8 units out and 2 to 4 in."""
    share = np.linspace(0.2 - 0.01 / 0.9, 0.4 + 0.01 / 0.9, 10_001)[None, :, None]
    packs = packs_at_stake(therapy(0.2), share, np.array([100.0, 0.0]), np.array([10.0, 2.0]))
    assert packs == pytest.approx([4 / 10 + 2 / 2], rel=0.01)
    assert packs_at_stake(therapy(0.0), share, np.array([100.0, 0.0]), np.array([10.0, 2.0])) == pytest.approx([0.0])


def packs_at_stake_oracle(therapy, probability, baseline, pack_size):
    """Every draw moved in full, and the widths of the products' 90 % intervals added up."""
    planned = therapy.exposure_planned.mean(axis=0)
    at = mixing_matrices(therapy.exposure_at_origin * probability, therapy.mean_delta)
    to = mixing_matrices(planned * probability, therapy.mean_delta)
    moved = move_exposure(np.broadcast_to(baseline, at.shape[:-1]), at, to) / pack_size
    low, high = np.quantile(moved, (0.05, 0.95), axis=1)
    return (high - low).sum(axis=-1)


@pytest.mark.parametrize("seed", range(8))
def test_packs_at_stake_are_those_of_moving_every_draw(seed):
    random = np.random.default_rng(seed)
    rows, products = 4, 5
    delta = random.uniform(0, 0.5, (rows, products, products))
    delta -= np.eye(products) * random.uniform(0.3, 1.0, (rows, products, 1))
    mean = random.dirichlet(np.ones(rows + 2))[:rows]
    known = dataclasses.replace(
        therapy(0.0),
        product_ids=tuple("abcde"),
        row_ids=tuple("rstu"),
        delta_low=delta,
        delta_high=delta,
        mean_probability=mean,
        exposure_at_origin=random.uniform(0, 0.3, rows),
        exposure_planned=random.uniform(0.2, 0.9, (6, rows)),
    )
    draws = np.clip(mean * (1 + 0.15 * random.standard_normal((3, 4000, rows))), 0, 1)
    baseline, size = random.uniform(50, 500, products), random.integers(10, 100, products).astype(float)
    told = packs_at_stake(known, draws, baseline, size)
    assert told == pytest.approx(packs_at_stake_oracle(known, draws, baseline, size), rel=0.02)


def test_quantiles_are_numpys_and_unknown_draws_stay_unknown():
    values = np.random.default_rng(1).normal(size=(3, 200, 4))
    low, high = interval_ends(values)
    assert low == pytest.approx(np.quantile(values, 0.05, axis=1), rel=1e-12)
    assert high == pytest.approx(np.quantile(values, 0.95, axis=1), rel=1e-12)
    values[1, 7, 2] = np.nan
    low, _ = interval_ends(values)
    assert np.argwhere(np.isnan(low)).tolist() == [[1, 2]]
