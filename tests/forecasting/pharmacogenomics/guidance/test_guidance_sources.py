"""Guidance beside CPIC's 2026 table: DPWG, the FDA's table, CPIC's 2024 file; and that every drug has one source."""

import json

import pandas as pd
import pytest

from forecasting.pharmacogenomics.content import builtin_content, notes
from forecasting.pharmacogenomics.genes.gene_model import gene_model
from forecasting.terms import NO_RESULT, Action
from tests.forecasting.pharmacogenomics.genes_and_drugs_page import GENOTYPES

GUIDANCE = builtin_content().guidance
OF_SOURCE = {str(source): sorted(rows["drug"].unique()) for source, rows in GUIDANCE.groupby("source")}
GENES = sorted((set(GUIDANCE["gene_1"]) | set(GUIDANCE["gene_2"])) - {""})
DOSED = {Action.DOSE_FACTOR.value, Action.DOSE_CAP.value, Action.ABSOLUTE_DOSE.value}

ONCE_INSTEAD_OF_TWICE = "1x daily"
"""DPWG halves eliglustat by the number of doses, and the text names the milligrams of one."""


def rows_of(drug: str) -> pd.DataFrame:
    return GUIDANCE[GUIDANCE["drug"] == drug].set_index("recommendation_id")


def test_guidance_covers_at_least_ninety_drugs_each_with_one_source():
    sources = GUIDANCE.groupby("drug")["source"].unique()
    assert len(sources) >= 90
    assert {drug: list(names) for drug, names in sources.items() if len(names) > 1} == {}


def test_cpic_goes_before_dpwg_and_dpwg_before_the_fda(published):
    cpic = set(published("guidance/cpic_recommendation.csv")["drug"]) | set(OF_SOURCE["CPIC"])
    file = published("guidance/pharmcat_cpic_dpwg_2024-05.csv")
    dpwg = set(file.loc[file["source"] == "DPWG", "drugs"])
    assert set(OF_SOURCE["DPWG"]) == dpwg - cpic
    assert not set(OF_SOURCE["FDA"]) & (cpic | dpwg)


@pytest.mark.parametrize("gene", GENES)
def test_every_row_is_joined_to_a_key_that_the_gene_model_gives(gene, content):
    named = set()
    for number in (1, 2):
        named |= set(GUIDANCE.loc[GUIDANCE[f"gene_{number}"] == gene, f"lookup_key_{number}"])
    model = gene_model(content, gene)
    assert named <= {*model.keys, *model.phenotype_of_key.values(), NO_RESULT}


def test_genes_without_a_diplotype_table_have_their_genotypes(content):
    keys = {gene: gene_model(content, gene).keys for gene in GENOTYPES}
    assert {gene: len(names) for gene, names in keys.items()} == {"CYP4F2": 3, "IFNL3": 3}


def dpwg_key(gene: str, key: str | dict[str, float]) -> str:
    """DPWG's key as ours: an activity score without the phenotype behind it, or a diplotype."""
    if isinstance(key, dict):
        return "/".join(sorted(allele for allele, copies in key.items() for _ in range(int(copies))))
    return key.split(" (")[0] if gene == "DPYD" else key


SCORE_OF = {"*1/*2": "1.5", "*1/*3": "1.0", "*2/*3": "0.5", "*3/*3": "0.0", "Normal Metabolizer": "2.0"}
"""CYP2C9 diplotypes of DPWG -> activity score; the gene model agrees (below)."""


@pytest.mark.parametrize("drug", OF_SOURCE["DPWG"])
def test_dpwg_rows_say_what_the_publisher_says(drug, content, published):
    theirs = published("guidance/pharmcat_cpic_dpwg_2024-05.csv")
    theirs = theirs[(theirs["source"] == "DPWG") & (theirs["drugs"] == drug)].set_index("recommendation_id")
    ours, left = rows_of(drug), notes("guidance_left_out").query("drug == @drug")["recommendation_id"].tolist()
    assert sorted([*ours.index, *left]) == sorted(theirs.index), "each row is ours, or left out with a reason"
    theirs = theirs.loc[ours.index]
    assert ours["guideline_id"].tolist() == theirs["guideline_id"].tolist()
    assert ours["version"].tolist() == theirs["guideline_version"].tolist()
    for (identity, row), other in zip(ours.iterrows(), theirs.to_dict("records"), strict=True):
        ((gene, key),) = json.loads(other["lookup_key_json"]).items()
        key = dpwg_key(gene, key)
        if gene == "CYP2C9":
            assert "/" not in key or gene_model(content, gene).key_of(key) == SCORE_OF[key]
            key = SCORE_OF[key]
        assert (row["gene_1"], row["lookup_key_1"], row["gene_2"]) == (gene, key, ""), identity
        none = "does not provide a recommendation" in other["text"]
        assert (row["action"] == Action.NO_RECOMMENDATION.value) == none, identity
        if row["action"] in DOSED:
            assert other["dosing_information"] == "True", identity
        if row["action"] == Action.ALTERNATIVE.value:
            assert other["alternate_drug_available"] == "True", identity
        for value in numbers_of(row):
            assert value in other["text"] or ONCE_INSTEAD_OF_TWICE in other["text"], (identity, value)
        assert all(name in other["text"].lower() for name in filter(None, row["alternatives"].split(";"))), identity


WORDS = {"50%": "half of the normal", "150%": "1.5 times"}


def numbers_of(row: pd.Series) -> list[str]:
    """The numbers of a row as a text writes them: 65%, 10 mg/day."""
    factors = {row["dose_factor_low"], row["dose_factor_high"]} - {None}
    spelled = [f"{factor:.0%}" for factor in factors if pd.notna(factor)]
    spelled = [
        WORDS[text] if row["drug"] in ("brexpiprazole", "haloperidol") and text in WORDS else text for text in spelled
    ]
    caps = [row["dose_cap_mg_per_day"], row["fallback_dose_cap_mg_per_day"]]
    return [*spelled, *(f"{cap:g} mg/day" for cap in caps if pd.notna(cap))]


@pytest.mark.parametrize("drug", ["ondansetron", "tropisetron"])
def test_antiemetics_are_cpics_2024_rows(drug, published):
    theirs = published("guidance/pharmcat_cpic_dpwg_2024-05.csv")
    theirs = theirs[(theirs["source"] == "CPIC") & (theirs["drugs"] == drug)].set_index("recommendation_id")
    ours, left = rows_of(drug), notes("guidance_left_out").query("drug == @drug")["recommendation_id"].tolist()
    assert sorted([*ours.index, *left]) == sorted(theirs.index)
    theirs = theirs.loc[ours.index]
    keys = [json.loads(text)["CYP2D6"] for text in theirs["lookup_key_json"]]
    assert ours["lookup_key_1"].tolist() == keys
    assert ours["version"].tolist() == theirs["guideline_version"].tolist()
    assert ours["strength"].str.lower().tolist() == theirs["classification"].str.lower().tolist()
    switched = ours["action"] == Action.ALTERNATIVE.value
    assert (switched == (theirs["alternate_drug_available"] == "True")).all()
    assert ((ours["strength"] == "No Recommendation") == (ours["action"] == Action.NO_RECOMMENDATION.value)).all()


FDA_NUMBERS = {
    "amifampridine phosphate": "15 mg/day",
    "belinostat": "750 mg/m2",
    "deutetrabenazine": "36 mg",
    "iloperidone": "50%",
    "tetrabenazine": "50 mg/day",
}
"""All drugs for which the FDA's own table has a number: how it is written there."""


@pytest.fixture(scope="module")
def fda(published) -> pd.DataFrame:
    theirs = published("guidance/fda_pgx_associations.csv")
    ours = notes("fda_association")
    keys = ["section", "drug", "gene", "affected_subgroups"]
    assert (
        ours[["section", "fda_drug", "gene", "affected_subgroups"]].to_numpy().tolist()
        == theirs[keys].to_numpy().tolist()
    )
    return ours.assign(text=theirs["description"])


def test_all_associations_of_the_fda_are_accounted_for(fda):
    assert len(fda) == 124
    source = GUIDANCE.drop_duplicates("drug").set_index("drug")["source"].to_dict()
    ids = set(GUIDANCE.loc[GUIDANCE["source"] == "FDA", "guideline_id"])
    covered = {"covered by CPIC": "CPIC", "covered by DPWG": "DPWG", "guidance": "FDA"}
    for row in fda.to_dict("records"):
        assert row["reason"], row
        if row["disposition"] in covered:
            assert source[row["drug"]] == covered[row["disposition"]], row
        else:
            assert row["disposition"] in ("no change asked for", "no gene model")
            assert row["drug"] not in source, row
    assert set(fda.loc[fda["disposition"] == "guidance", "reason"]) == ids


ASKS = (
    r"[Dd]osage (?:adjustment|reduction)|[Rr]educe|dosage is lower|lowest|maximum recommended|Do not use|Avoid use"
    r"|Contraindicated"
)


def test_nothing_that_the_fda_asks_for_is_called_no_change(fda):
    quiet = fda[fda["disposition"] == "no change asked for"]
    assert quiet["text"].str.contains(ASKS).sum() == 0
    assert fda["text"].str.contains(ASKS).sum() > 30, "the words are found where something is asked for"


@pytest.mark.parametrize("drug", OF_SOURCE["FDA"])
def test_fda_rows_say_what_the_table_says(drug, fda):
    (theirs,) = fda[(fda["drug"] == drug) & (fda["disposition"] == "guidance")].to_dict("records")
    ours = rows_of(drug)
    assert (ours["guideline_id"] == theirs["reason"]).all()
    assert (ours["gene_1"] == theirs["gene"]).all()
    kinds = {f"{kind.title()} Metabolizer" for kind in ("intermediate", "poor") if kind in theirs["affected_subgroups"]}
    advised = {key for key in kinds if key.split()[0] == "Poor" or drug != "brivaracetam"}
    assert set(ours["lookup_key_1"]) == advised, "brivaracetam: a reduction is asked for in poor metabolizers alone"
    dosed = ours["action"].isin(DOSED)
    assert dosed.all() == (drug in FDA_NUMBERS)
    assert FDA_NUMBERS.get(drug, "") in theirs["text"]
    if ours["action"].eq(Action.STANDARD.value).any():
        assert "not necessary" in theirs["text"]
    if ours["action"].eq(Action.ALTERNATIVE.value).any():
        assert "Contraindicated" in theirs["text"]


def test_what_the_fdas_numbers_mean_in_ours():
    numbers = {
        "amifampridine phosphate": ("absolute_dose_mg_per_day", 15),
        "belinostat": ("dose_factor_low", 0.75),
        "deutetrabenazine": ("dose_cap_mg_per_day", 36),
        "iloperidone": ("dose_factor_low", 0.5),
        "tetrabenazine": ("dose_cap_mg_per_day", 50),
    }
    assert {drug: rows_of(drug)[column].tolist() for drug, (column, _) in numbers.items()} == {
        drug: [value] for drug, (_, value) in numbers.items()
    }


def test_drugs_that_are_switched_without_a_default_are_listed_with_the_reason(content):
    switched = set(GUIDANCE.loc[GUIDANCE["action"] == Action.ALTERNATIVE.value, "drug"])
    with_default = set(content.default_alternative["drug"])
    listed = notes("no_default_alternative")
    assert set(listed["drug"]) == switched - with_default
    assert with_default <= switched, "a default for a drug that no row switches"
    assert (listed["reason"].str.len() > 10).all()


def test_rows_that_are_left_out_say_why_and_are_not_among_ours():
    left = notes("guidance_left_out")
    assert (left["reason"].str.len() > 10).all()
    assert left["recommendation_id"].is_unique
    assert not set(left["recommendation_id"]) & set(GUIDANCE["recommendation_id"])


def test_judgements_speak_of_rows_that_are_there():
    for row in notes("guidance_judgement").to_dict("records"):
        rows = GUIDANCE[(GUIDANCE["drug"] == row["drug"]) & (GUIDANCE["gene_1"] == row["gene"])]
        assert set(row["lookup_keys"].split("; ")) <= set(rows["lookup_key_1"]), row
