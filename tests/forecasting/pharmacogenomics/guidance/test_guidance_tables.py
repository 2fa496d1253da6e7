"""Every guidance row against the published recommendation it stands for."""

import json

import pandas as pd
import pytest

from forecasting.terms import Action, Strength

NO_STRENGTH = {"n/a": Strength.NO_RECOMMENDATION, "No recommendation": Strength.NO_RECOMMENDATION}
DOSES = (Action.DOSE_FACTOR, Action.DOSE_CAP, Action.ABSOLUTE_DOSE, Action.NO_NUMBER)

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
    return published("guidance/cpic_recommendation.csv").set_index("recommendation_id")


@pytest.fixture(scope="module")
def ours(content, cpic):
    """The rows of CPIC's table, in its order."""
    rows = content.guidance.set_index("recommendation_id")
    return rows.loc[[identity for identity in cpic.index if identity in rows.index]]


def test_every_row_of_cpics_table_is_mapped_once(content, cpic, ours):
    assert content.guidance["recommendation_id"].is_unique
    assert list(ours.index) == list(cpic.index)
    assert len(ours) == 2_115
    assert ours["drug"].nunique() == 107
    counts = ours["action"].value_counts().to_dict()
    assert counts == {
        **{"alternative": 986, "standard": 542, "dose_factor": 259, "no_recommendation": 235, "dose_cap": 41},
        **{"no_number": 30, "absolute_dose": 22},
    }


def test_rows_agree_with_cpic_in_all_but_the_wording(cpic, ours):
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


def test_reasons_follow_from_cpics_words_and_keys(cpic, ours):
    text = cpic["recommendation_text"]
    silent = ours["action"] == Action.NO_RECOMMENDATION.value
    enzyme = text.str.contains("enzyme activity must be measured|erythrocyte activity to assess")
    others = text.str.contains("[Cc]linical findings, family history")
    nothing = text.str.match("No [Rr]ecommendation|No action recommended|n/a$")
    assert (silent == (nothing | enzyme | others)).all()
    keys = cpic["lookup_key_json"].map(lambda text: set(json.loads(text).values()))
    untested = keys.map(lambda one: "No Result" in one)
    unassigned = keys.map(lambda one: bool(one & {"Indeterminate", "n/a"}))
    reason = pd.Series("guideline_gives_none", index=ours.index)
    reason = reason.mask(unassigned, "indeterminate_result").mask(untested, "not_tested")
    reason = reason.mask(enzyme, "enzyme_test_first").mask(others, "other_evidence_decides")
    assert ours.loc[silent, "reason"].tolist() == reason[silent].tolist()
    lowest = text.str.contains("lowest recommended starting dose") & (ours["action"] == Action.NO_NUMBER.value)
    assert ((ours["reason"] == "lowest_labelled_dose") == lowest).all()


def unlike_pharmcat(ours: pd.DataFrame, cpic: pd.DataFrame) -> dict[str, set[str]]:
    """Rows whose actions do not say what PharmCAT's booleans say, by what differs.

    `alternate_drug_available` is an alternative first, or one beside a dose (then `dosing_information` too).
    `dosing_information` is another dose first, or as what is asked for without the alternative.
    `other_prescribing_guidance` alone, or no boolean at all, is no other drug and no other dose.
    """
    flags = cpic.loc[ours.index, ["alternate_drug_available", "dosing_information"]]
    known = flags.isin(["True", "False"]).all(axis=1)
    other_drug, other_dose = (flags[name] == "True" for name in flags)
    switched = ours["action"] == Action.ALTERNATIVE.value
    dosed = ours["action"].isin([str(action) for action in DOSES])
    dosed_at_all = dosed | ours["fallback_action"].isin([str(action) for action in DOSES])
    differences = {
        "a drug that PharmCAT does not see": switched & ~other_drug,
        "PharmCAT's other drug is missing": other_drug & ~switched & ~(dosed & other_dose),
        "a dose that PharmCAT does not see": dosed_at_all & ~other_dose,
        "PharmCAT's other dose is missing": other_dose & ~dosed_at_all,
    }
    return {what: set(ours.index[found & known]) for what, found in differences.items() if (found & known).any()}


def numbered(first: int, last: int) -> set[str]:
    return {str(number) for number in range(first, last + 1)}


ON_FAILURE = {"8480162", "8480170", "8481383", "8481384", "8481390", "8481391"}
"""(Es)citalopram in rapid, sertraline in ultrarapid ones: the usual dose, more or a switch if it fails."""

UNLIKE = {
    "PharmCAT's other drug is missing": ON_FAILURE,
    "a dose that PharmCAT does not see": {"8481351"},
    "PharmCAT's other dose is missing": {
        *ON_FAILURE,
        # proton pump inhibitors in rapid and normal metabolizers: the usual dose, more in two indications alone
        *{"8480523", "8480524", "8481158", "8481159", "8481166", "8481167", "8481174", "8481175"},
        # atomoxetine in children with activity score 1 or more: the dose per kg is the label's
        *numbered(8480003, 8480019),
        # azathioprine with a poor metabolizer gene: a dose stood in the text of 2024, gone in 2026's
        *numbered(8480058, 8480066),
        *{"8480081", "8480086"},
    },
}
"""Where ours differ from PharmCAT's booleans, with the reasons. 8481351 is primaquine in G6PD deficiency: a weekly dose
per kg is left for malaria, which PharmCAT files under the alternative."""


def test_a_sample_agrees_with_pharmcats_booleans(cpic, ours):
    sample = ours.sample(100, random_state=20261124)
    assert cpic.loc[sample.index, "pharmcat_match"].ne("none").sum() > 80
    found = unlike_pharmcat(sample, cpic)
    assert all(rows <= UNLIKE.get(what, set()) for what, rows in found.items()), found


def test_all_rows_agree_with_pharmcats_booleans_but_for_those_listed(cpic, ours):
    assert (cpic["alternate_drug_available"] != "").sum() == 1_952
    assert unlike_pharmcat(ours, cpic) == UNLIKE


SPELLED = {
    **{0.75: ["25%", "25-50% lower"], 0.5: ["50%"], 0.3: ["30-80%"], 0.8: ["30-80%"], 0.2: ["20-50%", "20%-50%"]},
    **{2.0: ["100%", "to 2 times", "40 mg/day"], 1.5: ["1.5 to 2", "by 50% or more"], 0.25: ["25-50%"]},
    **{0.042857: ["by 10-fold and reduce frequency to thrice weekly"]},
    **{0.333333: ["400 or 200 mg/day"], 0.666667: ["400 or 200 mg/day"]},
}
"""How a factor is written: as what is taken off, as a range of what remains, or as two doses a day.

A tenth on three days of seven is 0.043; 200 or 400 mg of efavirenz instead of 600 mg are a third or two thirds;
40 mg of tamoxifen instead of 20 mg are twice as much."""


def test_numbers_of_the_rows_occur_in_the_published_text(cpic, ours):
    factors = ["dose_factor_low", "dose_factor_high", "fallback_dose_factor_low", "fallback_dose_factor_high"]
    for identity, row in ours.iterrows():
        text = cpic.loc[identity, "recommendation_text"]
        for factor in row[factors].dropna():
            assert any(words in text for words in SPELLED[factor]), (identity, factor, text)
        for cap in row[["dose_cap_mg_per_day", "fallback_dose_cap_mg_per_day"]].dropna():
            written = (f"≤{cap:.0f}mg", f"≤ {cap:.0f}mg", f"<{cap:.0f}mg/day", f"to {cap:.0f} mg")
            assert any(words in text for words in written), (identity, cap, text)
        if pd.notna(row["absolute_dose_mg_per_day"]):
            assert f"{row['absolute_dose_mg_per_day']:.0f} mg/day" in text
        for name in filter(None, row["alternatives"].split(";")):
            assert name in text


def test_no_sentence_of_the_publisher_is_in_the_tables(cpic, ours):
    longest = max(len(str(value).split()) for column in ours.columns for value in ours[column].unique())
    assert longest <= 9, "an id, a key or a short reason, never a sentence"
    texts = {text for text in cpic["recommendation_text"] if len(text.split()) > 2}
    assert not texts & {str(value) for column in ours.columns for value in ours[column].unique()}


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
