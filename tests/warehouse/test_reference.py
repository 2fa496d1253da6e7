"""Reference content becomes releases that never change, one active per kind, and comes back as it went in."""

import json

import pandas as pd
import pytest

from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.content import builtin_content
from warehouse.engine import writing
from warehouse.importers import load, reference
from warehouse.importers.mapping import mapping_of
from warehouse.schema import Base
from warehouse.store import read


@pytest.fixture
def database(new_engine):
    return new_engine("sqlite")


def frequencies(gene="CYP2C19", frequency=0.1):
    row = {"gene": gene, "allele": "*2", "biogeographic_group": "European", "frequency": frequency}
    return pd.DataFrame([{**row, "n_subjects": None, "source": "test", "version": "1"}]).astype({"n_subjects": float})


@pytest.mark.parametrize("kind", [kind for kind in reference.TABLE_OF_KIND if kind != "published_recommendation"])
def test_built_in_frames_come_back_exactly_but_for_the_order_of_rows(engine, kind):
    frame = getattr(builtin_content(), "diplotypes" if kind == "diplotype" else kind)
    with writing(engine) as connection:
        release = reference.store_release(connection, kind, "pgx-supply", "1", frame)
    with engine.connect() as connection:
        got = reference.active_content(connection)[kind]
        assert reference.active_releases(connection) == {kind: release}
    columns = list(frame.columns)
    pd.testing.assert_frame_equal(
        got.sort_values(columns, ignore_index=True), frame.sort_values(columns, ignore_index=True), check_exact=True
    )


def test_the_same_content_again_is_the_same_release(engine):
    for _ in range(2):
        with writing(engine) as connection:
            release = reference.store_release(connection, "allele_frequency", "CPIC", "2024", frequencies())
    with engine.connect() as connection:
        assert read(connection, reference.RELEASES)["release_id"].tolist() == [release]
    assert release.startswith("allele_frequency:CPIC:2024+")


def test_new_content_is_active_and_the_old_release_can_still_be_read(engine):
    with writing(engine) as connection:
        old = reference.store_release(connection, "allele_frequency", "CPIC", "2024", frequencies())
        new = reference.store_release(connection, "allele_frequency", "CPIC", "2024", frequencies(frequency=0.2))
        idle = reference.store_release(connection, "allele_frequency", "X", "1", frequencies(gene="X"), active=False)
    with engine.connect() as connection:
        assert reference.active_releases(connection) == {"allele_frequency": new}
        assert reference.release_content(connection, old)["frequency"].tolist() == [0.1]
        assert reference.release_content(connection, idle)["gene"].tolist() == ["X"]


def test_content_that_breaks_a_rule_or_is_of_no_kind_is_refused(database):
    with writing(database) as connection:
        with pytest.raises(InvalidInput, match="must be 1.001 or less"):
            reference.store_release(connection, "allele_frequency", "CPIC", "1", frequencies(frequency=20.0))
        with pytest.raises(InvalidInput, match="is not one of"):
            reference.store_release(connection, "weather", "CPIC", "1", frequencies())
        with pytest.raises(InvalidInput, match="no content release"):
            reference.release_content(connection, "nothing")


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
            {**same, "recommendation_id": "other", "drug": "aspirin"},
        ]
    )
    expected = ["mapped", "changed", "changed", "mapped", "unmapped", "no_guidance"]
    assert mapping_of(published, guidance).tolist() == expected


def test_cpic_content_becomes_releases_and_again_changes_nothing(engine, shared_data):
    with writing(engine) as connection:
        reference.store_release(connection, "guidance", "pgx-supply", "1", builtin_content().guidance)
    report = load(engine, shared_data / "pgx" / "guidance" / "cpic_api", format="cpic")
    (loaded,) = report.tables
    assert (loaded.accepted, loaded.rejected) == (2_115, 0)
    with engine.connect() as connection:
        published = read(connection, Base.metadata.tables["published_recommendations"])
    covered = set(builtin_content().guidance["recommendation_id"])
    states = published.set_index("recommendation_id")["mapping"]
    assert set(states[states == "mapped"].index) == covered & set(states.index)
    assert not (states == "changed").any()
    again = load(engine, shared_data / "pgx" / "guidance" / "cpic_recommendation.csv", format="cpic")
    assert (again.accepted, again.unchanged) == (0, 2_115), "the API's answer and the table hold the same"


def test_a_file_of_some_genes_keeps_the_other_genes_of_the_active_release(database, tmp_path, shared_data):
    with writing(database) as connection:
        reference.store_release(connection, "allele_frequency", "pgx-supply", "1", frequencies(gene="VKORC1"))
    load(database, shared_data / "pgx" / "frequencies" / "allele_frequency_by_group.csv", format="cpic")
    with database.connect() as connection:
        active = reference.active_releases(connection)["allele_frequency"]
        got = reference.active_content(connection)["allele_frequency"]
    assert active.startswith("allele_frequency:CPIC:2024-10-17+")
    assert len(got) == 2_225 + 1
    published = pd.read_csv(shared_data / "pgx" / "frequencies" / "allele_frequency_by_group.csv")
    cpic = got[got["gene"] != "VKORC1"]
    assert cpic["frequency"].sum() == pytest.approx(published["frequency"].sum())


def test_an_older_table_does_not_replace_a_newer_one(database, tmp_path):
    header = "gene,allele,population_group,frequency,n_subjects,cpic_table_last_change\n"
    for version in ("2024-10-17", "2022-03-11"):
        path = tmp_path / f"{version}.csv"
        path.write_text(f"{header}CYP2C19,*2,European,0.1,10,{version}\n", encoding="utf-8")
        report = load(database, path, format="cpic")
    assert report.messages[-1].endswith("is older: not used")
    with database.connect() as connection:
        assert ":2024-10-17+" in reference.active_releases(connection)["allele_frequency"]


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


def test_pharmcat_json_and_folders_without_content_are_refused(database, tmp_path):
    path = tmp_path / "guidance.json"
    path.write_text("{}", encoding="utf-8")
    (refused,) = load(database, path, format="pharmcat").refused
    assert "read as a CSV table only" in refused.reason
    (refused,) = load(database, path, format="cpic").refused
    assert "not a list of objects" in refused.reason
    path.unlink()
    with pytest.raises(InvalidInput, match="no cpic content"):
        load(database, tmp_path, format="cpic")
