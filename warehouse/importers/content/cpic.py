"""CPIC's content: allele frequencies and functions, diplotypes, recommendations; a file's kind is known by its header.

Tables are CSV files; recommendations also come as the API's JSON (`recommendation.json` with `drug.json` beside it).
A diplotype table is one gene's, named after it. Allele frequencies are the group means of CPIC's tables: a group
without a row has not been reported, which is not zero.
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from forecasting.errors import InvalidInput
from warehouse.importers.content.publication import ContentFiles, Publication, newest_date, publication
from warehouse.importers.files import header, is_table, read
from warehouse.importers.patient_columns import refuse_patient_columns

PUBLISHER = "CPIC"
FREQUENCY_COLUMNS = ["gene", "allele", "population_group", "frequency", "n_subjects", "cpic_table_last_change"]
FUNCTION_COLUMNS = ["gene", "allele", "clinical_function", "activity_value", "data_version"]
DIPLOTYPE_COLUMNS = ["diplotype", "activity_score", "phenotype", "lookup_key"]
RECOMMENDATION_COLUMNS = [
    *("recommendation_id", "version", "drug", "population", "classification", "lookup_key_json", "recommendation_text")
]
RECOMMENDATION_KEYS = {"id", "drugid", "drugrecommendation", "lookupkey", "population", "classification", "version"}
DRUG_KEYS = {"drugid", "name", "rxnormid"}


def read_files(files: Iterable[Path]) -> ContentFiles:
    """The publications in the files; API answers come before tables that hold the same recommendations."""
    content = ContentFiles()
    files = sorted(files, key=lambda file: (file.suffix != ".json", _variant(file), str(file)))
    drugs = {key: name for file in files for key, name in _drug_names(file).items()}
    seen: set[str] = set()
    for file in files:
        published = content.read(
            file, lambda path: _publication(path, drugs), "holds no content that is kept and was not read"
        )
        if published is None:
            continue
        subject = published.kind + (":" + _gene(file) if published.kind == "diplotype" else "")
        if subject in seen and published.kind in ("diplotype", "published_recommendation"):
            content.messages.append(f"{file.name} was not read: another file here holds the same table")
            continue
        seen.add(subject)
        content.publications.append(published)
    return content


def _publication(file: Path, drugs: dict[str, str]) -> Publication | None:
    if file.suffix.lower() == ".json":
        return _recommendations_json(file, drugs)
    names = set(header(file))
    for columns, reader in TABLES:
        if names >= set(columns):
            refuse_patient_columns(names, file)
            return reader(file)
    return None


def _frequencies(file: Path) -> Publication:
    text = read(file, [*FREQUENCY_COLUMNS, "method"])
    rows = text.frame.rename(columns={"population_group": "biogeographic_group", "cpic_table_last_change": "version"})
    inferred = rows.pop("method") == "inferred_1_minus_sum" if "method" in rows else pd.Series(False, index=rows.index)
    source = inferred.map(
        {
            True: "CPIC allele frequency table (reference allele: 1 less the others)",
            False: "CPIC allele frequency table",
        }
    )
    version = newest_date(rows["version"])
    return publication(file, "allele_frequency", PUBLISHER, version, rows.assign(source=source), text.rejected)


def _functions(file: Path) -> Publication:
    text = read(file, FUNCTION_COLUMNS)
    rows = text.frame.rename(columns={"data_version": "version"})
    rows = rows.assign(source="CPIC allele functionality table")
    version = newest_date(rows["version"])
    return publication(file, "allele_function", PUBLISHER, version, rows, text.rejected)


def _diplotypes(file: Path) -> Publication:
    text = read(file, DIPLOTYPE_COLUMNS)
    rows = text.frame.assign(gene=_gene(file))
    return publication(file, "diplotype", PUBLISHER, "", rows, text.rejected)


def _recommendations(file: Path) -> Publication:
    text = read(file, RECOMMENDATION_COLUMNS)
    rows = text.frame.rename(columns={"lookup_key_json": "lookup_key"})
    return publication(file, "published_recommendation", PUBLISHER, "", _tidy(rows), text.rejected)


def _recommendations_json(file: Path, drugs: dict[str, str]) -> Publication | None:
    rows = _json_rows(file)
    if not rows or not set(rows[0]) >= RECOMMENDATION_KEYS:
        return None
    unknown = sorted({str(row["drugid"]) for row in rows} - set(drugs))
    if unknown:
        raise InvalidInput(f"{file.name}: the drug of {', '.join(unknown[:3])} is unknown: put drug.json beside it")
    frame = pd.DataFrame(
        {
            "recommendation_id": [str(row["id"]) for row in rows],
            "version": [str(row["version"]) for row in rows],
            "drug": [drugs[row["drugid"]] for row in rows],
            "population": [row["population"] for row in rows],
            "classification": [row["classification"] for row in rows],
            "lookup_key": [json.dumps(row["lookupkey"], ensure_ascii=False) for row in rows],
            "recommendation_text": [row["drugrecommendation"] for row in rows],
        },
        index=pd.RangeIndex(1, len(rows) + 1),
        dtype="str",
    )
    return publication(file, "published_recommendation", PUBLISHER, "", _tidy(frame))


def _tidy(rows: pd.DataFrame) -> pd.DataFrame:
    text = {name: rows[name].fillna("").str.strip() for name in ("population", "classification", "recommendation_text")}
    # a blank would be stored as missing: this text stands for what the publisher left out
    filled = {name: values.mask(values == "", "not stated") for name, values in text.items()}
    return rows.assign(drug=rows["drug"].str.strip().str.lower(), source=PUBLISHER, **filled)


def _drug_names(file: Path) -> dict[str, str]:
    if file.suffix.lower() != ".json":
        return {}
    try:
        rows = _json_rows(file)
    except InvalidInput:
        return {}  # refused with its reason when it is read
    return {row["drugid"]: row["name"] for row in rows if set(row) >= DRUG_KEYS}


def _json_rows(file: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{file.name}: not a JSON file: {error}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidInput(f"{file.name}: not a list of objects as the CPIC API answers")
    return rows


def _gene(file: Path) -> str:
    return file.name.split(".")[0]


def _variant(file: Path) -> bool:
    # GENE.variant.csv is another version of GENE.csv
    return is_table(file) and bool(re.search(r"\.", file.name.lower().removesuffix(".gz").removesuffix(".csv")))


TABLES: list[tuple[list[str], Callable[[Path], Publication]]] = [
    (FREQUENCY_COLUMNS, _frequencies),
    (FUNCTION_COLUMNS, _functions),
    (RECOMMENDATION_COLUMNS, _recommendations),
    (DIPLOTYPE_COLUMNS, _diplotypes),
]
