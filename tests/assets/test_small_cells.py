"""Everything that a network publishes is the same whatever its small cells hold: nobody can work them out."""

import datetime as dt
import json
import re
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from starlette.testclient import TestClient

from api.access.accounts import NewUser, create_user
from api.access.keys import create_api_key
from api.app import create_app
from assets.execute import instance_folder
from forecasting.pharmacogenomics.content import builtin_content
from tests.api.conftest import hidden_token
from warehouse import importers
from warehouse.engine import create_engine, writing
from warehouse.importers.content import releases as content_releases
from warehouse.queries.exports import COLUMNS, export_frame

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NOW = dt.datetime.fromisoformat("2026-11-20T10:00")
CELLS = {"Normal Metabolizer": 212, "Intermediate Metabolizer": 118, "Rapid Metabolizer": 150}
TESTED = 500
"""People of a second panel, the same in both worlds: what is not small there is the complement of what is."""

SECRETS = (3, 9)
PUBLISHED_TABLES = (
    *("prevalence", "genetic_shifts", "forecasts", "reference_demand", "regimen_moves", "recommendations"),
    *("explanations", "problems", "backtest_scores", "rejected_rows", "loads", "representation", "exposure"),
    *("genetic_effects", "genetic_value", "baseline_forecasts", "release_previews", "release_moves", "audit_events"),
)
NOT_TOLD = (
    *("run_id", "sha256", "started_at", "finished_at", "updated_at", "loaded_at", "inputs_sha256"),
    *("at", "created_at", "previous_sha256", "actor", "sequence", "request_id"),
)
"""Times and digests: of whole files, which nobody can turn back without knowing all the rest of them."""


def world(planned: Any, folder: Path, secret: int) -> Any:
    """The planned network, planned again after a site handed in counts of which one is small and one row is broken."""
    folder.mkdir()
    for file in planned.folder.glob("pgx.db*"):
        shutil.copy(file, folder / file.name)
    mine = type(planned)(folder)
    mine.execute("DELETE FROM genotype_counts")
    mine.execute("DELETE FROM rejected_rows")
    mine.execute("DELETE FROM loads")
    cells = CELLS | {"Poor Metabolizer": secret}
    tested = sum(cells.values())
    lines = ["facility_id,gene,result_type,result,count,tested"]
    lines += [f"H01,CYP2C19,phenotype,{name},{count},{tested}" for name, count in cells.items()]
    lines += [
        f"H01,CYP2D6,phenotype,Poor Metabolizer,{secret},{TESTED}",
        f"H01,CYP2D6,phenotype,Normal Metabolizer,{TESTED - secret},{TESTED}",
        f"H02,CYP2C19,phenotype,Poor Metabolizer,{secret},{secret}",
        f"H02,CYP2C19,phenotype,Normal Metabolizer,{secret} people,300",
        f"H02,CYP2C19,phenotype,Rapid Metabolizer,{secret},300,more",
    ]
    path = folder / "genotype_counts.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    engine = create_engine(mine.url)
    report = importers.load(engine, path)
    mine.told = [str(row) for row in report.rejected_rows] + [str(one) for one in report.tables]
    assert report.rejected == 3
    with writing(engine) as connection:
        scopes = ["recommendations:read", "forecasts:read"]
        key = create_api_key(connection, name="stock", scopes=scopes, facility_ids=None, expires_at=None, now=NOW)
    release = reference_release(engine)
    mine.run()
    mine.answers = answers(engine, key)
    mine.pages = pages(engine, release)
    with engine.connect() as connection:
        mine.exports = {what: export_frame(connection, what).to_csv() for what in COLUMNS}
    engine.dispose()
    return mine


def answers(engine: Any, key: str) -> list[str]:
    """What the API says of prevalence, forecasts and every line."""
    client = TestClient(create_app(engine), base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {key}"})
    found = []
    for path in ("/v1/prevalence", "/v1/forecasts", "/v1/recommendations?status=proposed"):
        cursor = ""
        while cursor is not None:
            more = f"{'&' if '?' in path else '?'}limit=500" + (f"&cursor={cursor}" if cursor else "")
            body = client.get(path + more).raise_for_status().json()
            found.append(json.dumps(body["items"]))
            cursor = body["next_cursor"]
    lines = client.get("/v1/recommendations?status=proposed&limit=500").json()["items"]
    ids = [line["recommendation_id"] for line in lines]
    return found + [client.get(f"/v1/recommendations/{one}").raise_for_status().text for one in ids]


def reference_release(engine: Any) -> str:
    """A release that changes a row, so that there is something to preview."""
    rows = builtin_content().guidance.copy()
    rows.loc[(rows["drug"] == "clopidogrel") & (rows["action"] == "alternative"), "action"] = "standard"
    with writing(engine) as connection:
        return content_releases.store_release(connection, "guidance", "curated", "1", rows)


def pages(engine: Any, release: str) -> list[str]:
    """Every page and what else a signed-in person of every site can get: orders' documents, audit trail, refusals."""
    with writing(engine) as connection:
        create_user(connection, NewUser("ada", "Ada", "admin", "correct horse battery"), now=NOW)
    browser = TestClient(create_app(engine), base_url="http://localhost")
    form = {"name": "ada", "password": "correct horse battery"}
    form["csrf_token"] = hidden_token(browser.get("/sign-in").text)
    browser.post("/sign-in", data=form)
    token = {"X-CSRF-Token": browser.get("/v1/session").json()["csrf_token"]}
    lines = browser.get("/v1/recommendations?status=proposed&limit=500").json()["items"]
    lines = sorted(lines, key=lambda line: (line["facility_id"], line["product_id"]))
    found = [browser.get(path).text for path in ("/", "/problems", "/releases", f"/releases/{release}")]
    found += [browser.get(f"/recommendations/{line['recommendation_id']}").text for line in lines]
    found += [browser.get(f"/v1/guideline-releases/{release}/{tail}").text for tail in ("diff", "impact")]
    found += [browser.get(path).text for path in ("/v1/prevalence?gene=CYP2D6&count=3", "/v1/forecasts?tested=500")]
    decision = {"kind": "approve", "version": 1}
    for line in lines[:5]:
        address = f"/v1/recommendations/{line['recommendation_id']}/decision"
        browser.post(address, json=decision, headers=token)
    browser.post("/v1/order-exports", json={}, headers=token | {"Idempotency-Key": "small-cells"})
    orders = browser.get("/v1/orders").json()["items"]
    kinds = ("csv", "fhir-r4b", "fhir-r5", "x12-850")
    found += [
        browser.get(f"/v1/orders/{one['order_number']}/document?format={kind}").text for one in orders for kind in kinds
    ]
    found += [browser.get("/orders").text, browser.get("/v1/decisions").text]
    return [timeless(text) for text in found]


def timeless(text: str) -> str:
    """The text without tokens, request ids and moments, which differ between any two readings."""
    text = re.sub(r'(name="(?:csrf_token|idempotency_key)" value=")[^"]*', r"\1", text)
    text = re.sub(r'"(request_id|updated_at|decided_at|created_at|loaded_at)": ?"[^"]*"', r'"\1"', text)
    text = re.sub(r"\b\d{1,2} [A-Z][a-z]{2} \d{4}, \d\d:\d\d UTC", "MOMENT", text)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.]*Z?|\b\d{6,8}\*\d{4}\b", "MOMENT", text)


def metadata(planned: Any) -> list[str]:
    """What the Dagster UI shows of the newest run: the metadata of every materialisation and check."""
    with dg.DagsterInstance.from_config(str(instance_folder(planned.folder))) as instance:
        (run,) = instance.get_runs(limit=1)
        events = [one.dagster_event for one in instance.all_logs(run.run_id) if one.dagster_event]
    told = []
    for event in events:
        if event.is_step_materialization:
            shown = event.step_materialization_data.materialization.metadata
            told.append(f"{event.asset_key} {sorted((name, str(value.value)) for name, value in shown.items())}")
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            one = event.asset_check_evaluation_data
            told.append(f"{one.check_name} {sorted((name, str(value.value)) for name, value in one.metadata.items())}")
    return told


@pytest.fixture(scope="module")
def worlds(planned: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folder = tmp_path_factory.mktemp("worlds")
    return [world(planned, folder / str(secret), secret) for secret in SECRETS]


def comparable(text: str, planned: Any) -> str:
    """The text with the run's and the lines' names in place of their digests, which are of whole files."""
    for run_id in planned.table("runs")["run_id"]:
        text = text.replace(run_id, "RUN")
    text = re.sub(r"\b[0-9a-f]{64}\b", "DIGEST", text)
    text = re.sub(r"key:[0-9a-f]{12}\b", "KEY", text)
    for line in planned.table("recommendations").itertuples():
        text = text.replace(line.recommendation_id, f"{line.status} {line.facility_id} {line.product_id}")
    return text


def test_exports_and_api_answers_are_the_same_for_every_small_count(worlds: list[Any]) -> None:
    for what in COLUMNS:
        first, second = (sorted(comparable(mine.exports[what], mine).splitlines()) for mine in worlds)
        assert [line.partition(",")[2] for line in first] == [line.partition(",")[2] for line in second]
    first, second = (sorted(_items([comparable(text, mine) for text in mine.answers])) for mine in worlds)
    assert len(first) > 100
    assert first == second


def _items(answers: list[str]) -> list[str]:
    """Each thing that is told, without its time of writing."""
    documents = [json.loads(text) for text in answers]
    items = [item for one in documents for item in (one if isinstance(one, list) else [one])]
    return [json.dumps({name: value for name, value in item.items() if name not in NOT_TOLD}) for item in items]


def test_tables_that_pages_show_are_the_same_for_every_small_count(worlds: list[Any]) -> None:
    for name in PUBLISHED_TABLES:
        texts = []
        for mine in worlds:
            frame = mine.table(name)
            shown = frame.drop(columns=[one for one in NOT_TOLD if one in frame.columns])
            lines = comparable(shown.to_csv(index=False), mine).splitlines()
            # lists within a field stand in the order of digests
            texts.append(sorted(sorted(line.split('""')) for line in lines))
        assert texts[0] == texts[1], name
    assert worlds[0].told == worlds[1].told


def test_the_dagster_ui_shows_the_same_for_every_small_count(worlds: list[Any]) -> None:
    first, second = ([comparable(text, mine) for text in metadata(mine)] for mine in worlds)
    assert len(first) > 20
    assert first == second


def test_pages_documents_and_refusals_are_the_same_for_every_small_count(worlds: list[Any]) -> None:
    first, second = ([comparable(text, mine) for text in mine.pages] for mine in worlds)
    assert len(first) > 30
    for one, other in zip(first, second, strict=True):
        assert sorted(one.splitlines()) == sorted(other.splitlines())


def test_stored_counts_hold_no_small_cell(worlds: list[Any]) -> None:
    for mine in worlds:
        stored = mine.table("genotype_counts")
        assert stored.set_index("result").loc["Poor Metabolizer", "count"].isna().all()
        assert ((stored["count"].isna()) | (stored["count"] >= 11)).all()
        assert (stored["tested"] >= 11).all()
