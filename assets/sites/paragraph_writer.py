"""Paragraphs by a language model, when a site names one: asked over HTTP, shown only if the check lets them pass."""

import dataclasses
import json
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import httpx2

from forecasting.procurement.explanation.calculation import Document
from forecasting.procurement.explanation.model_paragraph import INSTRUCTIONS, objections, prompt_facts
from warehouse.writer_settings import WriterSettings

MOST_TOKENS = 400
MOST_BYTES = 64 * 1024
MOST_FAILURES = 3
"""After so many unanswered questions in a row nothing more is asked: the endpoint is down or too slow."""

MOST_OBJECTIONS = 3
"""Objections that are kept of a refused text."""

NOT_ASKED = "not asked: the writer had failed several times in a row"


@dataclasses.dataclass(frozen=True)
class ModelParagraph:
    """A line's paragraph by a model; `text` is None where the template's stands, and `problem` says why."""

    text: str | None
    model: str | None
    problem: str | None = None


BY_TEMPLATE = ModelParagraph(None, None)


class _NoAnswer(Exception):
    """The endpoint gave no text."""


def model_paragraphs(documents: Sequence[Document], settings: WriterSettings | None) -> list[ModelParagraph]:
    """The paragraph of each line by the model, in their order; lines beyond the settings' number keep the template's.

    The first documents are the most urgent. Whatever goes wrong is a `problem` of the line, never an error of the run.
    """
    if settings is None:
        return [BY_TEMPLATE] * len(documents)
    paragraphs: list[ModelParagraph] = []
    failures = 0
    headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
    # neither proxies nor credentials of the environment, and no redirects: the named host alone is spoken to
    with httpx2.Client(headers=headers, timeout=settings.timeout_seconds, trust_env=False) as client:
        for document in documents[: settings.lines]:
            if failures >= MOST_FAILURES:
                paragraphs.append(ModelParagraph(None, settings.model, NOT_ASKED))
                continue
            try:
                paragraphs.append(_checked(_ask(client, settings, document), document, settings.model))
                failures = 0
            except _NoAnswer as error:
                paragraphs.append(ModelParagraph(None, settings.model, str(error)))
                failures += 1
    return paragraphs + [BY_TEMPLATE] * (len(documents) - len(paragraphs))


def _checked(text: str, document: Document, model: str) -> ModelParagraph:
    refusals = objections(text, document)
    if not refusals:
        return ModelParagraph(text, model)
    more = f" and {len(refusals) - MOST_OBJECTIONS} more" if len(refusals) > MOST_OBJECTIONS else ""
    return ModelParagraph(None, model, f"refused: {'; '.join(refusals[:MOST_OBJECTIONS])}{more}")


def _ask(client: httpx2.Client, settings: WriterSettings, document: Document) -> str:
    """The model's text; `_NoAnswer` for no answer in time, another status than 200, and what is no completion."""
    try:
        answer = json.loads(_answer(client, settings, _question(settings, document)))
        text = answer["choices"][0]["message"]["content"]
    except httpx2.TimeoutException as error:
        raise _NoAnswer(f"no answer within {settings.timeout_seconds:g} seconds") from error
    except httpx2.HTTPError as error:
        raise _NoAnswer(f"no answer: {type(error).__name__}") from error
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise _NoAnswer("the answer is not a completion in JSON") from error
    if not isinstance(text, str):
        raise _NoAnswer("the answer is not a completion in JSON")
    return text.strip()


def _question(settings: WriterSettings, document: Document) -> dict[str, Any]:
    facts = json.dumps(prompt_facts(document), ensure_ascii=False)
    return {
        "model": settings.model,
        "messages": [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": facts}],
        "temperature": 0,
        "max_tokens": MOST_TOKENS,
        "stream": False,
    }


def _answer(client: httpx2.Client, settings: WriterSettings, question: dict[str, Any]) -> bytes:
    """The body of the answer, of bounded size, within the whole time: a server that drips is cut off."""
    ends = time.monotonic() + settings.timeout_seconds
    body = b""
    with client.stream("POST", f"{settings.url}/chat/completions", json=question) as response:
        if response.status_code != httpx2.codes.OK:
            raise _NoAnswer(f"the answer has status {response.status_code}")
        for part in response.iter_raw():
            body += part
            if len(body) > MOST_BYTES:
                raise _NoAnswer(f"the answer is longer than {MOST_BYTES} bytes")
            if time.monotonic() > ends:
                raise _NoAnswer(f"no answer within {settings.timeout_seconds:g} seconds")
    return body


def urgency_of(document: Document) -> Decimal:
    """How pressing a line is, as its calculation has it."""
    return next(Decimal(step["value"]) for step in document["outlook"] if step["name"] == "urgency")


def writer_summary(paragraphs: Sequence[ModelParagraph]) -> str | None:
    """One sentence on how a run's paragraphs were written; None when no model was asked.

    >>> writer_summary([BY_TEMPLATE]) is None
    True
    >>> writer_summary([ModelParagraph("Order 4 packs.", "m"), ModelParagraph(None, "m", "no answer: ConnectError")])
    'm wrote 1 of 2 paragraphs; elsewhere the template stands: no answer: ConnectError (1)'
    """
    by_model = [paragraph for paragraph in paragraphs if paragraph.model]
    if not by_model:
        return None
    accepted = sum(paragraph.text is not None for paragraph in by_model)
    problems = [paragraph.problem for paragraph in by_model if paragraph.problem]
    kinds = [problem.partition(": ")[0] if problem.startswith("refused") else problem for problem in problems]
    counts = "; ".join(f"{kind} ({kinds.count(kind)})" for kind in dict.fromkeys(kinds))
    rest = f"; elsewhere the template stands: {counts}" if counts else ""
    return f"{by_model[0].model} wrote {accepted} of {len(by_model)} paragraphs{rest}"
