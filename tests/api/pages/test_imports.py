"""Import reports of real loads: counts, refused rows with place and rule, and nothing that looks like a person's."""

import csv
import io

import pytest
import sqlalchemy as sa

from warehouse.importers import load
from warehouse.importers.patient_values import looks_personal
from warehouse.queries.lines import table

LINES = [
    "facility_id,product_id,period_start,quantity,patients",
    "north,clopidogrel-75,2026-11-16,12,",
    "north,clopidogrel-75,2026-11-09,=HYPERLINK(),",
    "nowhere,clopidogrel-75,2026-11-09,3,",
    '"Smith, Jane",clopidogrel-75,2026-11-09,3,',
    "south,clopidogrel-75,2026-11-09,4,three",
]


@pytest.fixture
def loaded(database, tmp_path):
    """The number of a real load with one accepted and four refused rows."""
    file = tmp_path / "dispensing.csv"
    file.write_text("\n".join(LINES) + "\n")
    load(database, file)
    with database.connect() as connection:
        return connection.scalar(sa.select(sa.func.max(table("loads").c.load_id)))


def test_a_load_is_listed_with_what_became_of_its_rows_and_who_loaded_it(loaded, signed_in):
    html = signed_in("vera").get("/imports").text
    assert html.index("dispensing.csv") < html.index("products.csv")
    row = html[html.index(f"/imports/{loaded}") :]
    assert "command line" in row[: row.index("</tr>")]
    only = signed_in("vera").get("/imports?show=refused").text
    assert "dispensing.csv" in only


def test_what_a_system_pushed_names_its_key(loaded, client, key, signed_in):
    row = {"facility_id": "north", "product_id": "warfarin-1", "quantity": 5, "counted_at": "2026-11-23T08:00:00"}
    headers = key("stock:write") | {"Idempotency-Key": "one"}
    assert client.post("/v1/stock-snapshots", json={"rows": [row]}, headers=headers).status_code == 200
    html = signed_in("vera").get("/imports").text
    first = html[html.index("<tbody") :]
    assert "robot" in first[: first.index("</tr>")]


def test_refused_rows_name_line_column_value_and_rule_but_no_person(loaded, signed_in):
    html = signed_in("vera").get(f"/imports/{loaded}").text
    assert "=HYPERLINK()" in html
    assert "must be a facility_id of facilities" in html
    assert "Smith" not in html
    assert "looks like a person" in html
    assert "three" not in html  # a number of people may be a small one


def test_the_csv_is_safe_in_a_spreadsheet_and_says_the_same(loaded, signed_in):
    answer = signed_in("vera").get(f"/imports/{loaded}/refused.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["file", "line", "column", "value", "rule"]
    assert [row[1] for row in rows[1:]] == ["3", "4", "5", "6"]
    assert rows[1][2:4] == ["quantity", "'=HYPERLINK()"]
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    assert "Smith" not in answer.text


def test_the_same_file_again_shows_the_rows_that_the_first_load_listed(loaded, database, tmp_path, signed_in):
    load(database, tmp_path / "dispensing.csv")
    assert "=HYPERLINK()" in signed_in("vera").get(f"/imports/{loaded + 1}").text


def test_who_is_bound_to_a_site_reads_no_file_of_the_network(loaded, signed_in, client):
    nora = signed_in("nora")
    assert "dispensing.csv" not in nora.get("/imports").text
    assert nora.get(f"/imports/{loaded}").status_code == 403
    assert nora.get(f"/imports/{loaded}/refused.csv").status_code == 403
    assert client.get(f"/imports/{loaded}").headers["location"].startswith("/sign-in")
    for number in (9999, 2**40):
        assert signed_in("vera").get(f"/imports/{number}").status_code == 404


@pytest.mark.parametrize(
    "value", ["jane@example.org", "123-45-6789", "943 476 5919", "Smith, Jane", "dr. jones", "1961-04-03", "3.4.1961"]
)
def test_what_looks_like_a_person_s(value):
    assert looks_personal(value)


@pytest.mark.parametrize(
    "value", [None, "", "H01", "clopidogrel-75", "2026-11-09", "12.5", "-3", "1,200", "n/a", "12345678"]
)
def test_what_does_not(value):
    assert not looks_personal(value)
