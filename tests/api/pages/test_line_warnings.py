"""What a line says of its genetics beside the numbers: thin evidence, and why a drug is planned without."""

from decimal import Decimal

import pytest
import sqlalchemy as sa

from tests.api.conftest import AS_OF
from warehouse.engine import writing
from warehouse.queries.exports import export_frame, top_recommendations
from warehouse.queries.lines import table

THIN = "CYP2C19: published frequencies stand in for counts of the site's own; worth about 20 people."
BLOCKED = "clopidogrel: guidance g does not cover what p recommends (1 unmapped); planned without genetics"
ELSEWHERE = "clopidogrel: the prevalence of CYP2C19 is unknown at south; planned without genetics"


@pytest.fixture
def told(database):
    lines, problems = table("recommendations"), table("problems")
    row = {"as_of": AS_OF, "stage": "regimens", "asset": "regimen_moves", "subject": "clopidogrel"}
    with writing(database) as connection:
        thin = lines.update().where(lines.c.recommendation_id == "rec-01")
        connection.execute(thin.values(thin_evidence=THIN))
        for number, (site, text) in enumerate((("north", BLOCKED), ("south", ELSEWHERE))):
            about = {"number": number, "facility_id": site, "rule": "guidance_unmapped", "message": text}
            connection.execute(sa.insert(problems), row | about)
    return database


def test_thin_evidence_stands_on_the_worklist_the_lines_page_and_in_the_api(told, signed_in, client, key):
    headers = key("recommendations:read")
    items = client.get("/v1/recommendations?status=proposed", headers=headers).json()["items"]
    assert {one["recommendation_id"]: one["thin_evidence"] for one in items if one["thin_evidence"]} == {"rec-01": THIN}
    browser = signed_in("ben")
    shown = THIN.replace("'", "&#39;")
    worklist = browser.get("/").text
    assert worklist.count("thin genotype evidence") == 1
    assert shown in worklist
    assert shown in browser.get("/recommendations/rec-01").text
    assert "thin genotype evidence" not in browser.get("/recommendations/rec-02").text


def test_why_a_drug_is_planned_without_genetics_stands_on_its_lines_at_that_site(told, signed_in, client, key):
    headers, browser = key("recommendations:read"), signed_in("ben")
    for name, problems in (("rec-02", [BLOCKED]), ("rec-05", [ELSEWHERE]), ("rec-01", [])):
        answer = client.get(f"/v1/recommendations/{name}", headers=headers).json()
        assert answer["problems"] == problems
        html = browser.get(f"/recommendations/{name}").text
        assert [text for text in (BLOCKED, ELSEWHERE) if text in html] == problems
    assert BLOCKED in browser.get("/problems").text


def test_the_line_shows_what_a_model_wrote_and_says_so_and_the_template_where_it_was_refused(
    database, signed_in, client, key
):
    told = table("explanations")
    with writing(database) as connection:
        for name, values in {
            "rec-01": {"written_paragraph": "Order these packs, says the model.", "writer_model": "small-model"},
            "rec-02": {"writer_model": "small-model", "writer_problem": "refused: 7 is not a number"},
        }.items():
            connection.execute(told.update().where(told.c.recommendation_id == name).values(**values))
    browser, headers = signed_in("ben"), key("recommendations:read")
    by = "Written by the model small-model"
    for name, writer, problem in (
        ("rec-01", "model small-model", None),
        ("rec-02", "template", "refused: 7 is not a number"),
        ("rec-03", "template", None),
    ):
        answer = client.get(f"/v1/recommendations/{name}", headers=headers).json()
        assert (answer["paragraph_by"], answer["writer_problem"]) == (writer, problem)
        assert ("says the model" in answer["paragraph"]) is (name == "rec-01")
        assert (by in browser.get(f"/recommendations/{name}").text) is (name == "rec-01")


def test_among_lines_of_equal_harm_the_dearer_one_comes_first_and_an_unknown_price_last(database, signed_in):
    lines = table("recommendations")
    costs = {"rec-03": "9.50", "rec-01": "120", "rec-05": None, "rec-07": "88", "rec-02": "1000"}
    with writing(database) as connection:
        for name, cost in costs.items():
            urgency = 5.0 if name == "rec-02" else 900.0
            values = {"urgency": urgency, "cost": None if cost is None else Decimal(cost)}
            connection.execute(lines.update().where(lines.c.recommendation_id == name).values(**values))
        others = lines.c.recommendation_id.not_in(list(costs))
        connection.execute(lines.update().where(others).values(urgency=0.0))
        shown = export_frame(connection, "recommendations")["recommendation_id"].tolist()
        top = [one["recommendation_id"] for one in top_recommendations(connection, 5)[1]]
    expected = ["rec-01", "rec-07", "rec-03", "rec-05", "rec-02"]
    assert shown[:5] == top == expected
    page = signed_in("ben").get("/").text
    places = [page.index(f"/recommendations/{name}") for name in expected]
    assert places == sorted(places)
    assert "120.00" in page
