"""The curated tables against what was published, and against each other."""

import pandas as pd
import pytest

from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.content import COLUMNS, NUMBERS, ReferenceContent
from forecasting.terms import FALLBACK_ACTIONS, Action, BiogeographicGroup, GuidanceReason, Strength
from tests.forecasting.pharmacogenomics.prevalence.effective_size import effective_people, group_effective_size, moments


def test_every_table_has_its_columns_and_no_hidden_blanks(content):
    for table, columns in COLUMNS.items():
        frame = getattr(content, table)
        assert list(frame.columns) == list(columns), table
        text = frame[[column for column in columns if column not in NUMBERS]]
        assert not text.isna().any(axis=None), table


@pytest.mark.parametrize("table", ["allele_frequency", "allele_function", "phenotype_rule"])
def test_every_curated_row_names_source_and_version(table, content):
    frame = getattr(content, table)
    assert (frame["source"].str.len() > 3).all()
    assert frame["version"].str.fullmatch(r"\d{4}-\d{2}(-\d{2})?").all()


def test_content_with_a_missing_column_is_refused(content):
    tables = {name: getattr(content, name) for name in COLUMNS}
    with pytest.raises(InvalidInput, match=r"usual_daily_dose lacks .*rxcui"):
        ReferenceContent(**tables | {"usual_daily_dose": content.usual_daily_dose.drop(columns="rxcui")})


def test_allele_functions_are_those_published(content, published):
    keys = ["gene", "allele"]
    ours = content.allele_function.set_index(keys)
    theirs = published("alleles/allele_function.csv").set_index(keys)
    added = ours.index.difference(theirs.index)
    assert {gene for gene, _ in added} == {"CYP2D6", "CYP4F2", "HLA-A", "HLA-B"}, "no function table, or tandems"
    assert all("+" in allele for gene, allele in added if gene == "CYP2D6"), "tandems are in the diplotype table"
    same = ours.drop(added)
    columns = ["clinical_function", "activity_value"]
    assert same[columns].equals(theirs.loc[same.index, columns])


def test_groups_frequencies_and_shares_are_in_range(content):
    frequency = content.allele_frequency
    assert set(frequency["biogeographic_group"]) <= {group.value for group in BiogeographicGroup}
    assert frequency["frequency"].between(0, 1).all()
    assert not frequency.duplicated(["gene", "allele", "biogeographic_group"]).any()
    totals = frequency.groupby(["gene", "biogeographic_group"])["frequency"].sum()
    assert totals.to_numpy() == pytest.approx(1, abs=2e-3)
    assert content.population_share.groupby("drug")["share"].sum().to_numpy() == pytest.approx(1)
    alternatives = content.default_alternative.groupby(["drug", "population"])["share"].sum()
    assert alternatives.to_numpy() == pytest.approx(1)


def test_every_population_of_the_guidance_has_a_share(content):
    guidance, shares = content.guidance, content.population_share
    asked = set(zip(guidance["drug"], guidance["population"], strict=True))
    assert asked == set(zip(shares["drug"], shares["population"], strict=True))
    alone = shares.groupby("drug")["population"].transform("count") == 1
    assert (shares.loc[alone, "basis"] == "the guideline has one population").all()
    assert (shares.loc[~alone, "basis"] == "planning assumption to be approved by the site").all()


def test_shares_name_the_populations_that_cpic_names(content, published):
    theirs = published("guidance/cpic_recommendation.csv")
    named = set(zip(theirs["drug"], theirs["population"].str.strip(), strict=True))
    shares = content.population_share
    ours = set(zip(shares["drug"], shares["population"], strict=True))
    assert named <= ours
    assert {population for _, population in ours - named} == {"general"}, "other guidelines split no population"


def named_drugs(guidance: pd.DataFrame) -> set[str]:
    """Drugs that guidance speaks of, and those that it names as alternatives."""
    return set(guidance["drug"]) | ({name for text in guidance["alternatives"] for name in text.split(";")} - {""})


def test_every_drug_has_a_daily_dose_or_the_reason_why_not(content):
    doses = content.usual_daily_dose
    assert doses["drug"].is_unique
    without = doses["usual_daily_dose_mg"].isna()
    assert (doses.loc[~without, "usual_daily_dose_mg"] > 0).all()
    assert doses.loc[without, "basis"].str.match(r"no daily dose: \w{3}").all()
    stated = {"WHO ATC/DDD", "planning assumption to be approved by the site"}
    assert set(doses.loc[~without, "basis"]) == stated
    assert (doses["source"].str.len() > 10).all()
    assert named_drugs(content.guidance) | set(content.default_alternative["alternative_drug"]) <= set(doses["drug"])


def test_planned_doses_show_their_arithmetic(content):
    doses = content.usual_daily_dose
    planned = doses[doses["basis"] == "planning assumption to be approved by the site"]
    assert planned["source"].str.contains(r"\d").all()


ATC_EXCEPTIONS = {
    "irinotecan": "CPIC has the code that was replaced in 2021",
    "naproxen": "CPIC lists the combination with misoprostol alone",
    "vitamin c": "CPIC lists gynaecological and eye preparations alone",
    "vitamin k": "CPIC lists the group, B02BA",
}


def test_drug_codes_are_cpics(content, published):
    theirs = published("drugs/cpic_drug.csv").set_index("name")
    ours = content.usual_daily_dose.set_index("drug")
    shared = ours.index.intersection(theirs.index)
    assert len(shared) > 130
    published_rxcui = theirs.loc[shared, "rxnorm_ingredient_rxcui"].replace("NA", "")
    assert ours.loc[shared, "rxcui"].tolist() == published_rxcui.tolist()
    codes = theirs.loc[shared, "atc_codes"].replace("NA", "")
    known = codes[codes != ""]
    other = {drug for drug, listed in known.items() if ours.loc[drug, "atc"] not in listed.split("|")}
    assert other == set(ATC_EXCEPTIONS)
    assert ours["atc"].str.fullmatch(r"[A-Z]\d\d[A-Z]{2}\d\d|").all()


TRICYCLICS = {"amitriptyline", "clomipramine", "doxepin", "imipramine", "trimipramine"}
"""Their CYP2C19 rows name nortriptyline and desipramine, which their CYP2D6 rows rule out; a default serves both."""


def test_switched_drugs_have_default_alternatives_of_their_therapy(content):
    guidance, policy = content.guidance, content.default_alternative
    assert (policy["therapy"] != "").all()
    assert (policy["basis"] == "site policy to be approved by P&T").all()
    assert (policy["alternative_drug"] != policy["drug"]).all()
    assert not policy[["drug", "therapy"]].drop_duplicates().duplicated("drug").any()
    for drug, text in set(zip(guidance["drug"], guidance["alternatives"], strict=True)):
        named = set(text.split(";")) - {""}
        chosen = set(policy.loc[policy["drug"] == drug, "alternative_drug"])
        if named and chosen and drug not in TRICYCLICS:
            assert named & chosen, f"{drug}: none of {named} is among the defaults"


def test_guidance_rows_carry_numbers_exactly_where_their_action_has_one(content):
    guidance = content.guidance
    assert set(guidance["action"]) <= {action.value for action in Action}
    assert set(guidance["strength"]) <= {strength.value for strength in Strength}
    number_of = {
        Action.DOSE_FACTOR: ["dose_factor_low", "dose_factor_high"],
        Action.DOSE_CAP: ["dose_cap_mg_per_day"],
        Action.ABSOLUTE_DOSE: ["absolute_dose_mg_per_day"],
    }
    for action, columns in number_of.items():
        has = guidance["action"] == action.value
        for column in columns:
            assert (guidance[column].notna() == has).all(), column
    assert (guidance["dose_factor_low"].dropna() <= guidance["dose_factor_high"].dropna()).all()
    allowed = {"start", "maintenance", "start_and_maintenance", "loading", "chronic_use", ""}
    assert set(guidance["applies_to"]) <= allowed


def test_fallbacks_stand_beside_alternatives_and_carry_the_numbers_of_their_action(content):
    guidance = content.guidance
    fallback = guidance["fallback_action"]
    assert set(fallback) <= {"", *FALLBACK_ACTIONS}
    assert (guidance.loc[fallback != "", "action"] == Action.ALTERNATIVE.value).all()
    low, high = guidance["fallback_dose_factor_low"], guidance["fallback_dose_factor_high"]
    assert ((fallback == Action.DOSE_FACTOR) == low.notna()).all()
    assert (low.isna() == high.isna()).all()
    assert (low.dropna() <= high.dropna()).all()
    assert ((fallback == Action.DOSE_CAP) == guidance["fallback_dose_cap_mg_per_day"].notna()).all()


def test_rows_that_give_nothing_to_plan_with_say_why_and_only_they(content):
    guidance = content.guidance
    silent = guidance["action"].isin([Action.NO_RECOMMENDATION.value, Action.NO_NUMBER.value])
    assert set(guidance["reason"]) <= {"", *GuidanceReason}
    assert ((guidance["reason"] != "") == silent).all()


def test_every_guidance_row_names_its_source_version_date_and_publication_or_why_there_is_none(content):
    guidance = content.guidance
    assert guidance["recommendation_id"].is_unique
    for column in ("source", "guideline_id", "version"):
        assert (guidance[column].str.len() > 0).all(), column
    assert guidance["table_date"].str.fullmatch(r"\d{4}-\d{2}-\d{2}").all()
    assert (guidance["pmid"].str.fullmatch(r"\d{7,8}") ^ (guidance["no_pmid_reason"].str.len() > 10)).all()


def test_effective_sizes_are_recomputed_from_the_published_studies(content, published):
    studies = published("frequencies/allele_frequency_by_study.csv").rename(
        columns={"population_group": "biogeographic_group"}
    )
    studies = studies.assign(
        frequency=studies["frequency"].astype(float), n_subjects=studies["n_subjects"].astype(float)
    )
    function = content.allele_function.set_index(["gene", "allele"])["clinical_function"]
    studies = studies.assign(allele=studies["allele"].str.replace("\u201a", ","))
    studies = studies[~((studies["gene"] == "UGT1A1") & (studies["allele"] == "*80"))]
    normal = pd.MultiIndex.from_frame(studies[["gene", "allele"]]).map(function.to_dict()) == "Normal function"
    inferred = (studies["allele"] == "*1") | studies["allele"].str.contains("eference")
    studies = studies[~inferred & ~((studies["gene"] == "DPYD") & normal)]
    ours = content.group_effective_size.drop(columns="source")
    pd.testing.assert_frame_equal(group_effective_size(studies, sorted(ours["gene"].unique())), ours)
    assert ours["effective_size"].between(10, 200).all()


def test_the_moment_estimator_finds_the_effective_size_of_simulated_studies(rng):
    mean = rng.dirichlet([8, 2, 1])
    people = rng.integers(40, 400, size=3000)
    site = rng.dirichlet(mean * 2 * 45, size=3000)
    counts = rng.multinomial(2 * people, site)
    frequency = counts / (2 * people)[:, None]
    rows = [pd.DataFrame({"allele": f"*{i}", "frequency": frequency[:, i], "n_subjects": people}) for i in range(3)]
    assert effective_people(*moments(pd.concat(rows))) == pytest.approx(45, rel=0.1)


def test_blank_study_frequencies_are_refused():
    row = {"gene": "G", "allele": "*2", "biogeographic_group": "European", "frequency": None, "n_subjects": 50}
    with pytest.raises(InvalidInput, match="blank"):
        group_effective_size(pd.DataFrame([row]), ["G"])
