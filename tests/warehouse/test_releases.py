"""Which release a site uses: built-in content until a person activates another, from the effective day on."""

import datetime as dt

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.content import builtin_content
from warehouse.engine import writing
from warehouse.importers import load
from warehouse.importers.content import releases as content_releases
from warehouse.importers.content.difference import content_diff, counted
from warehouse.releases import activate, newest_releases, releases_at, releases_in_force, site_releases
from warehouse.schema import Base
from warehouse.store import insert, read

SITES = ["H1", "H2", "H3"]
DAY = dt.date(2026, 11, 1)
NOW = dt.datetime.fromisoformat("2026-11-01T09:00")


def doses(number):
    row = {"drug": "codeine", "usual_daily_dose_mg": float(number), "atc": "R05DA04", "rxcui": "2670"}
    return pd.DataFrame([{**row, "basis": "DDD", "source": "WHO"}])


def store(connection, publisher, number):
    return content_releases.store_release(connection, "usual_daily_dose", publisher, str(number), doses(number))


@pytest.fixture
def network(engine):
    """Three sites, a pharmacist (number 1), and releases 0 (built in), 1, 2 and 3."""
    with writing(engine) as connection:
        insert(
            connection,
            Base.metadata.tables["facilities"],
            pd.DataFrame({"facility_id": SITES, "name": SITES, "population": 1000.0}),
        )
        person = {"name": "pia", "display_name": "Pia", "password_hash": "x", "role": "pharmacist", "active": True}
        connection.execute(Base.metadata.tables["users"].insert(), {**person, "failed_sign_ins": 0, "created_at": NOW})
        releases = [store(connection, "pgx-supply" if not number else "curated", number) for number in range(4)]
    return engine, releases


def put(connection, release, sites=(), effective_on=DAY, decided_at=NOW):
    return activate(
        connection, [release], facility_ids=sites, effective_on=effective_on, user_id=1, decided_at=decided_at
    )


def in_force(connection, day, known_at=None):
    told = releases_in_force(connection, SITES, day, known_at)
    return [releases_at(told, site).get("usual_daily_dose") for site in SITES]


def test_loading_activates_nothing_and_an_activation_counts_from_its_day(network):
    engine, (builtin, first, second, _) = network
    with writing(engine) as connection:
        assert in_force(connection, DAY) == [builtin] * 3
        put(connection, first, ["H2"])
        put(connection, second, effective_on=DAY + dt.timedelta(days=30))
    with engine.connect() as connection:
        assert in_force(connection, DAY - dt.timedelta(days=1)) == [builtin] * 3
        assert in_force(connection, DAY) == [builtin, first, builtin]
        assert in_force(connection, DAY + dt.timedelta(days=30)) == [second] * 3
        assert in_force(connection, DAY, known_at=NOW - dt.timedelta(seconds=1)) == [builtin] * 3
        history = site_releases(connection, ["H2"], DAY + dt.timedelta(days=30))
        ledger = read(connection, Base.metadata.tables["activations"])
    assert history["release_id"].tolist() == [builtin, first, second]
    assert history["in_force"].tolist() == [False, False, True]
    assert ledger[["facility_id", "user_id"]].values.tolist() == [["H2", 1], ["*", 1]]


def test_newer_built_in_content_takes_the_place_of_older_where_nobody_activated_anything(network):
    engine, (_, first, _, _) = network
    with writing(engine) as connection:
        put(connection, first, ["H2"])
        newer = store(connection, "pgx-supply", 9)
    with engine.connect() as connection:
        assert in_force(connection, DAY) == [newer, first, newer]


@pytest.mark.parametrize(
    ("releases", "sites", "message"),
    [
        (["nothing"], [], "there is no release 'nothing'"),
        ([1], ["H9"], "unknown facility H9"),
        ([1, 2], [], "more than one release of usual_daily_dose"),
    ],
)
def test_what_cannot_be_activated_is_refused_and_nothing_is_written(network, releases, sites, message):
    engine, stored = network
    names = [stored[one] if isinstance(one, int) else one for one in releases]
    with writing(engine) as connection, pytest.raises(InvalidInput, match=message):
        activate(connection, names, facility_ids=sites, effective_on=DAY, user_id=1, decided_at=NOW)
    with engine.connect() as connection:
        assert read(connection, Base.metadata.tables["activations"]).empty


def test_a_release_without_rows_cannot_be_activated(network):
    engine, _ = network
    with writing(engine) as connection:
        empty = content_releases.store_release(connection, "usual_daily_dose", "curated", "none", doses(1).iloc[:0])
        with pytest.raises(InvalidInput, match="has no rows"):
            put(connection, empty)


decisions = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from(["*", *SITES]), st.integers(-3, 3)), min_size=0, max_size=8
)


@settings(deadline=None, max_examples=25)
@given(decisions=decisions, day=st.integers(-4, 4))
def test_the_last_effective_day_counts_and_of_one_day_the_last_decision(decisions, day):
    engine = sa.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        sites = pd.DataFrame({"facility_id": SITES, "name": SITES, "population": 1000.0})
        insert(connection, Base.metadata.tables["facilities"], sites)
        stored = [store(connection, "pgx-supply" if not number else "curated", number) for number in range(4)]
        for number, site, offset in decisions:
            put(connection, stored[number], [] if site == "*" else [site], DAY + dt.timedelta(days=offset))
        got = in_force(connection, DAY + dt.timedelta(days=day))
    expected = []
    for site in SITES:
        current, since = 0, None
        for number, who, offset in decisions:
            if who in ("*", site) and offset <= day and (since is None or offset >= since):
                current, since = number, offset
        expected.append(stored[current])
    assert got == expected


def guidance():
    rows = builtin_content().guidance
    return rows[rows["drug"].isin(["clopidogrel", "codeine"])].reset_index(drop=True)


def test_a_diff_names_each_changed_field_and_each_row_that_came_or_went():
    old = guidance()
    new = old.iloc[1:].copy()
    new.loc[1, "dose_factor_high"] = 0.25
    new.loc[2, "alternatives"] = "ticagrelor"
    new.loc[99] = old.iloc[0].copy()
    new.loc[99, "recommendation_id"] = "new-row"
    diff = content_diff("guidance", old, new)
    told = {(one.row, one.change, one.field): (one.before, one.after) for one in diff.itertuples()}
    was = old["dose_factor_high"].map(lambda value: "" if pd.isna(value) else f"{value:g}")
    assert told == {
        ("new-row", "new", ""): ("", ""),
        (old.loc[0, "recommendation_id"], "withdrawn", ""): ("", ""),
        (old.loc[1, "recommendation_id"], "changed", "dose_factor_high"): (was[1], "0.25"),
        (old.loc[2, "recommendation_id"], "changed", "alternatives"): (old.loc[2, "alternatives"], "ticagrelor"),
    }
    assert set(diff["subject"]) <= {"clopidogrel", "codeine"}
    assert counted(diff) == {"new": 1, "changed": 2, "withdrawn": 1}


@pytest.mark.parametrize(
    "kind", [kind for kind in content_releases.TABLE_OF_KIND if kind != "published_recommendation"]
)
def test_a_release_does_not_differ_from_itself_in_any_order(kind):
    frame = getattr(builtin_content(), "diplotypes" if kind == "diplotype" else kind)
    assert content_diff(kind, frame, frame.iloc[::-1]).empty
    assert counted(content_diff(kind, None, frame)) == {"new": len(frame), "changed": 0, "withdrawn": 0}


def test_a_new_table_date_alone_is_no_change_of_a_frequency():
    frame = builtin_content().allele_frequency
    assert content_diff("allele_frequency", frame, frame.assign(version="2030-01-01")).empty


def test_curated_tables_load_as_releases_of_their_kinds(engine, tmp_path):
    changed = guidance()
    changed.loc[changed["dose_factor_high"].notna(), "dose_factor_high"] = 0.4
    changed.to_csv(tmp_path / "guidance.csv", index=False)
    builtin_content().default_alternative.to_csv(tmp_path / "default_alternative.csv", index=False)
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with writing(engine) as connection:
        content_releases.store_release(connection, "guidance", "pgx-supply", "1", guidance())
    report = load(engine, tmp_path, format="curated")
    assert (report.rejected, report.refused) == (0, ())
    assert any("notes.csv is not named after a kind of content" in message for message in report.messages)
    with engine.connect() as connection:
        releases = newest_releases(connection, "curated")
        got = content_releases.release_content(connection, releases["guidance"])
        assert releases_in_force(connection, [], DAY)["*"]["guidance"].startswith("guidance:pgx-supply:")
    assert set(releases) == {"guidance", "default_alternative"}
    assert got["year"].astype(str).sort_values().tolist() == sorted(changed["year"])
    factors = [one.set_index("recommendation_id")["dose_factor_high"].dropna().to_dict() for one in (got, changed)]
    assert factors[0] == factors[1]


PROBABILITIES = "gene,allele,clinical_function,activity_value,probability,source,version,pmid\n"


def test_probabilities_of_functions_load_as_a_release(engine, tmp_path):
    rows = "CYP2C9,*7,Decreased function,0.5,0.6,predictor,2026-10-01,none: invented\n"
    rows += "CYP2C9,*7,No function,0.0,0.4,predictor,2026-10-01,none: invented\n"
    (tmp_path / "function_probability.csv").write_text(PROBABILITIES + rows, encoding="utf-8")
    report = load(engine, tmp_path, format="curated")
    assert (report.rejected, report.refused) == (0, ())
    with engine.connect() as connection:
        release = newest_releases(connection, "curated")["function_probability"]
        got = content_releases.release_content(connection, release)
    assert release.startswith("function_probability:curated:2026-10-01+")
    assert got.set_index("clinical_function")["probability"].to_dict() == {
        "Decreased function": 0.6,
        "No function": 0.4,
    }


def test_probabilities_of_one_allele_that_pass_one_are_refused_by_file_line_and_rule(engine, tmp_path):
    rows = [
        ("*7", "Decreased function", "0.5", 0.7),
        ("*9", "No function", "0.0", 0.5),
        ("*7", "No function", "0.0", 0.4),
    ]
    rows += [
        ("*10", "No function", "0.0", 1.5),
        ("*11", "No function", "0.0", "often"),
        ("*12", "No function", "", 0.5),
    ]
    lines = [f"CYP2C9,{','.join(map(str, row))},predictor,2026-10-01,\n" for row in rows]
    (tmp_path / "function_probability.csv").write_text(PROBABILITIES + "".join(lines), encoding="utf-8")
    report = load(engine, tmp_path, format="curated")
    told = {(row.file, row.line, row.column): row.rule for row in report.rejected_rows}
    passed = "the probabilities of the functions of one allele must not sum to more than 1"
    assert {line for (_, line, _), rule in told.items() if rule == passed} == {2, 4}
    assert {line for _, line, column in told if column == "probability"} == {2, 4, 5, 6}
    assert ("function_probability.csv", 7, "activity_value") in told
    assert report.accepted == 1


def test_probabilities_that_pass_one_over_several_files_are_refused(engine, tmp_path):
    folder = tmp_path / "function_probability"
    folder.mkdir()
    for name, function, value in (("one", "Decreased function", "0.5"), ("other", "No function", "0.0")):
        row = f"CYP2C9,*7,{function},{value},0.6,predictor,2026-10-01,\n"
        (folder / f"{name}.csv").write_text(PROBABILITIES + row, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"one\.csv, other\.csv together: .*more than 1"):
        load(engine, folder, format="curated")


def test_a_curated_file_of_a_wrong_row_names_it_and_one_without_columns_is_refused(engine, tmp_path):
    bad = guidance().head(2)
    bad.loc[0, "action"] = "think"
    bad.to_csv(tmp_path / "guidance.csv", index=False)
    (tmp_path / "population_share.csv").write_text("drug\nx\n", encoding="utf-8")
    report = load(engine, tmp_path, format="curated")
    assert [(row.file, row.line, row.column) for row in report.rejected_rows] == [("guidance.csv", 2, "action")]
    assert [one.file for one in report.refused] == ["population_share.csv"]
