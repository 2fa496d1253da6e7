"""Every guidance row against the published recommendation it stands for."""

import json

import pandas as pd
import pytest

from forecasting.terms import Action, Strength

CPIC_DRUGS = [
    *("amitriptyline", "atomoxetine", "atorvastatin", "azathioprine", "capecitabine", "celecoxib", "citalopram"),
    *("clopidogrel", "codeine", "escitalopram", "fluorouracil", "lansoprazole", "mercaptopurine", "metoprolol"),
    *("nortriptyline", "omeprazole", "pantoprazole", "paroxetine", "rosuvastatin", "sertraline", "simvastatin"),
    *("tacrolimus", "tamoxifen", "tramadol", "voriconazole"),
]
NO_STRENGTH = {"n/a": Strength.NO_RECOMMENDATION, "No recommendation": Strength.NO_RECOMMENDATION}
FLAG_EXCEPTIONS: dict[str, str] = {}
"""recommendation_id -> why PharmCAT's booleans do not agree. Empty: they agree wherever PharmCAT has the row."""

DPWG_SAME_ADVICE = {
    "PA166299069": "intermediate metabolizer: the factor of *1/*3, which is activity score 1.0",
    "PA166299071": "*2/*2: activity score 1.0, same factor as *1/*3",
    "PA166299074": "poor metabolizer: the factor of *3/*3, which is activity score 0.0",
}


def keyed(row: dict) -> dict:
    keys = {row["gene_1"]: row["lookup_key_1"], row["gene_2"]: row["lookup_key_2"]}
    return {gene: key for gene, key in keys.items() if gene}


@pytest.fixture(scope="module")
def cpic(published):
    table = published("guidance/cpic_recommendation.csv")
    return table[table["drug"].isin(CPIC_DRUGS)].set_index("recommendation_id")


@pytest.fixture(scope="module")
def ours(content):
    return content.guidance[content.guidance["drug"].isin(CPIC_DRUGS)].set_index("recommendation_id")


def test_every_cpic_row_of_these_drugs_is_present_exactly_once(cpic, ours):
    assert ours.index.is_unique
    assert set(ours.index) == set(cpic.index)
    assert len(ours) == 654


def test_rows_agree_with_cpic_in_all_but_the_wording(cpic, ours):
    cpic = cpic.loc[ours.index]
    for (identity, row), theirs in zip(ours.iterrows(), cpic.to_dict("records"), strict=True):
        assert keyed(row) == json.loads(theirs["lookup_key_json"]), identity
        strength = NO_STRENGTH.get(theirs["classification"], theirs["classification"])
        assert row["strength"] == strength, identity
    for column, theirs in {
        "version": "version",
        "pmid": "latest_pmid",
        "year": "latest_pub_year",
        "drug": "drug",
        "guideline_id": "clinpgx_guideline_id",
    }.items():
        assert ours[column].tolist() == cpic[theirs].tolist()
    assert ours["population"].tolist() == cpic["population"].str.strip().tolist()
    assert (ours["source"] == "CPIC").all()


def test_no_recommendation_is_cpics_own_word(cpic, ours):
    cpic = cpic.loc[ours.index]
    none = cpic["classification"].isin(["No Recommendation", "n/a"])
    unassigned = cpic["recommendation_text"].str.startswith("Neither TPMT or NUDT15")
    expected = none | unassigned
    assert ((ours["action"] == Action.NO_RECOMMENDATION.value) == expected).all()


def test_pharmcats_booleans_agree_with_the_actions(cpic, ours):
    flags = cpic.loc[ours.index, ["alternate_drug_available", "dosing_information"]]
    judged = flags["alternate_drug_available"].isin(["True", "False"])
    assert judged.sum() > 600
    rows = ours.assign(alternative=flags["alternate_drug_available"], dosing=flags["dosing_information"])[judged]
    switched = rows["action"] == Action.ALTERNATIVE.value
    dosed = rows["action"].isin([Action.DOSE_FACTOR.value, Action.DOSE_CAP.value, Action.ABSOLUTE_DOSE.value])
    wrong = (switched & (rows["alternative"] != "True")) | (dosed & (rows["dosing"] != "True"))
    assert set(rows.index[wrong]) == set(FLAG_EXCEPTIONS)


def test_numbers_of_the_rows_occur_in_the_published_text(cpic, ours):
    """A factor of 0.5 is written as 50 %, or as a range of what remains; a cap and a dose as mg."""
    spelled = {
        **{0.75: ["25%"], 0.5: ["50%"], 0.3: ["30-80%", "(30"], 0.8: ["80%"], 0.2: ["20-50%", "20%-50%"]},
        **{2.0: ["100%", "to 2 times"], 1.5: ["1.5 to 2"], 0.25: ["25-50%"], 0.042857: ["10-fold", "3 days/week"]},
    }
    for identity, row in ours.iterrows():
        text = cpic.loc[identity, "recommendation_text"]
        for column in ("dose_factor_low", "dose_factor_high"):
            if pd.notna(row[column]):
                assert any(words in text for words in spelled[row[column]]), (identity, row[column], text)
        if pd.notna(row["dose_cap_mg_per_day"]):
            assert f"≤{row['dose_cap_mg_per_day']:.0f}mg" in text
        if pd.notna(row["absolute_dose_mg_per_day"]):
            assert f"{row['absolute_dose_mg_per_day']:.0f} mg/day" in text
        for name in filter(None, row["alternatives"].split(";")):
            assert name in text


@pytest.mark.parametrize(
    ("drug", "population", "keys", "action", "numbers"),
    [
        ("clopidogrel", "CVI ACS PCI", {"CYP2C19": "Intermediate Metabolizer"}, "alternative", {}),
        ("clopidogrel", "CVI non-ACS non-PCI", {"CYP2C19": "Intermediate Metabolizer"}, "no_recommendation", {}),
        ("atorvastatin", "general", {"SLCO1B1": "Poor Function"}, "dose_cap", {"dose_cap_mg_per_day": 20}),
        ("tacrolimus", "general", {"CYP3A5": "Normal Metabolizer"}, "dose_factor", {"dose_factor_high": 2}),
        ("codeine", "general", {"CYP2D6": "≥3.0"}, "alternative", {}),
        ("metoprolol", "general", {"CYP2D6": "0.0"}, "no_number", {}),
        ("fluorouracil", "general", {"DPYD": "1.5"}, "dose_factor", {"dose_factor_low": 0.5}),
        ("simvastatin", "general", {"SLCO1B1": "Decreased Function"}, "alternative", {}),
        ("omeprazole", "general", {"CYP2C19": "Ultrarapid Metabolizer"}, "dose_factor", {"dose_factor_low": 2}),
        ("atomoxetine", "adults", {"CYP2D6": "0.0"}, "absolute_dose", {"absolute_dose_mg_per_day": 40}),
        ("tamoxifen", "general", {"CYP2D6": "1.0"}, "alternative", {}),
        ("ondansetron", "general", {"CYP2D6": "4.0"}, "alternative", {}),
    ],
)
def test_well_known_rows_say_what_clinicians_expect(content, drug, population, keys, action, numbers):
    rows = content.guidance[(content.guidance["drug"] == drug) & (content.guidance["population"] == population)]
    (row,) = [row for row in rows.to_dict("records") if keyed(row) == keys]
    assert row["action"] == action
    assert {name: row[name] for name in numbers} == numbers


def test_ondansetron_is_the_2024_file_without_its_help_row(content, published):
    theirs = published("guidance/pharmcat_cpic_dpwg_2024-05.csv")
    theirs = theirs[(theirs["source"] == "CPIC") & (theirs["drugs"] == "ondansetron")]
    theirs = theirs[~theirs["lookup_key_json"].str.contains("xN combinations")].set_index("recommendation_id")
    ours = content.guidance[content.guidance["drug"] == "ondansetron"].set_index("recommendation_id")
    assert set(ours.index) == set(theirs.index)
    theirs = theirs.loc[ours.index]
    assert [json.dumps(keyed(row), ensure_ascii=False).replace(": ", ":") for row in ours.to_dict("records")] == (
        theirs["lookup_key_json"].tolist()
    )
    assert ours["version"].tolist() == theirs["guideline_version"].tolist()
    switched = ours["action"] == Action.ALTERNATIVE.value
    assert (switched == (theirs["alternate_drug_available"] == "True")).all()


def test_warfarin_keeps_the_numbers_of_both_dpwg_guidelines(content, published):
    theirs = published("guidance/pharmcat_cpic_dpwg_2024-05.csv")
    theirs = theirs[(theirs["source"] == "DPWG") & (theirs["drugs"] == "warfarin")].set_index("recommendation_id")
    ours = content.guidance[content.guidance["drug"] == "warfarin"].set_index("recommendation_id")
    assert set(ours.index) | set(DPWG_SAME_ADVICE) == set(theirs.index)
    assert not set(ours.index) & set(DPWG_SAME_ADVICE)
    theirs = theirs.loc[ours.index]
    assert ours["guideline_id"].tolist() == theirs["guideline_id"].tolist()
    assert ours["version"].tolist() == theirs["guideline_version"].tolist()
    dosed = ours["action"] == Action.DOSE_FACTOR.value
    assert (dosed == (theirs["dosing_information"] == "True")).all()
    for factor, text in zip(ours.loc[dosed, "dose_factor_low"], theirs.loc[dosed, "text"], strict=True):
        assert f"{factor:.0%} of the standard initial dose" in text
