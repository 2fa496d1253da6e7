"""Paragraphs by a language model, when a site names one: asked over HTTP, shown only if the check lets them pass."""

import dataclasses
import json
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import httpx

from forecasting.procurement.explanation.calculation import Document
from forecasting.procurement.explanation.model_paragraph import INSTRUCTIONS, objections, prompt_facts
from warehouse.writer_settings import WriterSettings

MOST_TOKENS = 400
MOST_BYTES = 64 * 1024
MOST_FAILURES = 3
"""After so many unanswered questions in a row nothing more is asked: the endpoint is down or too slow."""

MOST_TOLD = 3
"""Objections that are kept of a refused text."""

NOT_ASKED = "not asked: the writer had failed several times in a row"


@dataclasses.dataclass(frozen=True)
class Written:
    """A line's paragraph by a model; `text` is None where the template's stands, and `problem` says why."""

    text: str | None
    model: str | None
    problem: str | None = None


BY_TEMPLATE = Written(None, None)


class _NotWritten(Exception):
    """The endpoint gave no text."""


def write(documents: Sequence[Document], settings: WriterSettings | None) -> list[Written]:
    """What a model wrote of each line, in their order; beyond the settings' number of lines the template is left to it.

    The first documents are the most urgent. Whatever goes wrong is a `problem` of the line, never an error of the run.
    """
    if settings is None:
        return [BY_TEMPLATE] * len(documents)
    found: list[Written] = []
    failures = 0
    headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
    # neither proxies nor credentials of the environment, and no redirects: the named host alone is spoken to
    with httpx.Client(headers=headers, timeout=settings.timeout_seconds, trust_env=False) as client:
        for document in documents[: settings.lines]:
            if failures >= MOST_FAILURES:
                found.append(Written(None, settings.model, NOT_ASKED))
                continue
            try:
                found.append(_checked(_ask(client, settings, document), document, settings.model))
                failures = 0
            except _NotWritten as error:
                found.append(Written(None, settings.model, str(error)))
                failures += 1
    return found + [BY_TEMPLATE] * (len(documents) - len(found))


def _checked(text: str, document: Document, model: str) -> Written:
    wrong = objections(text, document)
    if not wrong:
        return Written(text, model)
    more = f" and {len(wrong) - MOST_TOLD} more" if len(wrong) > MOST_TOLD else ""
    return Written(None, model, f"refused: {'; '.join(wrong[:MOST_TOLD])}{more}")


def _ask(client: httpx.Client, settings: WriterSettings, document: Document) -> str:
    """The model's text; `_NotWritten` for no answer in time, another status than 200, and what is no completion."""
    try:
        answer = json.loads(_answer(client, settings, _question(settings, document)))
        text = answer["choices"][0]["message"]["content"]
    except httpx.TimeoutException as error:
        raise _NotWritten(f"no answer within {settings.timeout_seconds:g} seconds") from error
    except httpx.HTTPError as error:
        raise _NotWritten(f"no answer: {type(error).__name__}") from error
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise _NotWritten("the answer is not a completion in JSON") from error
    if not isinstance(text, str):
        raise _NotWritten("the answer is not a completion in JSON")
    return text.strip()


def _question(settings: WriterSettings, document: Document) -> dict[str, Any]:
    told = json.dumps(prompt_facts(document), ensure_ascii=False)
    return {
        "model": settings.model,
        "messages": [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": told}],
        "temperature": 0,
        "max_tokens": MOST_TOKENS,
        "stream": False,
    }


def _answer(client: httpx.Client, settings: WriterSettings, question: dict[str, Any]) -> bytes:
    """The body of the answer, of bounded size, within the whole time: a server that drips is cut off."""
    ends = time.monotonic() + settings.timeout_seconds
    body = b""
    with client.stream("POST", f"{settings.url}/chat/completions", json=question) as response:
        if response.status_code != httpx.codes.OK:
            raise _NotWritten(f"the answer has status {response.status_code}")
        for part in response.iter_raw():
            body += part
            if len(body) > MOST_BYTES:
                raise _NotWritten(f"the answer is longer than {MOST_BYTES} bytes")
            if time.monotonic() > ends:
                raise _NotWritten(f"no answer within {settings.timeout_seconds:g} seconds")
    return body


def urgency_of(document: Document) -> Decimal:
    """How pressing a line is, as its calculation has it."""
    return next(Decimal(one["value"]) for one in document["outlook"] if one["name"] == "urgency")


def told_of_run(written: Sequence[Written]) -> str | None:
    """One sentence on how a run's paragraphs were written; None when no model was asked.

    >>> told_of_run([BY_TEMPLATE]) is None
    True
    >>> told_of_run([Written("Order 4 packs.", "m"), Written(None, "m", "no answer: ConnectError")])
    'm wrote 1 of 2 paragraphs; elsewhere the template stands: no answer: ConnectError (1)'
    """
    asked = [one for one in written if one.model]
    if not asked:
        return None
    wrote = sum(one.text is not None for one in asked)
    kinds = [
        one.problem.partition(": ")[0] if one.problem.startswith("refused") else one.problem
        for one in asked
        if one.problem
    ]
    told = "; ".join(f"{kind} ({kinds.count(kind)})" for kind in dict.fromkeys(kinds))
    rest = f"; elsewhere the template stands: {told}" if told else ""
    return f"{asked[0].model} wrote {wrote} of {len(asked)} paragraphs{rest}"
