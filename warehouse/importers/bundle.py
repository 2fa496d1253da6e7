"""The site bundle: a folder of CSV or Parquet files named after their tables, or one such file."""

import dataclasses
from pathlib import Path

import pandas as pd
import sqlalchemy as sa

from forecasting.errors import InvalidInput
from warehouse.frames import Violation
from warehouse.importers.checking import DomainRule, FileParts, Part, refuse_missing_columns
from warehouse.importers.files import digest, header, is_table, read, stem
from warehouse.importers.patient_columns import refuse_patient_columns
from warehouse.schema import Base
from warehouse.settings import small_cell_threshold

# in the order of their references
TABLE_NAMES = (
    "facilities suppliers products ancestry genotype_counts assays testing_coverage dispensing stock open_orders "
    "receipts policies alternatives shortages"
).split()
REQUIRED = ("facilities", "products", "dispensing")
SNAPSHOTS = {"open_orders": "facility_id", "ancestry": "facility_id"}
SHARE_TOLERANCE = 0.01

WITHOUT = {
    "ancestry": "published frequencies do not apply, a site's own genotype counts decide",
    "genotype_counts": "prevalence rests on published frequencies alone",
    "assays": "every allele in the published tables counts as tested",
    "testing_coverage": "the genetic step is skipped",
    "stock": "procurement counts no stock on hand",
    "open_orders": "procurement counts nothing on order",
    "suppliers": "procurement assumes lead times",
    "receipts": "lead times are not learned",
    "policies": "procurement uses the default policy",
    "alternatives": "the default alternatives are used",
    "shortages": "no shortage is planned for",
}


def read_bundle(path: Path) -> FileParts:
    """The bundle's files as parts; a file that cannot be used is refused and the others are read."""
    threshold = small_cell_threshold()  # a wrong setting is no mistake of a file
    files, messages = _files_by_table(path)
    bundle = FileParts(messages=messages)

    def parts_of(file: Path) -> list[Part]:
        if len(files[name]) > 1:
            raise InvalidInput(f"{file.name}: {len(files[name])} files for {name}, keep one")
        return [_part(file, Base.metadata.tables[name], threshold)]

    for name in TABLE_NAMES:
        for file in files.get(name, []):
            bundle.read(file, parts_of, name)
    return bundle


def missing_messages(connection: sa.Connection, files: FileParts) -> list[str]:
    """A sentence per optional table that neither the files nor the database fill; a required one raises."""
    given = {part.table.name for part in files.parts}
    absent = [name for name in TABLE_NAMES if name not in given and _is_empty(connection, name)]
    required = [name for name in absent if name in REQUIRED]
    if required:
        reasons = [refused.reason for refused, _, table in files.refused if table in required]
        missing = f"the bundle has no usable {', '.join(required)} file, and the database has no such rows"
        raise InvalidInput(": ".join([missing, "; ".join(reasons)]) if reasons else missing)
    return [f"no {name} file: {WITHOUT[name]}" for name in absent]


def _files_by_table(path: Path) -> tuple[dict[str, list[Path]], list[str]]:
    files: dict[str, list[Path]] = {}
    messages = []
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if not is_table(file):
            continue
        if stem(file) in TABLE_NAMES:
            files.setdefault(stem(file), []).append(file)
        else:
            messages.append(f"{file.name} is not a file of a site bundle and was not read")
    if not files:
        raise InvalidInput(f"{path.name}: no file of a site bundle here (expected e.g. {', '.join(REQUIRED)}.csv)")
    return files, messages


def _part(file: Path, table: sa.Table, threshold: int) -> Part:
    names = header(file)
    known = [column.name for column in table.columns]
    refuse_patient_columns(names, file, legitimate=known)
    refuse_missing_columns(names, table, file.name)
    text = read(file, known)
    part = Part(file.name, digest(file), table, text.frame, text.rejected)
    if table.name in PEOPLE:
        # a row with too many or too few fields may hold a small number anywhere
        part.rejected = [dataclasses.replace(row, value=None) for row in text.rejected]
        part.people, part.threshold = PEOPLE[table.name], threshold
    unknown = [name for name in names if name not in known]
    if unknown:
        part.notes.append(f"unknown columns not read: {', '.join(unknown)}")
    if text.frame.empty and not text.rejected:
        part.notes.append("the file has no rows")
    if table.name in SMALL_CELLS:
        _blank_small_cells(part, SMALL_CELLS[table.name])
    return part


PEOPLE = {"genotype_counts": ("count", "tested"), "dispensing": ("patients",)}
"""Columns that hold numbers of people."""

SMALL_CELLS = {"genotype_counts": "count", "dispensing": "patients"}
"""Those of which a small one is stored as unknown."""


def _blank_small_cells(part: Part, column: str) -> None:
    # a number of people under the threshold is personal data: it is not kept, also not in the rejected rows
    if column not in part.frame.columns:
        return
    numbers = pd.to_numeric(part.frame[column], errors="coerce")
    small = ((numbers > 0) & (numbers < part.threshold)).fillna(False)
    if small.any():
        part.frame[column] = part.frame[column].mask(small, "")
        part.notes.append(f"{int(small.sum())} values of {column} under {part.threshold} stored as suppressed")


def _is_empty(connection: sa.Connection, name: str) -> bool:
    table = Base.metadata.tables[name]
    return connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is None


def _shares_sum_to_one(typed: pd.DataFrame) -> list[Violation]:
    total = typed.groupby("facility_id")["share"].transform("sum")
    wrong = (total - 1).abs() > SHARE_TOLERANCE
    return [Violation("share", "the shares of a site must sum to 1", wrong.to_numpy().nonzero()[0])]


def _count_within_tested(typed: pd.DataFrame) -> list[Violation]:
    copies = typed["result_type"].map({"allele": 2.0}).fillna(1.0)
    wrong = (typed["count"] > copies * typed["tested"]).fillna(False)
    rule = "must not exceed the people tested (twice that for alleles)"
    return [Violation("count", rule, wrong.to_numpy().nonzero()[0])]


def _enough_tested(typed: pd.DataFrame) -> list[Violation]:
    threshold = small_cell_threshold()
    few = ((typed["tested"] > 0) & (typed["tested"] < threshold)).fillna(False)
    rule = f"must be {threshold} people or more: fewer are not kept"
    return [Violation("tested", rule, few.to_numpy().nonzero()[0])]


def _names_what_is_short(typed: pd.DataFrame) -> list[Violation]:
    wrong = (typed["product_id"] == "*") & (typed["drug"] == "*")
    return [Violation("product_id, drug", "a product or a drug must be named", wrong.to_numpy().nonzero()[0])]


RULES: dict[str, list[DomainRule]] = {
    "ancestry": [_shares_sum_to_one],
    "genotype_counts": [_enough_tested, _count_within_tested],
    "shortages": [_names_what_is_short],
}
