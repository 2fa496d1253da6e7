"""Probabilities of the functions of uncertain alleles, against people taken one by one in plain Python."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.content import COLUMNS
from forecasting.pharmacogenomics.genes.gene_model import gene_model
from forecasting.pharmacogenomics.prevalence.posterior import (
    PrevalencePosterior,
    SiteRecords,
    draw_lookup_keys,
    prevalence_posterior,
)
from forecasting.pharmacogenomics.prevalence.representation import varied_keys
from tests.forecasting.pharmacogenomics.simulated_sites import Gene

AFRICAN = pd.DataFrame({"facility_id": ["A", "B"], "biogeographic_group": "Sub-Saharan African", "share": 1.0})
SAID = {"*11": {"Decreased function": 0.7, "Normal function": 0.2}, "*22": {"Increased function": 1.0}}
"""*11 stays uncertain with probability 0.1; *15, *21 and others of uncertain function are not mentioned."""


def with_probabilities(content, said, gene="CYP2B6", value="n/a"):
    rows = [
        (gene, allele, function, value, probability, "invented", "2026-11", "none: invented")
        for allele, functions in said.items()
        for function, probability in functions.items()
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS["function_probability"])
    return dataclasses.replace(content, function_probability=frame)


def state_of(content, gene="CYP2B6", **inputs):
    return prevalence_posterior(content, ["A", "B"], [gene], SiteRecords(ancestry=AFRICAN, **inputs))


def indeterminate(state, gene="CYP2B6"):
    rows = state.frame[(state.frame["result_type"] == "phenotype") & (state.frame["facility_id"] == "A")]
    return rows.set_index("result").loc["Indeterminate"]


def expected_keys(content, said, frequencies):
    """Every assignment of functions with its chance, and under it every ordered pair of alleles."""
    gene = Gene(content, "CYP2B6")
    options = {
        allele: [*functions.items(), ("Uncertain function", 1 - sum(functions.values()))]
        for allele, functions in said.items()
    }
    total = {}
    for chosen in itertools.product(*options.values()):
        chance = np.prod([probability for _, probability in chosen])
        states = gene.states | {a: (function, "") for a, (function, _) in zip(options, chosen, strict=True)}
        for (one, p), (other, q) in itertools.product(frequencies.items(), repeat=2):
            key = gene._look_up(states[one], states[other])[1]
            total[key] = total.get(key, 0.0) + chance * p * q
    return total


def test_expected_frequencies_are_those_of_every_assignment_of_functions(content):
    frequencies = Gene(content, "CYP2B6").frequencies["Sub-Saharan African"]
    model = gene_model(with_probabilities(content, SAID), "CYP2B6")
    p = np.zeros(len(model.alleles))
    for allele, value in frequencies.items():
        p[model.index_of(allele)] = value
    ours = dict(zip(model.keys, model.lookup_key_frequencies(p), strict=True))
    theirs = expected_keys(content, SAID, frequencies)
    assert ours == pytest.approx({key: theirs.get(key, 0.0) for key in model.keys}, abs=1e-12)
    plain = gene_model(content, "CYP2B6")
    assert ours["Indeterminate"] < plain.lookup_key_frequencies(p)[plain.keys.index("Indeterminate")] - 0.12


def test_a_certain_probability_is_the_function_itself(content):
    rows = content.allele_function
    chosen = (rows["gene"] == "CYP2B6") & (rows["allele"] == "*11")
    changed = rows.assign(clinical_function=rows["clinical_function"].mask(chosen, "No function"))
    known = state_of(dataclasses.replace(content, allele_function=changed))
    said = state_of(with_probabilities(content, {"*11": {"No function": 1.0}}))
    keys = ["facility_id", "result"]
    ours, theirs = (
        one.frame[one.frame["result_type"] == "lookup_key"].set_index(keys)["mean"] for one in (said, known)
    )
    assert ours.to_numpy() == pytest.approx(theirs.reindex(ours.index).to_numpy(), abs=1e-12)


def test_draws_have_the_exact_mean_and_the_doubt_about_the_function(content):
    """Whether *11 (7 % of copies) has a function is one fact: it does not average out over people, sites or draws."""
    state = state_of(with_probabilities(content, SAID))
    draws, keys = draw_lookup_keys(state, "CYP2B6", 4000, seed=3)
    assert draws.mean(axis=1) == pytest.approx(state.by_gene["CYP2B6"].mean_keys(), abs=4e-3)
    assert draws.sum(axis=-1) == pytest.approx(1)
    column = list(keys).index("Indeterminate")
    before, _ = draw_lookup_keys(state_of(content), "CYP2B6", 4000, seed=3)
    assert draws[..., column].mean() < before[..., column].mean() - 0.12


def test_the_function_of_an_allele_is_one_fact_for_all_people_and_sites_of_a_draw(content):
    coin, normal, decreased = (
        draw_lookup_keys(state_of(with_probabilities(content, {"*11": said})), "CYP2B6", 1000, seed=3)[0]
        for said in (
            {"Normal function": 0.5, "Decreased function": 0.5},
            {"Normal function": 1.0},
            {"Decreased function": 1.0},
        )
    )
    as_normal = np.isclose(coin, normal).all(axis=(0, 2))
    as_decreased = np.isclose(coin, decreased).all(axis=(0, 2))
    assert (as_normal ^ as_decreased).all()
    assert as_normal.mean() == pytest.approx(0.5, abs=0.01)


def test_without_a_row_an_allele_stays_uncertain_and_zero_changes_nothing(content):
    nothing = state_of(with_probabilities(content, {"*11": {"Normal function": 0.0}}))
    plain = state_of(content)
    assert indeterminate(nothing)["mean"] == pytest.approx(indeterminate(plain)["mean"], abs=1e-12)
    assert indeterminate(plain)["mean"] > 0.2
    assert indeterminate(state_of(with_probabilities(content, SAID)))["mean"] < 0.15


def test_the_stored_posterior_gives_the_same_draws_and_audit(content):
    changed = with_probabilities(content, SAID)
    state = state_of(changed)
    again = PrevalencePosterior.from_frame(state.table, changed)
    first, second = (draw_lookup_keys(one, "CYP2B6", 50, seed=1)[0] for one in (state, again))
    assert second == pytest.approx(first, rel=1e-9)
    varied = varied_keys(state.by_gene["CYP2B6"], 4000, seed=1)
    whole = varied.keys[(varied.site == 0) & (varied.group == "*")][0]
    assert whole.mean(axis=0) == pytest.approx(state.by_gene["CYP2B6"].mean_keys()[0], abs=4e-3)


def test_counts_of_phenotypes_are_read_as_laboratories_report_them(content):
    """A laboratory calls carriers of *11 Indeterminate: its counts stay usable, and say how common such alleles are."""
    rows = [("Normal Metabolizer", 500), ("Intermediate Metabolizer", 1000), ("Poor Metabolizer", 400)]
    rows += [("Indeterminate", 600)]
    counts = pd.DataFrame(rows, columns=["result", "count"]).assign(
        facility_id="A", gene="CYP2B6", result_type="phenotype", tested=2500
    )
    every = {
        allele: {"Decreased function": 1.0}
        for allele in content.allele_function.query("gene == 'CYP2B6' and clinical_function == 'Uncertain function'")[
            "allele"
        ]
    }
    state = state_of(with_probabilities(content, every), genotype_counts=counts)
    assert not state.problems["problem"].str.contains("left out").any()
    # who was counted as Indeterminate is now somebody with a decreased function
    assert indeterminate(state)["mean"] == pytest.approx(0, abs=1e-12)
    plain = state_of(content, genotype_counts=counts)
    assert indeterminate(plain)["mean"] == pytest.approx(0.24, abs=0.03)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"*99": {"Normal function": 0.5}}, "no such allele"),
        ({"*6": {"Normal function": 0.5}}, "its function is published (Decreased function)"),
        ({"*11": {"Sideways function": 0.5}}, "no allele of the gene has the function 'Sideways function'"),
        ({"*11": {"Unknown function": 0.5}}, "no allele of the gene has the function"),
    ],
)
def test_rows_that_cannot_be_used_are_problems_and_change_nothing(content, said, why):
    state = state_of(with_probabilities(content, said))
    told = state.problems["problem"]
    assert told.str.contains(why, regex=False).any()
    assert indeterminate(state)["mean"] == pytest.approx(indeterminate(state_of(content))["mean"], abs=1e-12)


def test_more_than_one_is_refused(content):
    with pytest.raises(InvalidInput, match=r"CYP2B6 \*11.*more than 1"):
        state_of(with_probabilities(content, {"*11": {"Normal function": 0.7, "No function": 0.4}}))


def test_activity_values_and_single_copies_move_too(content):
    cyp2d6 = with_probabilities(content, {"*43": {"Decreased function": 1.0}}, gene="CYP2D6", value="0.25")
    assert gene_model(cyp2d6, "CYP2D6").acts_as.diagonal().min() == pytest.approx(0)
    unnamed = with_probabilities(content, {"*43": {"Decreased function": 1.0}}, gene="CYP2D6")
    told = state_of(unnamed, gene="CYP2D6").problems["problem"]
    assert told.str.contains("no allele of the gene has the function 'Decreased function'").any(), "it needs its value"
    before, after = (
        state.frame[(state.frame["result_type"] == "lookup_key")].set_index(["facility_id", "result"])["mean"]
        for state in (state_of(content, gene="CYP2D6"), state_of(cyp2d6, gene="CYP2D6"))
    )
    assert after["A", "n/a"] < before["A", "n/a"] - 0.015
    assert after.groupby(level=0).sum().to_numpy() == pytest.approx(1)


def test_a_single_copy_acts_by_its_probability(content):
    uncertain = content.allele_function.query("gene == 'G6PD' and clinical_function == 'Uncertain function'")
    allele = str(uncertain["allele"].iloc[0])
    said = with_probabilities(content, {allele: {"II/Deficient": 0.25}}, gene="G6PD")
    model = gene_model(said, "G6PD", 1.0)
    p = np.zeros(len(model.alleles))
    p[model.index_of(allele)], p[model.index_of(model.reference)] = 0.4, 0.6
    keys = dict(zip(model.keys, model.lookup_key_frequencies(p), strict=True))
    assert keys["Deficient"] == pytest.approx(0.1)
    assert keys["Indeterminate"] == pytest.approx(0.3)
    assert keys["Normal"] == pytest.approx(0.6)
