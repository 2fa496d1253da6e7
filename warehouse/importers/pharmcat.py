"""PharmCAT's prescribing guidance as a table: recommendations of CPIC and DPWG, each with PharmGKB's id."""

from collections.abc import Iterable
from pathlib import Path

from forecasting.errors import InvalidInput
from warehouse.importers.files import header, is_table, read
from warehouse.importers.patient_columns import refuse_patient_columns
from warehouse.importers.publication import DATE, ContentFiles, Publication, publication

PUBLISHER = "PharmCAT"
COLUMNS = ["source", "guideline_version", "recommendation_id", "drugs", "population", "classification"]
COLUMNS += ["lookup_key_json", "text"]


def read_files(files: Iterable[Path]) -> ContentFiles:
    """The publications in the files; PharmCAT's JSON is refused, its layout is not a documented interface."""
    found = ContentFiles()
    for file in sorted(files):
        try:
            one = _publication(file)
        except InvalidInput as error:
            found.refused.append((file, str(error)))
            continue
        if one is None:
            found.messages.append(f"{file.name} holds no PharmCAT guidance and was not read")
        else:
            found.publications.append(one)
    return found


def _publication(file: Path) -> Publication | None:
    if not is_table(file):
        raise InvalidInput(f"{file.name}: PharmCAT guidance is read as a CSV table only")
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
    dated = DATE.search(file.name)
    return publication(file, "published_recommendation", PUBLISHER, dated[0] if dated else "", rows, text.rejected)
