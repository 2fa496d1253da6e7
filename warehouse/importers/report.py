"""The report of a load: rows accepted, unchanged and rejected, files refused, with enough to correct the source."""

import dataclasses
from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the files done and the files in all."""


@dataclasses.dataclass(frozen=True, order=True)
class RejectedRow:
    """A row that was refused. The header is line 1; a row of a Parquet file counts as one line."""

    file: str
    line: int
    column: str
    value: str | None
    rule: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}, {self.column} = {self.value!r}: {self.rule}"


@dataclasses.dataclass(frozen=True)
class TableLoad:
    """What became of one file's rows for one table."""

    file: str
    table: str
    accepted: int
    unchanged: int
    rejected: int
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class RefusedFile:
    """A file of which nothing was read, and why."""

    file: str
    reason: str


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """Everything a person needs to know about one load."""

    tables: tuple[TableLoad, ...]
    rejected_rows: tuple[RejectedRow, ...]
    refused: tuple[RefusedFile, ...]
    messages: tuple[str, ...]

    @property
    def accepted(self) -> int:
        """Rows new or changed."""
        return sum(load.accepted for load in self.tables)

    @property
    def unchanged(self) -> int:
        """Rows that were there already."""
        return sum(load.unchanged for load in self.tables)

    @property
    def rejected(self) -> int:
        """Rows refused; `rejected_rows` lists the first of each file (`ingest.MOST_LISTED_REJECTS`)."""
        return sum(load.rejected for load in self.tables)
