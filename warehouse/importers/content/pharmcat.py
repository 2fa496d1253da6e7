"""PharmCAT's prescribing guidance: recommendations of CPIC and DPWG, each with PharmGKB's id.

It comes as a table, as the JSON of one guideline (`guideline` and `recommendations`) or as the JSON of all of them
(`guidelines` with a `version`). The older JSON of annotation groups has no lookup keys and is refused.
"""

import html
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from forecasting.errors import InvalidInput
from warehouse.importers.content.publication import DATE, ContentFiles, Publication, publication
from warehouse.importers.files import header, is_table, read
from warehouse.importers.patient_columns import refuse_patient_columns

PUBLISHER = "PharmCAT"
COLUMNS = ["source", "guideline_version", "recommendation_id", "drugs", "population", "classification"]
COLUMNS += ["lookup_key_json", "text"]
TAG = re.compile(r"<[^>]*>")


def read_files(files: Iterable[Path]) -> ContentFiles:
    """The publications in the files, tables and JSON."""
    content = ContentFiles()
    for file in sorted(files):
        published = content.read(file, _publication, "holds no PharmCAT guidance and was not read")
        content.publications += [published] if published else []
    return content


def _publication(file: Path) -> Publication | None:
    if file.suffix.lower() == ".json":
        return _json(file)
    if not is_table(file):
        raise InvalidInput(f"{file.name}: PharmCAT guidance comes as a CSV table or as JSON")
    names = header(file)
    if not set(names) >= set(COLUMNS):
        return None
    refuse_patient_columns(names, file)
    text = read(file, COLUMNS)
    rows = text.frame.fillna("").apply(lambda values: values.str.strip())
    rows = rows.rename(
        columns={
            "guideline_version": "version",
            "drugs": "drug",
            "lookup_key_json": "lookup_key",
            "text": "recommendation_text",
        }
    )
    for name in ("population", "classification", "recommendation_text"):
        rows[name] = rows[name].mask(rows[name] == "", "not stated")
    rows["drug"] = rows["drug"].str.lower()
    return publication(file, "published_recommendation", PUBLISHER, _date(file.name), rows, text.rejected)


def _json(file: Path) -> Publication:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{file.name}: not a JSON file: {error}") from None
    if not isinstance(document, dict) or not {"guideline", "guidelines"} & set(document):
        raise InvalidInput(f"{file.name}: neither `guideline` nor `guidelines` in it, as PharmCAT's guidance has")
    packages = document.get("guidelines", [document])
    if any("recommendations" not in package for package in packages):
        raise InvalidInput(f"{file.name}: a guideline without `recommendations`: the older layout has no lookup keys")
    rows = [row for package in packages for row in _package_rows(package)]
    if not rows:
        raise InvalidInput(f"{file.name}: no recommendation in it")
    frame = pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1), dtype="str")
    version = _date(str(document.get("version") or "")) or _date(file.name)
    return publication(file, "published_recommendation", PUBLISHER, version, frame)


def _package_rows(package: dict[str, Any]) -> list[dict[str, str]]:
    guideline = package["guideline"]
    return [
        {
            "source": str(guideline["source"]),
            "version": str(guideline.get("version", "")),
            "recommendation_id": str(recommendation["id"]),
            "drug": ";".join(sorted(_names(recommendation) or _names(guideline))),
            "population": _stated(recommendation.get("population")),
            "classification": _stated((recommendation.get("classification") or {}).get("term")),
            "lookup_key": json.dumps(recommendation.get("lookupKey"), ensure_ascii=False),
            "recommendation_text": _stated(_plain((recommendation.get("text") or {}).get("html"))),
        }
        for recommendation in package["recommendations"]
    ]


def _names(item: dict[str, Any]) -> list[str]:
    return [str(chemical["name"]).strip().lower() for chemical in item.get("relatedChemicals") or []]


def _plain(markup: str | None) -> str:
    """The text of a piece of HTML."""
    return " ".join(html.unescape(TAG.sub(" ", markup or "")).split())


def _stated(text: str | None) -> str:
    return (text or "").strip() or "not stated"


def _date(text: str) -> str:
    match = DATE.search(text)
    return match[0] if match else ""
