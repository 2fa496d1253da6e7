"""From what is computed, nobody can work out a count of fewer people than the threshold: an attacker's view."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.content import builtin_content
from forecasting.pharmacogenomics.counts.disclosure import round_to_threshold
from forecasting.pharmacogenomics.prevalence.posterior import SiteRecords, prevalence_posterior

thresholds = st.sampled_from([11, 20])
stated_counts = st.lists(st.integers(0, 400), max_size=4)


def panel(counts, tested, kind="phenotype"):
    rows = pd.DataFrame({"result": [f"r{number}" for number in range(len(counts))], "count": counts})
    return rows.astype({"count": float}).assign(
        facility_id="H1", gene="CYP2C19", result_type=kind, biogeographic_group="*", as_of="2026-01-01", tested=tested
    )


def released(counts, tested, threshold, kind="phenotype"):
    rows = round_to_threshold(panel(counts, float(tested), kind), threshold)
    return rows["count"].fillna(-1.0).tolist(), rows["tested"].tolist()


@settings(deadline=None, max_examples=200)
@given(
    threshold=thresholds,
    stated=stated_counts,
    secret=st.lists(st.integers(1, 19), min_size=1, max_size=3),
    other=st.lists(st.integers(1, 19), min_size=3, max_size=3),
    kind=st.sampled_from(["phenotype", "allele"]),
)
def test_small_cells_of_any_size_release_the_same_also_to_who_knows_all_others(threshold, stated, secret, other, kind):
    """Everybody tested is in a cell, the attacker knows every other count, and what is left over is the secret."""
    stated = [count if count == 0 or count >= threshold else threshold for count in stated]
    copies = 2 if kind == "allele" else 1
    releases = []
    for hidden in (secret, other[: len(secret)]):
        counts = [*stated, *(min(count, threshold - 1) for count in hidden)]
        tested = -(-sum(counts) // copies)
        if tested < threshold:
            return
        releases.append(released(counts, tested, threshold, kind))
    assert releases[0] == releases[1]


@settings(deadline=None, max_examples=200)
@given(
    threshold=thresholds,
    counts=st.lists(st.one_of(st.integers(0, 300), st.none()), min_size=1, max_size=5),
    unlisted=st.integers(0, 80),
)
def test_whatever_is_added_or_subtracted_is_a_multiple_of_the_threshold(threshold, counts, unlisted):
    total = sum(count or 5 for count in counts) + unlisted
    rows = round_to_threshold(panel([np.nan if count is None else count for count in counts], float(total)), threshold)
    if total < threshold:
        assert rows.empty
        return
    numbers = [*rows["count"].dropna(), *rows["tested"]]
    differences = [a - b for a, b in itertools.product([*numbers, rows["count"].sum()], repeat=2)]
    assert all(value % threshold == 0 for value in [*numbers, *differences])
    assert rows["count"].fillna(1.0).sum() <= rows["tested"].max(), "the model would leave the site out"
    for count, row in zip(counts, rows["count"], strict=True):
        if count is None or 0 < count < threshold:
            assert np.isnan(row)
        else:
            assert abs(row - count) <= threshold / 2
            assert (row == 0) == (count == 0)


def test_a_panel_of_few_people_is_left_out_and_one_of_nobody_stays():
    rows = pd.concat([panel([3.0], 7.0), panel([0.0], 0.0).assign(facility_id="H2")])
    assert round_to_threshold(rows, 11)["facility_id"].tolist() == ["H2"]
    with pytest.raises(InvalidInput, match="must be 1 or more"):
        round_to_threshold(rows, 0)


def test_before_and_after_differ_by_nothing_or_by_a_step():
    """New results between two runs are told in steps as well: the second less the first is never a few people."""
    for more in range(1, 30):
        before = released([118, 40, 60], 218, 11)
        after = released([118 + more, 40, 60], 218 + more, 11)
        assert (after[0][0] - before[0][0]) % 11 == 0
        assert (after[1][0] - before[1][0]) % 11 == 0


def test_the_posterior_that_is_published_is_the_same_for_every_small_count():
    """Mean, interval, effective size and weights to the last bit, whatever the one hidden number is."""
    content = builtin_content()
    ancestry = pd.DataFrame({"facility_id": ["H1"], "biogeographic_group": ["European"], "share": [1.0]})
    names = ["Normal Metabolizer", "Intermediate Metabolizer", "Rapid Metabolizer", "Poor Metabolizer"]
    tables = []
    for secret in range(1, 11):
        counts = panel([212.0, 118.0, 150.0, float(secret)], 480.0 + secret).assign(result=names)
        found = prevalence_posterior(
            content,
            ["H1"],
            ["CYP2C19"],
            SiteRecords(ancestry=ancestry, genotype_counts=round_to_threshold(counts, 11)),
            threshold=11,
        )
        tables.append(found.table)
        assert not found.problems["problem"].str.contains("left out").any()
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0], check_exact=True)
