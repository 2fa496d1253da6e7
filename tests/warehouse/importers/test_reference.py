"""Reference content becomes releases that never change, side by side, and comes back as it went in."""

import json

import pandas as pd
import pytest

from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.content import builtin_content
from warehouse.engine import writing
from warehouse.importers import load
from warehouse.importers.content import releases as content_releases
from warehouse.importers.content.mapping import mapping_of
from warehouse.releases import newest_releases
from warehouse.schema import Base
from warehouse.store import read


@pytest.fixture
def database(new_engine):
    return new_engine("sqlite")


def frequencies(gene="CYP2C19", frequency=0.1):
    row = {"gene": gene, "allele": "*2", "biogeographic_group": "European", "frequency": frequency}
    return pd.DataFrame([{**row, "n_subjects": None, "source": "test", "version": "1"}]).astype({"n_subjects": float})


@pytest.mark.parametrize(
    "kind", [kind for kind in content_releases.TABLE_OF_KIND if kind != "published_recommendation"]
)
def test_built_in_frames_come_back_exactly_but_for_the_order_of_rows(engine, kind):
    frame = getattr(builtin_content(), "diplotypes" if kind == "diplotype" else kind)
    with writing(engine) as connection:
        release = content_releases.store_release(connection, kind, "pgx-supply", "1", frame)
    with engine.connect() as connection:
        got = content_releases.release_content(connection, release)
    columns = list(frame.columns)
    pd.testing.assert_frame_equal(
        got.sort_values(columns, ignore_index=True), frame.sort_values(columns, ignore_index=True), check_exact=True
    )


def test_the_same_content_again_is_the_same_release(engine):
    for _ in range(2):
        with writing(engine) as connection:
            release = content_releases.store_release(connection, "allele_frequency", "CPIC", "2024", frequencies())
    with engine.connect() as connection:
        assert read(connection, content_releases.RELEASES)["release_id"].tolist() == [release]
    assert release.startswith("allele_frequency:CPIC:2024+")


def test_new_content_stands_beside_the_old(engine):
    with writing(engine) as connection:
        old = content_releases.store_release(connection, "allele_frequency", "CPIC", "2024", frequencies())
        new = content_releases.store_release(connection, "allele_frequency", "CPIC", "2024", frequencies(frequency=0.2))
        other = content_releases.store_release(connection, "allele_frequency", "X", "1", frequencies(gene="X"))
    with engine.connect() as connection:
        assert content_releases.release_content(connection, old)["frequency"].tolist() == [0.1]
        assert content_releases.release_content(connection, new)["frequency"].tolist() == [0.2]
        assert content_releases.release_content(connection, other)["gene"].tolist() == ["X"]


def test_content_that_breaks_a_rule_or_is_of_no_kind_is_refused(database):
    with writing(database) as connection:
        with pytest.raises(InvalidInput, match="must be 1.001 or less"):
            content_releases.store_release(connection, "allele_frequency", "CPIC", "1", frequencies(frequency=20.0))
        with pytest.raises(InvalidInput, match="is not one of"):
            content_releases.store_release(connection, "weather", "CPIC", "1", frequencies())
        with pytest.raises(InvalidInput, match="no content release"):
            content_releases.release_content(connection, "nothing")


def test_mapping_tells_covered_changed_and_uncovered_recommendations_apart():
    guidance = builtin_content().guidance
    first = guidance[guidance["drug"] == "clopidogrel"].iloc[0]
    keys = json.dumps({first["gene_1"]: first["lookup_key_1"]})
    same = {"source": "CPIC", "recommendation_id": first["recommendation_id"], "version": first["version"]}
    same |= {"drug": "clopidogrel", "population": first["population"], "lookup_key": keys}
    published = pd.DataFrame(
        [
            same,
            {**same, "version": "99"},
            {**same, "lookup_key": json.dumps({"CYP2C19": "Other"})},
            {**same, "recommendation_id": "PA1", "version": "7", "population": f" {first['population']} "},
            {**same, "recommendation_id": "new", "lookup_key": json.dumps({"CYP2C19": "Other"})},
            {**same, "recommendation_id": "other", "drug": "paracetamol"},
        ]
    )
    expected = ["mapped", "changed", "changed", "mapped", "unmapped", "no_guidance"]
    assert mapping_of(published, guidance).tolist() == expected


def test_keys_that_a_publisher_writes_in_other_words_stand_at_the_row_of_their_id():
    guidance = builtin_content().guidance
    row = guidance[guidance["recommendation_id"] == "PA166299070"].iloc[0]
    same = {"source": "DPWG", "recommendation_id": "PA166299070", "version": row["version"], "drug": "warfarin"}
    keys = [
        {"CYP2C9": {"*1": 1.0, "*3": 1.0}},
        {"CYP2C9": "0.5"},
        {"VKORC1": "-1639 AA"},
        {"CYP2D6": "xN combinations"},
    ]
    published = pd.DataFrame([{**same, "population": "general", "lookup_key": json.dumps(key)} for key in keys])
    assert mapping_of(published, guidance).tolist() == ["mapped", "changed", "changed", "mapped"]


def test_cpic_content_becomes_releases_and_again_changes_nothing(engine, shared_data):
    with writing(engine) as connection:
        content_releases.store_release(connection, "guidance", "pgx-supply", "1", builtin_content().guidance)
    report = load(engine, shared_data / "pgx" / "guidance" / "cpic_api", format="cpic")
    (loaded,) = report.tables
    assert (loaded.accepted, loaded.rejected) == (2_115, 0)
    with engine.connect() as connection:
        published = read(connection, Base.metadata.tables["published_recommendations"])
    assert len(published) == 2_115
    assert (published["mapping"] == "mapped").all()
    classes = "22 absolute_dose, 986 alternative, 41 dose_cap, 259 dose_factor, 30 no_number, 235 no_recommendation"
    assert loaded.notes == ("2115 mapped", f"mapped to: {classes}, 542 standard")
    again = load(engine, shared_data / "pgx" / "guidance" / "cpic_recommendation.csv", format="cpic")
    assert (again.accepted, again.unchanged) == (0, 2_115), "the API's answer and the table hold the same"


def test_a_file_of_some_genes_keeps_the_other_genes_that_are_built_in(database, tmp_path, shared_data):
    with writing(database) as connection:
        content_releases.store_release(connection, "allele_frequency", "pgx-supply", "1", frequencies(gene="VKORC1"))
    load(database, shared_data / "pgx" / "frequencies" / "allele_frequency_by_group.csv", format="cpic")
    with database.connect() as connection:
        loaded = newest_releases(connection, "CPIC")["allele_frequency"]
        got = content_releases.release_content(connection, loaded)
    assert loaded.startswith("allele_frequency:CPIC:2024-10-17+")
    assert len(got) == 2_225 + 1
    published = pd.read_csv(shared_data / "pgx" / "frequencies" / "allele_frequency_by_group.csv")
    cpic = got[got["gene"] != "VKORC1"]
    assert cpic["frequency"].sum() == pytest.approx(published["frequency"].sum())


def test_a_load_tells_what_is_new_changed_and_withdrawn_against_the_last_one(database, tmp_path):
    header = "gene,allele,population_group,frequency,n_subjects,cpic_table_last_change\n"
    versions = {
        "2022-03-11": ["*2,European,0.1,10", "*3,European,0.2,10", "*4,European,0.01,10"],
        "2024-10-17": ["*2,European,0.1,10", "*3,European,0.25,12", "*17,European,0.2,10"],
    }
    for version, rows in versions.items():
        path = tmp_path / f"{version}.csv"
        path.write_text(header + "".join(f"CYP2C19,{row},{version}\n" for row in rows), encoding="utf-8")
        report = load(database, path, format="cpic")
    stored, against = report.messages
    assert stored.endswith("of 3 rows is stored; no site uses it before it is activated")
    assert against.startswith("against allele_frequency:CPIC:2022-03-11+")
    assert against.endswith(": 1 new, 1 changed, 1 withdrawn rows")
    assert "was stored already" in load(database, path, format="cpic").messages[0]


def test_a_bad_row_of_a_publisher_is_named(database, tmp_path):
    path = tmp_path / "allele_frequency.csv"
    header = "gene,allele,population_group,frequency,n_subjects,cpic_table_last_change\n"
    path.write_text(f"{header}G,*1,European,0.9,,2024-01\nG,*2,Martian,0.1,,2024-01\n", encoding="utf-8")
    report = load(database, path, format="cpic")
    assert [(row.line, row.column) for row in report.rejected_rows] == [(3, "biogeographic_group")]
    assert report.accepted == 1


def test_cpic_tables_of_functions_and_diplotypes_load_in_full(database, shared_data):
    report = load(database, shared_data / "pgx" / "alleles", format="cpic")
    assert report.rejected_rows == ()
    accepted = pd.Series([one.accepted for one in report.tables], [one.table for one in report.tables])
    assert accepted.groupby(level=0).sum().to_dict() == {"allele_functions": 960, "diplotype_phenotypes": 53_141}
    assert any("SLCO1B1.pharmcat_2025-11.csv was not read" in message for message in report.messages)


def test_pharmcat_guidance_is_a_release_of_its_own(database, shared_data):
    path = shared_data / "pgx" / "guidance" / "pharmcat_cpic_dpwg_2024-05.csv"
    report = load(database, path, format="pharmcat")
    assert (report.accepted, report.rejected) == (2_583, 0)
    assert any("published_recommendation:PharmCAT:2024-05+" in message for message in report.messages)


def pharmcat_package(source="DPWG", **changes):
    row = {"id": "PA1", "population": "general ", "classification": {"term": "Strong"}}
    row |= {"relatedChemicals": [{"name": "Abacavir"}], "text": {"html": "<p>Avoid &amp; ask.</p>\n"}}
    row |= {"lookupKey": {"HLA-B": "*57:01 positive"}} | changes
    guideline = {"id": "PA2", "source": source, "version": 29, "relatedChemicals": [{"name": "abacavir"}]}
    return {"guideline": guideline, "recommendations": [row]}


@pytest.mark.parametrize("together", [True, False])
def test_pharmcat_json_of_one_or_all_guidelines_becomes_a_release(database, tmp_path, together):
    path = tmp_path / "prescribing_guidance_2026-02.json"
    packages = [pharmcat_package(), pharmcat_package("CPIC", id="PA3", lookupKey={"UGT1A1": {"*1": 1.0, "*28": 1.0}})]
    document = {"version": "2026-03-01-12-00", "guidelines": packages} if together else packages[0]
    path.write_text(json.dumps(document), encoding="utf-8")
    report = load(database, path, format="pharmcat")
    assert (report.accepted, report.rejected, report.refused) == (2 if together else 1, 0, ())
    with database.connect() as connection:
        release = newest_releases(connection, "PharmCAT")["published_recommendation"]
        rows = content_releases.release_content(connection, release).set_index("recommendation_id")
    assert f":{'2026-03-01' if together else '2026-02'}+" in release
    first = rows.loc["PA1", ["drug", "version", "population", "recommendation_text", "mapping"]].tolist()
    assert first == ["abacavir", "29", "general", "Avoid & ask.", "no_guidance"]
    assert not together or rows.loc["PA3", "lookup_key"] == '{"UGT1A1": "*1/*28"}'


def test_pharmcat_json_and_folders_without_content_are_refused(database, tmp_path):
    path = tmp_path / "guidance.json"
    path.write_text("{}", encoding="utf-8")
    (refused,) = load(database, path, format="pharmcat").refused
    assert "neither `guideline` nor `guidelines`" in refused.reason
    path.write_text('{"guideline": {"source": "DPWG"}, "annotationGroups": []}', encoding="utf-8")
    (refused,) = load(database, path, format="pharmcat").refused
    assert "older layout has no lookup keys" in refused.reason
    (refused,) = load(database, path, format="cpic").refused
    assert "not a list of objects" in refused.reason
    path.unlink()
    with pytest.raises(InvalidInput, match="no cpic content"):
        load(database, tmp_path, format="cpic")
