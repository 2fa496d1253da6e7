"""From text to typed rows: every value read and checked, and each row that breaks a rule named with the rule."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import sqlalchemy as sa

from forecasting.errors import InvalidInput
from warehouse.frames import DUPLICATE_KEY, Violation, coerce, required_columns, violations
from warehouse.importers.files import digest
from warehouse.importers.report import RefusedFile, RejectedRow
from warehouse.schema.base import soft_references
from warehouse.store import read

DomainRule = Callable[[pd.DataFrame], Iterable[Violation]]
"""A rule about several columns or rows of one table; it sees the rows that passed the rules before it."""


@dataclasses.dataclass
class Part:
    """One file's rows for one table. The frame's index is the line; `rejected` may come filled by the reader."""

    file: str
    sha256: str
    table: sa.Table
    frame: pd.DataFrame
    rejected: list[RejectedRow] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    keep_existing: bool = False
    """Rows whose key is in the database stay as they are there (made up from codes, a person may know better)."""
    people: tuple[str, ...] = ()
    """Columns that hold numbers of people: a rejected value of theirs is shown only if it is `threshold` or more."""
    threshold: int = 0


@dataclasses.dataclass
class FileParts:
    """Parts of files in the order of their references, refused files, and sentences for the reader.

    A refused file has its reason, its digest and the table it was for.
    """

    parts: list[Part] = dataclasses.field(default_factory=list)
    refused: list[tuple[RefusedFile, str, str]] = dataclasses.field(default_factory=list)
    messages: list[str] = dataclasses.field(default_factory=list)

    def read(self, path: Path, reader: Callable[[Path], list[Part]], table: str) -> None:
        """Add the file's parts, or its refusal."""
        try:
            self.parts += reader(path)
        except InvalidInput as error:
            self.refuse(path, error, table)

    def refuse(self, path: Path, error: InvalidInput, table: str) -> None:
        """Add the refusal of a file."""
        self.refused.append((RefusedFile(path.name, str(error)), digest(path), table))


def refuse_missing_columns(names: Iterable[str], table: sa.Table, file: str) -> None:
    """Raise `InvalidInput` if the table cannot be filled from these columns."""
    absent = [name for name in required_columns(table) if name not in set(names)]
    if absent:
        raise InvalidInput(f"{file}: missing column {', '.join(absent)}")


def checked(part: Part, connection: sa.Connection | None, rules: Iterable[DomainRule] = ()) -> pd.DataFrame:
    """The part's rows that keep every rule, typed, still indexed by line; the others go to `part.rejected`.

    References to other tables are checked in the database; not without a connection.
    """
    known = [one.name for one in part.table.columns if one.name in part.frame.columns]
    text = part.frame[known]
    typed, unreadable = coerce(text, part.table)
    reject(part, text, [*unreadable, *(one for one in violations(typed, part.table) if one.rule != DUPLICATE_KEY)])
    typed = _remaining(typed, part)
    # after the rest: of two rows with one key, the first that can be read is the one that counts
    reject(part, text, [one for one in violations(typed, part.table) if one.rule == DUPLICATE_KEY], typed.index)
    typed = _remaining(typed, part)
    if connection is not None:
        reject(part, text, _unknown_references(typed, part, connection), typed.index)
        typed = _remaining(typed, part)
    for rule in rules:
        reject(part, text, rule(typed), typed.index)
        typed = _remaining(typed, part)
    return typed


def reject(part: Part, text: pd.DataFrame, broken: Iterable[Violation], lines: pd.Index | None = None) -> None:
    """Add the violations to the part, one row each at most: the first rule that a row breaks names it."""
    index = text.index if lines is None else lines
    seen = {row.line for row in part.rejected}
    for violation in broken:
        lines_broken = [line for line in index[violation.rows].tolist() if line not in seen]
        seen.update(lines_broken)
        columns = [name for name in violation.column.split(", ") if name in text.columns]
        stood = _tellable(text.loc[lines_broken, columns], part).to_numpy().tolist()
        part.rejected += [
            RejectedRow(part.file, line, violation.column, ", ".join(values) or None, violation.rule)
            for line, values in zip(lines_broken, stood, strict=True)
        ]


def _tellable(values: pd.DataFrame, part: Part) -> pd.DataFrame:
    """The values as they stood, without what may be a small number of people."""
    shown = values.fillna("").astype(str)
    for name in set(part.people) & set(shown.columns):
        number = pd.to_numeric(shown[name], errors="coerce")
        shown[name] = shown[name].where((number == 0) | (number >= part.threshold), "")
    return shown


def _remaining(typed: pd.DataFrame, part: Part) -> pd.DataFrame:
    return typed.loc[~typed.index.isin([row.line for row in part.rejected])]


def _unknown_references(typed: pd.DataFrame, part: Part, connection: sa.Connection) -> Iterable[Violation]:
    table = part.table
    for column in table.columns:
        for key in column.foreign_keys:
            known = _known(typed, column.name, key.column.table, key.column.name, table, connection)
            yield _violation(typed, column.name, known, f"must be a {key.column.name} of {key.column.table.name}")
    for name, rule in soft_references(table):
        target = table.metadata.tables[rule.table]
        if target is not table and connection.execute(sa.select(target.c[rule.column]).limit(1)).first() is None:
            # an optional file that was not handed in must not cost the rows that mention it
            if typed[name].notna().any():
                part.notes.append(f"{name} is kept as it stands: no {rule.table} are loaded")
            continue
        known = _known(typed, name, target, rule.column, table, connection) | set(rule.wildcards)
        yield _violation(typed, name, known, rule.text)


def _known(
    typed: pd.DataFrame, name: str, target: sa.Table, column: str, table: sa.Table, connection: sa.Connection
) -> set[str]:
    # rows of the same load are in the connection's transaction already, except those of the table itself
    of_table = set(typed[column].dropna()) if target is table else set()
    if not typed[name].notna().any():
        return of_table
    return of_table | set(read(connection, target, columns=[column])[column])


def _violation(typed: pd.DataFrame, name: str, known: set[str], rule: str) -> Violation:
    codes, values = pd.factorize(typed[name])
    unknown = np.array([value not in known for value in values] + [False], dtype=bool)  # the last stands for missing
    return Violation(name, rule, np.flatnonzero(unknown[codes]))
