"""Curated tables: structured knowledge that people wrote, in the layout of the tables that come with the program.

A file is named after its kind (`guidance.csv`, `default_alternative.csv`), or lies in a folder that is.
"""

from collections.abc import Iterable
from pathlib import Path

from warehouse.importers.checking import refuse_missing_columns
from warehouse.importers.content.publication import ContentFiles, Publication, newest_date, publication
from warehouse.importers.content.releases import AS_JSON, TABLE_OF_KIND, table_of
from warehouse.importers.files import header, is_table, read, stem
from warehouse.importers.patient_columns import refuse_patient_columns

PUBLISHER = "curated"
PUBLISHED = "published_recommendation"
KINDS = tuple(kind for kind in TABLE_OF_KIND if kind not in (AS_JSON, PUBLISHED))


def read_files(files: Iterable[Path]) -> ContentFiles:
    """The curated tables among the files; several files of one kind are one release."""
    content = ContentFiles()
    for file in sorted(files):
        otherwise = f"is not named after a kind of content ({', '.join(KINDS)}): not read"
        published = content.read(file, _publication, otherwise)
        content.publications += [published] if published else []
    return content


def _kind(file: Path) -> str | None:
    if not is_table(file):
        return None
    return next((name for name in (stem(file), file.parent.name.lower()) if name in KINDS), None)


def _publication(file: Path) -> Publication | None:
    kind = _kind(file)
    if kind is None:
        return None
    names = header(file)
    columns = [column.name for column in table_of(kind).columns if column.name != "release_id"]
    refuse_patient_columns(names, file, legitimate=columns)
    refuse_missing_columns([*names, "release_id"], table_of(kind), file.name)
    text = read(file, columns)
    version = newest_date(text.frame["version"]) if "version" in text.frame else ""
    return publication(file, kind, PUBLISHER, version, text.frame, text.rejected)
