"""What a publisher's recommendations, put in force, stop: drugs that the guidance does not cover, and no others."""

import json

import pandas as pd
import pytest

from assets.sites.content import PUBLISHED, blocked_drugs
from forecasting.pharmacogenomics.content import builtin_content
from warehouse.importers.content.mapping import normal_lookup_key

RELEASES = {"guidance": "guidance:pgx-supply:1", PUBLISHED: "published_recommendation:PharmCAT:2024-05"}
GUIDANCE = builtin_content().guidance


@pytest.fixture(scope="module")
def pharmcat(shared_data) -> pd.DataFrame:
    path = shared_data / "pgx" / "guidance" / "pharmcat_cpic_dpwg_2024-05.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows = rows.rename(columns={"drugs": "drug", "guideline_version": "version"})
    return rows.assign(
        population=rows["population"].replace("", "general"), lookup_key=rows["lookup_key_json"].map(normal_lookup_key)
    )


def test_everything_that_cpic_and_dpwg_published_in_2024_is_covered_or_left_out_with_a_reason(pharmcat):
    assert len(pharmcat) == 2583
    assert blocked_drugs(GUIDANCE, pharmcat, RELEASES) == []


@pytest.mark.parametrize(("drug", "key"), [("warfarin", {"CYP2C9": "0.5"}), ("clopidogrel", {"CYP2C19": "Unheard Of"})])
def test_one_row_that_changed_or_is_new_stops_its_drug(drug, key, pharmcat):
    source = GUIDANCE.loc[GUIDANCE["drug"] == drug, "source"].iloc[0]
    mine = pharmcat[(pharmcat["drug"] == drug) & (pharmcat["source"] == source)].index[0]
    changed = pharmcat.copy()
    changed.loc[mine, "lookup_key"] = json.dumps(key)
    ((stopped, rule, _),) = blocked_drugs(GUIDANCE, changed, RELEASES)
    assert (stopped, rule) == (drug, "guidance_unmapped")


def test_another_publishers_rows_of_a_covered_drug_stop_nothing_and_a_drug_without_guidance_is_told(pharmcat):
    row = pharmcat[(pharmcat["drug"] == "clopidogrel") & (pharmcat["source"] == "DPWG")].head(1)
    rows = pd.concat([row, row.assign(drug="paracetamol", recommendation_id="new")], ignore_index=True)
    assert [drug for drug, _, _ in blocked_drugs(GUIDANCE, rows, RELEASES)] == ["paracetamol"]
