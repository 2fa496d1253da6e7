"""A scenario's file is read strictly: everything wrong is told with file, line, field and reason."""

import dataclasses
import datetime as dt
from pathlib import Path

import pytest

from assets.scenarios.changes import Budget, Coverage, GoLive, ReleaseInForce, Shortage
from assets.scenarios.reading import Known, read_scenario
from forecasting.errors import InvalidInput

AS_OF = dt.date(2026, 11, 23)
KNOWN = Known(
    facility_ids=frozenset({"H01", "H02"}),
    drug_of={"clopidogrel-75": "clopidogrel"},
    genes=frozenset({"CYP2C19"}),
    kind_of_release={"guidance:x:1": "guidance"},
    as_of=AS_OF,
)
WHOLE = """\
name: Go-live a quarter later
go_live:
  - gene: CYP2C19
    date: 2027-03-01
    facility_id: H01
coverage:
  - {gene: CYP2C19, from: 2027-01-04, share_tested: 0.6, share_followed: 1}
release:
  - release_id: guidance:x:1
    facility_id: [H02, H01]
shortage:
  - drug: clopidogrel
    allocation_share: 0.25
    ends_on: 2027-02-28
  - product_id: clopidogrel-75
    allocation_share: 0
budget:
  - per_period: 12000.50
    facility_id: H02
"""


def read(tmp_path: Path, text: str | bytes) -> object:
    file = tmp_path / "s.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_scenario(file, KNOWN)


def test_every_kind_of_change_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, WHOLE)
    assert found.name == "Go-live a quarter later"  # type: ignore[attr-defined]
    assert found.changes == (  # type: ignore[attr-defined]
        GoLive("CYP2C19", dt.date(2027, 3, 1), ("H01",)),
        Coverage("CYP2C19", dt.date(2027, 1, 4), 0.6, 1.0, ("H01", "H02")),
        ReleaseInForce("guidance:x:1", "guidance", ("H01", "H02")),
        Shortage("clopidogrel", "*", 0.25, dt.date(2027, 2, 28)),
        Shortage("*", "clopidogrel-75", 0.0, None),
        Budget(12000.5, ("H02",)),
    )
    assert len(found.labels) == 6  # type: ignore[attr-defined]


def test_no_change_at_all_is_a_scenario(tmp_path: Path) -> None:
    assert read(tmp_path, "name: As it is\n").changes == ()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("name: x\ncolour: red\n", 2, "colour: unknown field of scenario"),
        ("go_live: []\n", 1, "name: is missing"),
        ("name: x\nname: y\n", 2, "name: is given twice"),
        ("name: x\ngo_live: {gene: CYP2C19}\n", 2, "go_live: must be a list"),
        ("name: x\ngo_live:\n  - gene: CYP2C19\n    date: 2027-13-01\n", 4, "'2027-13-01' is not a date"),
        ("name: x\ngo_live:\n  - gene: CYP2C19\n    date: next week\n", 4, "'next week' is not a date"),
        ("name: x\ngo_live:\n  - gene: CYP2C19\n    date: 2026-11-01\n", 4, "lies before the plan"),
        ("name: x\ngo_live:\n  - date: 2027-01-04\n", 3, "go_live.gene: is missing"),
        ("name: x\ngo_live:\n  - gene: CYP2D66\n    date: 2027-01-04\n", 3, "unknown gene 'CYP2D66'"),
        ("name: x\nbudget:\n  - per_period: 5\n    facility_id: [H01, H09]\n", 4, "unknown facility 'H09'"),
        ("name: x\nbudget:\n  - per_period: -5\n", 3, "must be an amount of 0 or more"),
        ("name: x\nbudget:\n  - per_period: .nan\n", 3, "must be an amount of 0 or more"),
        ("name: x\nbudget:\n  - per_period: 5\n    site: H01\n", 4, "site: unknown field of budget"),
        ("name: x\nshortage:\n  - drug: aspirin\n    allocation_share: 0.5\n", 3, "unknown drug 'aspirin'"),
        ("name: x\nshortage:\n  - product_id: p\n    allocation_share: 0.5\n", 3, "unknown product 'p'"),
        ("name: x\nshortage:\n  - allocation_share: 0.5\n", 3, "must name either drug or product_id"),
        ("name: x\nshortage:\n  - drug: clopidogrel\n    allocation_share: 1.5\n", 4, "must be a share from 0 to 1"),
        ("name: x\nrelease:\n  - release_id: guidance:y:1\n", 3, "there is no release 'guidance:y:1'"),
        ("name: x\nrelease:\n  - just words\n", 3, "release: must hold fields"),
        ("name: [x]\n", 1, "name: must be one value"),
        ("- name: x\n", 1, "scenario: must hold fields"),
        ("", 1, "is empty"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_field(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(InvalidInput) as told:
        read(tmp_path, text)
    rows = [one for one in str(told.value).splitlines() if said in one]
    assert rows, told.value
    assert f"s.yaml:{line}: " in rows[0]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as told:
        read(tmp_path, "colour: red\nbudget:\n  - per_period: x\n")
    assert len(str(told.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [("name: [x\n", "is not YAML"), (b"name: \xff\n", "is not UTF-8"), ("name: !!python/object x", "go_live")],
)
def test_what_is_no_scenario_is_refused(tmp_path: Path, text: str | bytes, said: str) -> None:
    if said == "go_live":  # a tag is never acted on: the value is text
        assert read(tmp_path, text).name == "x"  # type: ignore[attr-defined]
        return
    with pytest.raises(InvalidInput, match=said):
        read(tmp_path, text)
    with pytest.raises(InvalidInput, match="no such file"):
        read_scenario(tmp_path / "none.yaml", KNOWN)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="larger than"):
        read(tmp_path, "#" * 100_001)


def test_the_example_of_the_page_about_scenarios_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "scenarios.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    kinds = {"guidance:curated:2": "guidance"}
    known = dataclasses.replace(KNOWN, kind_of_release=kinds)
    file = tmp_path / "s.yaml"
    file.write_text(example, encoding="utf-8")
    assert len(read_scenario(file, known).changes) == 5
