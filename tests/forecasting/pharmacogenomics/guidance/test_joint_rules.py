"""Rules of one drug that were written apart: who has both rows gets both, milligrams by the product of the factors."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from forecasting.pharmacogenomics.guidance.joint_rules import with_joint_rules
from forecasting.pharmacogenomics.guidance.probabilities import joint_lookup_keys, key_actions, linked_genes
from forecasting.pharmacogenomics.prevalence.posterior import SiteRecords, draw_lookup_keys, prevalence_posterior
from forecasting.population import planned_mean, simulate_site
from forecasting.regimens.exposure import row_exposure
from forecasting.regimens.moves import build_moves
from forecasting.regimens.strengths import describe_products
from forecasting.regimens.therapy import TherapyAtSite
from forecasting.terms import NO_RESULT, Action

DRAWS = 40
GENES = ("CYP2C9", "VKORC1")
STRENGTHS = (1.0, 3.0, 5.0)
FACTOR = {"CYP2C9": {"1.0": 0.65, "0.5": 0.45, "0.0": 0.2}, "VKORC1": {"-1639 AA": 0.6}}
"""DPWG 2024-05, PA166182842 version 10 and PA166182841 version 12, as in `tables/guidance/warfarin.csv`."""


@pytest.fixture(scope="module")
def joint(content):
    return with_joint_rules(content)[0]


@pytest.fixture(scope="module")
def keys(content):
    ancestry = pd.DataFrame(
        {"facility_id": "A", "biogeographic_group": ["European", "East Asian"], "share": [0.7, 0.3]}
    )
    state = prevalence_posterior(content, ["A"], GENES, SiteRecords(ancestry=ancestry))
    found = {}
    for gene in GENES:
        draws, names = draw_lookup_keys(state, gene, DRAWS, seed=3)
        mean = state.by_gene[gene].mean_keys()[:, None]
        whole = np.concatenate([mean, draws], axis=1)
        found[gene] = (np.concatenate([whole, np.ones((1, DRAWS + 1, 1))], axis=2), (*names, NO_RESULT))
    return found


def warfarin(joint, keys, *, cyp2c9: float, vkorc1: float) -> tuple[TherapyAtSite, pd.DataFrame]:
    products = pd.DataFrame(
        {
            "product_id": [f"warfarin-{strength:g}" for strength in STRENGTHS],
            "drug": "warfarin",
            "strength_value": STRENGTHS,
            "strength_unit": "mg",
            "dose_form": "tablet",
            "usual_daily_dose": None,
        }
    )
    rows = joint.guidance[joint.guidance["drug"] == "warfarin"]
    products = describe_products(products, joint.usual_daily_dose)
    nobody = pd.DataFrame({"drug": [], "alternative_drug": [], "population": [], "share": [], "dose_ratio": []})
    (therapy,) = build_moves(products, rows, nobody, joint.population_share).therapies
    chance = joint_lookup_keys(joint, "warfarin", "general", keys)
    place = chance.rows.set_index("recommendation_id").index.get_indexer(therapy.rows["recommendation_id"])
    probability = chance.probability[0][:, place]
    low, high = therapy.at_site(np.full(len(STRENGTHS), 1 / len(STRENGTHS)))
    exposure = row_exposure(therapy.rows, {"CYP2C9": np.full(2, cyp2c9), "VKORC1": np.full(2, vkorc1)})
    none = np.zeros_like(exposure)
    at_site = TherapyAtSite(
        therapy="warfarin",
        product_ids=therapy.product_ids,
        row_ids=tuple(therapy.rows["recommendation_id"]),
        delta_low=low,
        delta_high=high,
        probability=probability[1:],
        mean_probability=probability[0],
        exposure_history=none,
        exposure_at_origin=none[0],
        exposure_planned=exposure,
    )
    return at_site, therapy.rows


def mean_factor(keys, gene: str) -> np.ndarray:
    """E[factor] of one guideline alone, at the mean and in each draw, [1 + draw]: plain arithmetic over its keys."""
    frequencies, names = keys[gene]
    return sum(frequencies[0, :, i] * FACTOR[gene].get(name, 1.0) for i, name in enumerate(names) if name != NO_RESULT)


def test_expected_milligrams_of_warfarin_are_the_product_of_both_guidelines(joint, keys):
    therapy, _ = warfarin(joint, keys, cyp2c9=1.0, vkorc1=1.0)
    tablets = np.array([[100.0, 100.0], [80.0, 80.0], [60.0, 60.0]])
    milligrams = np.array(STRENGTHS) @ planned_mean(tablets, therapy)
    both = mean_factor(keys, "CYP2C9")[0] * mean_factor(keys, "VKORC1")[0]
    assert milligrams == pytest.approx(np.array(STRENGTHS) @ tablets * both, rel=1e-12)
    apart = 1 + (mean_factor(keys, "CYP2C9")[0] - 1) + (mean_factor(keys, "VKORC1")[0] - 1)
    assert abs(apart - both) > 0.005, "adding the moves would have been noticed"


def test_every_draw_keeps_the_product_too(joint, keys):
    therapy, _ = warfarin(joint, keys, cyp2c9=1.0, vkorc1=1.0)
    followed = therapy.probability * therapy.exposure_planned[0]
    moved = np.einsum("dr,rpq,q->dp", followed, therapy.mean_delta, np.array(STRENGTHS))
    expected = (mean_factor(keys, "CYP2C9") * mean_factor(keys, "VKORC1"))[1:, None]
    assert 1 + moved / np.array(STRENGTHS) == pytest.approx(np.broadcast_to(expected, moved.shape), rel=1e-12)


@pytest.mark.parametrize(("cyp2c9", "vkorc1"), [(0.3, 0.8), (0.8, 0.3), (0.0, 0.5), (0.5, 0.0)])
def test_who_is_tested_for_one_gene_alone_gets_that_factor(joint, keys, cyp2c9, vkorc1):
    therapy, _ = warfarin(joint, keys, cyp2c9=cyp2c9, vkorc1=vkorc1)
    tablets = np.array([[100.0, 100.0], [80.0, 80.0], [60.0, 60.0]])
    ratio = np.array(STRENGTHS) @ planned_mean(tablets, therapy) / (np.array(STRENGTHS) @ tablets)
    one, other = mean_factor(keys, "CYP2C9")[0], mean_factor(keys, "VKORC1")[0]
    both = min(cyp2c9, vkorc1)
    expected = 1 + both * (one * other - 1) + (cyp2c9 - both) * (one - 1) + (vkorc1 - both) * (other - 1)
    assert ratio == pytest.approx(expected, rel=1e-12)


def test_steps_name_both_guidance_rows_and_add_up(joint, keys):
    therapy, _ = warfarin(joint, keys, cyp2c9=0.9, vkorc1=0.7)
    mean = np.full((3, 2), 50.0)
    paths = np.random.default_rng(1).gamma(50, 1, (3, 2, DRAWS))
    found = simulate_site(therapy.product_ids, paths, mean, [therapy], facility_id="A", seed=1)
    assert {"PA166299070+PA166299078", "PA166299070"} <= set(found.steps["recommendation_id"])
    added = np.zeros_like(mean)
    np.add.at(added, [therapy.product_ids.index(name) for name in found.steps["product_id"]], found.quantity)
    assert added == pytest.approx(found.mean - found.baseline_mean)


def test_joint_rows_place_every_patient_once_and_keep_both_margins(content, joint, keys):
    tested = {gene: (frequencies[..., :-1], names[:-1]) for gene, (frequencies, names) in keys.items()}
    found = joint_lookup_keys(joint, "warfarin", "general", tested)
    assert found.rules == ("CYP2C9+VKORC1",)
    # who has CYP2C9 n/a and any VKORC1 row stands in a row of that guideline alone: nobody is left
    assert found.probability.sum(axis=-1) == pytest.approx(1)
    apart = joint_lookup_keys(content, "warfarin", "general", tested)
    for row in apart.rows.itertuples():
        number = 1 if row.gene_1 == "CYP2C9" else 2
        margin = (found.rows[f"lookup_key_{number}"] == row.lookup_key_1).to_numpy()
        assert found.probability[..., margin].sum(axis=-1) == pytest.approx(apart.probability[..., row.Index])


def test_only_drugs_with_several_moving_rules_change_and_ids_stay_unique(content, joint):
    assert joint.guidance["recommendation_id"].is_unique
    assert joint.guidance.dtypes.equals(content.guidance.dtypes)
    others = content.guidance[content.guidance["drug"] != "warfarin"].reset_index(drop=True)
    pd.testing.assert_frame_equal(joint.guidance[joint.guidance["drug"] != "warfarin"].reset_index(drop=True), others)
    pairs = key_actions(joint, "warfarin")
    assert set(content.guidance["recommendation_id"]) <= set(joint.guidance["recommendation_id"])
    assert pairs.set_index("recommendation_id").loc["PA166299073+PA166299076", "action"] == Action.DOSE_FACTOR.value


def with_second_rule(content, **changed):
    rows = content.guidance[content.guidance["drug"] == "warfarin"].copy()
    moving = (rows["gene_1"] == "VKORC1") & (rows["action"] == Action.DOSE_FACTOR.value)
    for name, value in changed.items():
        rows.loc[moving, name] = value
    return dataclasses.replace(content, guidance=rows)


@pytest.mark.parametrize(
    "changed",
    [
        {"applies_to": "maintenance"},
        {"action": "dose_cap", "dose_cap_mg_per_day": 2.0},
    ],
)
def test_rules_whose_product_has_no_meaning_block_their_drug(content, changed):
    found, problems = with_joint_rules(with_second_rule(content, **changed))
    assert [(drug, rule) for drug, rule, _ in problems] == [("warfarin", "rules_not_joined")]
    assert len(found.guidance) == 8


def test_an_alternative_goes_before_a_dose(content):
    found, problems = with_joint_rules(with_second_rule(content, action="alternative", applies_to=""))
    assert not problems
    row = found.guidance.set_index("recommendation_id").loc["PA166299070+PA166299078"]
    assert row["action"] == Action.ALTERNATIVE.value


def test_linked_genes_of_separate_rules_are_not_multiplied_either(content):
    rows = content.guidance[content.guidance["drug"] == "warfarin"]
    linked = rows.assign(gene_1=rows["gene_1"].replace("VKORC1", "CYP2C19"))
    keys = linked["lookup_key_1"].replace({"-1639 AA": "Poor Metabolizer", "-1639 AG": "Normal Metabolizer"})
    found, _ = with_joint_rules(dataclasses.replace(content, guidance=linked.assign(lookup_key_1=keys)))
    assert linked_genes(found, key_actions(found, "warfarin")) == ("CYP2C19", "CYP2C9")
