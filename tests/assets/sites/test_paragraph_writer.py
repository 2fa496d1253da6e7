"""Paragraphs by a model behind a real HTTP server that sometimes lies: what passes is shown, else the template."""

import contextlib
import json
import time

import pandas as pd
import pytest

from assets.sites.paragraph_writer import MOST_BYTES, NOT_ASKED, model_paragraphs, writer_summary
from forecasting.errors import InvalidInput
from forecasting.procurement.explanation.paragraph import render_paragraph
from tests.api.webhooks.receiver import Receiver, answer
from warehouse.writer_settings import WriterSettings, redacted


def honest(question):
    """An honest paragraph, from nothing but what the model was told."""
    told = json.loads(question["messages"][1]["content"])
    numbers = {one["name"]: one["value"] for one in told["numbers"]}
    return (
        f"Order {numbers['packs']} packs of {told['drug']} {told['strength']} by {told['order_by']}, which is "
        f"{numbers['quantity']} dose units. Until the next order arrives {numbers['expected_demand']} are expected to "
        f"be used. Without this order the chance to run out is {numbers['stockout_probability_before']}, with it "
        f"{numbers['stockout_probability_after']}."
    )


def completion(text):
    return json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}).encode()


def give(handler, body, status=200, kind="application/json"):
    with contextlib.suppress(OSError):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


def drip(handler):
    """Goes on for ever, a byte at a time: every single wait is short."""
    with contextlib.suppress(OSError):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(60):
            handler.wfile.write(b"1\r\n \r\n")
            handler.wfile.flush()
            time.sleep(0.1)


@pytest.fixture
def endpoint():
    with Receiver().running() as server:
        yield server


@pytest.fixture
def settings(endpoint):
    url = endpoint.url.removesuffix("/hook") + "/v1"
    return WriterSettings(url, "small-model", "sk-secret", timeout_seconds=1.0)


@pytest.fixture(scope="module")
def documents(planned):
    stored = planned.table("explanations")
    return [
        json.loads(text) | {"recommendation_id": name}
        for text, name in zip(stored["document"], stored["recommendation_id"], strict=True)
    ]


def lying(change):
    """A server that changes an honest text."""
    return lambda handler, question: give(handler, completion(change(honest(question))))


def told_numbers(question):
    return {one["name"]: one["value"] for one in json.loads(question["messages"][1]["content"])["numbers"]}


LIES = {
    "wrong number": (lying(lambda text: text.replace("Order ", "Order 9")), "refused: 9"),
    "invented drug": (lying(lambda text: text + " It replaces zyprexolin."), "refused: 'replaces'"),
    "swapped date": (lying(lambda text: text.replace("2026-", "2027-")), "refused: 2027-"),
    "advice": (lying(lambda text: text + " You should halve the dose."), "refused: 'You'"),
    "HTML": (lying(lambda text: f"<p>{text}</p>"), "refused: it holds characters"),
    "empty": (lying(lambda text: ""), "refused: it is 0 characters long"),
    "endless": (lying(lambda text: text * 20), "refused: it is"),
    "page": (lambda handler, _: give(handler, b"<html>busy</html>", kind="text/html"), "not a completion in JSON"),
    "500": (lambda handler, _: give(handler, b"{}", status=500), "the answer has status 500"),
    "redirect": (
        lambda handler, _: answer(handler, 307, Location="http://127.0.0.1:9/v1"),
        "the answer has status 307",
    ),
    "slow": (lambda handler, _: time.sleep(3), "no answer within 1 seconds"),
    "dripping": (lambda handler, _: drip(handler), "no answer within 1 seconds"),
    "truncated": (lambda handler, question: give(handler, completion(honest(question))[:-9]), "not a completion"),
    "no choices": (lambda handler, _: give(handler, b'{"choices": []}'), "not a completion in JSON"),
    "a number": (lambda handler, _: give(handler, completion(7)), "not a completion in JSON"),
    "deep": (lambda handler, _: give(handler, b"[" * 20_000), "not a completion in JSON"),
    "huge": (lambda handler, _: give(handler, b" " * (MOST_BYTES + 1)), f"longer than {MOST_BYTES} bytes"),
    "hangs up": (lambda handler, _: handler.connection.close(), "no answer: "),
}


def behave(endpoint, act):
    endpoint.behave = lambda handler: act(handler, json.loads(endpoint.requests[-1][2]))


def test_honest_text_is_shown_and_the_question_carries_the_calculation_alone(endpoint, settings, documents):
    behave(endpoint, lying(lambda text: text))
    [written] = model_paragraphs(documents[:1], settings)
    path, headers, body = endpoint.requests[0]
    assert written.problem is None
    assert written.text.startswith(f"Order {documents[0]['result']['packs']} packs")
    assert (path, headers["Authorization"]) == ("/v1/chat/completions", "Bearer sk-secret")
    question = json.loads(body)
    assert (question["model"], question["temperature"], question["stream"]) == ("small-model", 0, False)
    assert question["max_tokens"] <= 500
    item = documents[0]["item"]
    assert not [name for name in ("facility_id", "product_id", "supplier_id") if str(item[name]) in body.decode()]


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_or_a_failure_leaves_the_template_and_says_why(endpoint, settings, documents, lie):
    act, problem = LIES[lie]
    behave(endpoint, act)
    began = time.monotonic()
    [written] = model_paragraphs(documents[:1], settings)
    assert written.text is None
    assert problem in written.problem
    assert "sk-secret" not in written.problem
    assert time.monotonic() - began < 20


def test_an_endpoint_that_is_down_is_asked_three_times_and_not_for_every_line(settings, documents, endpoint):
    behave(endpoint, lambda handler, _: give(handler, b"", status=503))
    written = model_paragraphs(documents[:6], settings)
    assert len(endpoint.requests) == 3
    assert [one.problem for one in written[3:]] == [NOT_ASKED] * 3
    assert writer_summary(written) == (
        "small-model wrote 0 of 6 paragraphs; elsewhere the template stands: the answer has status 503 (3); "
        f"{NOT_ASKED} (3)"
    )


def test_an_endpoint_that_lies_now_and_then_writes_what_is_honest(endpoint, settings, documents):
    behave(
        endpoint,
        lambda handler, question: (lying(str) if len(endpoint.requests) % 2 else LIES["500"][0])(handler, question),
    )
    written = model_paragraphs(documents[:6], settings)
    assert [one.text is not None for one in written] == [True, False] * 3


def test_only_the_most_urgent_lines_are_written_and_none_without_a_setting(endpoint, settings, documents):
    behave(endpoint, lying(lambda text: text))
    few = WriterSettings(settings.url, "m", lines=2)
    assert [one.model for one in model_paragraphs(documents[:4], few)] == ["m", "m", None, None]
    assert [one.model for one in model_paragraphs(documents[:4], None)] == [None] * 4
    assert len(endpoint.requests) == 2


GOOD = {"PGX_SUPPLY_WRITER_URL": "https://models.example/v1/", "PGX_SUPPLY_WRITER_MODEL": "m"}
GOOD |= {"PGX_SUPPLY_WRITER_HOSTS": "models.example", "PGX_SUPPLY_WRITER_API_KEY": "sk-secret"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"PGX_SUPPLY_WRITER_MODEL": ""}, "WRITER_MODEL must be too"),
        ({"PGX_SUPPLY_WRITER_HOSTS": ""}, "models.example:443 is not among the hosts"),
        ({"PGX_SUPPLY_WRITER_HOSTS": "example"}, "not among the hosts"),
        ({"PGX_SUPPLY_WRITER_URL": "https://models.example:8443/v1"}, None),
        ({"PGX_SUPPLY_WRITER_URL": "http://models.example/v1"}, "must be https"),
        ({"PGX_SUPPLY_WRITER_URL": "file:///etc/passwd"}, "must be https"),
        ({"PGX_SUPPLY_WRITER_URL": "https://u:p@models.example/v1"}, "must hold no user"),
        ({"PGX_SUPPLY_WRITER_URL": "https://models.example:x/v1"}, "WRITER_URL"),
        ({"PGX_SUPPLY_WRITER_TIMEOUT_SECONDS": "0"}, "from 1 to 300"),
        ({"PGX_SUPPLY_WRITER_LINES": "many"}, "whole number"),
    ],
)
def test_a_writer_that_cannot_be_used_is_refused_with_the_setting_named(changed, told):
    if told is None:
        assert WriterSettings.from_environment(GOOD | changed).url == changed["PGX_SUPPLY_WRITER_URL"]
        return
    with pytest.raises(InvalidInput, match=told) as raised:
        WriterSettings.from_environment(GOOD | changed)
    assert "sk-secret" not in str(raised.value)


def test_the_writer_is_off_by_default_and_its_key_is_never_shown():
    assert WriterSettings.from_environment({}) is None
    found = WriterSettings.from_environment(GOOD)
    assert found.url == "https://models.example/v1"
    assert "sk-secret" not in f"{found!r} {redacted(GOOD)}"


@pytest.mark.slow
def test_a_run_stores_both_paragraphs_and_only_the_models_differs(endpoint, copied, planned, monkeypatch):
    behave(
        endpoint, lambda handler, q: (lying(str) if len(endpoint.requests) % 3 else LIES["wrong number"][0])(handler, q)
    )
    mine = copied()
    for table in ("explanations", "recommendations"):
        mine.execute(f"DELETE FROM {table}")
    url = endpoint.url.removesuffix("/hook")
    monkeypatch.setenv("PGX_SUPPLY_WRITER_URL", url)
    monkeypatch.setenv("PGX_SUPPLY_WRITER_MODEL", "small-model")
    monkeypatch.setenv("PGX_SUPPLY_WRITER_HOSTS", url.removeprefix("http://"))
    monkeypatch.setenv("PGX_SUPPLY_WRITER_LINES", "9")
    mine.run()
    names = ["recommendation_id", "document", "paragraph"]
    stored, before = (
        one.table("explanations").sort_values("recommendation_id", ignore_index=True) for one in (mine, planned)
    )
    pd.testing.assert_frame_equal(stored[names], before[names])
    asked = stored[stored["writer_model"].notna()]
    assert (len(asked), asked["written_paragraph"].notna().sum(), asked["writer_problem"].notna().sum()) == (9, 6, 3)
    lines = mine.table("recommendations").set_index("recommendation_id")
    assert (
        lines.loc[asked["recommendation_id"], "urgency"].min()
        >= lines["urgency"].drop(asked["recommendation_id"]).max()
    )
    assert all(stored["paragraph"] == [render_paragraph(json.loads(one)) for one in stored["document"]])
    problems = mine.table("problems")
    [told] = problems.loc[problems["rule"] == "paragraphs_by_a_model", "message"]
    assert told == "small-model wrote 6 of 9 paragraphs; elsewhere the template stands: refused (3)"
    mine.run()
    assert len(endpoint.requests) == 9
