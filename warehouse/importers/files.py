"""Files as frames of text: CSV (also gzipped) and Parquet, with the line each row stands on.

What belongs here: everything that makes a whole file unreadable. Rules about single rows are in `checking`.
"""

import contextlib
import csv
import dataclasses
import gzip
import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.errors import InvalidInput
from warehouse.importers.report import RejectedRow

SUFFIXES = (".csv", ".csv.gz", ".parquet")
CHUNK_ROWS = 200_000
FIRST_ROW_LINE = 2


@dataclasses.dataclass
class TextFrame:
    """A file's rows as text, blanks as they stand, indexed by line; and rows whose number of fields is wrong."""

    frame: pd.DataFrame
    rejected: list[RejectedRow]


def stem(path: Path) -> str:
    """The name without folder and suffix, in lower case.

    >>> stem(Path("in/Dispensing.csv.gz"))
    'dispensing'
    """
    name = path.name.lower()
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


def is_table(path: Path) -> bool:
    """Whether the file's name says CSV or Parquet."""
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def digest(path: Path) -> str:
    """SHA-256 of the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def header(path: Path) -> list[str]:
    """Column names, stripped and in lower case; `InvalidInput` names the file if it has none that can be used."""
    if path.name.lower().endswith(".parquet"):
        return _usable([str(name) for name in _parquet(path).schema_arrow.names], path)
    with _csv_rows(path) as rows:
        return _usable(next(rows, (1, []))[1], path)


def read(path: Path, columns: Sequence[str] | None = None) -> TextFrame:
    """The whole file as text; `columns` limits it to those named."""
    parts = list(chunks(path, columns))
    return TextFrame(pd.concat([part.frame for part in parts]), [row for part in parts for row in part.rejected])


def chunks(path: Path, columns: Sequence[str] | None = None) -> Iterator[TextFrame]:
    """The file in pieces of `CHUNK_ROWS` rows, at least one; its index is the line."""
    names = header(path)
    if path.name.lower().endswith(".parquet"):
        yield _parquet_text(path, names, columns)
        return
    kept = [position for position, name in enumerate(names) if columns is None or name in columns]
    with _csv_rows(path) as rows:
        next(rows)
        piece, first = _next_piece(rows, path, len(names)), True
        while first or piece.lines or piece.rejected:
            data = {names[at]: pd.Series([row[at] for row in piece.rows], dtype="str") for at in kept}
            yield TextFrame(pd.DataFrame(data).set_axis(pd.Index(piece.lines, dtype="int64")), piece.rejected)
            piece, first = _next_piece(rows, path, len(names)), False


@dataclasses.dataclass
class _Piece:
    rows: list[list[str]] = dataclasses.field(default_factory=list)
    lines: list[int] = dataclasses.field(default_factory=list)
    rejected: list[RejectedRow] = dataclasses.field(default_factory=list)


def _next_piece(rows: Iterator[tuple[int, list[str]]], path: Path, width: int) -> _Piece:
    piece = _Piece()
    for line, row in rows:
        if len(row) == width:
            if any(row):
                piece.rows.append(row)
                piece.lines.append(line)
        elif row:
            rule = f"has {len(row)} fields, the header has {width}"
            piece.rejected.append(RejectedRow(path.name, line, "*", ",".join(row)[:200], rule))
        if len(piece.rows) >= CHUNK_ROWS:
            break
    return piece


@contextlib.contextmanager
def _csv_rows(path: Path) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """Rows with the line each begins on; quoted fields may hold line breaks."""
    with _opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        yield _numbered(text, path)


def _numbered(text: IO[str], path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text, strict=True)
    line = 1
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + 1
    except UnicodeDecodeError:
        raise InvalidInput(f"{path.name}: {_where_not_utf8(path)}") from None
    except csv.Error as error:
        raise InvalidInput(f"{path.name}: not a CSV file, line {line}: {error}") from None
    except (OSError, EOFError) as error:
        raise InvalidInput(f"{path.name}: cannot be read: {error}") from None


def _opened(path: Path) -> IO[bytes]:
    try:
        return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise InvalidInput(f"{path.name}: cannot be read: {error.strerror}") from None


def _where_not_utf8(path: Path) -> str:
    offset = 0
    with _opened(path) as raw:
        for line, text in enumerate(raw, start=1):
            try:
                text.decode("utf-8")
            except UnicodeDecodeError as error:
                return f"not UTF-8 at byte {offset + error.start} (line {line}): save the file as UTF-8"
            offset += len(text)
    return "not UTF-8: save the file as UTF-8"


def _usable(names: list[str], path: Path) -> list[str]:
    clean = [name.strip().lower() for name in names]
    if not any(clean):
        raise InvalidInput(f"{path.name}: the file is empty")
    repeated = sorted({name for name in clean if name and clean.count(name) > 1})
    if repeated:
        raise InvalidInput(f"{path.name}: the header repeats {', '.join(repeated)}")
    if len(clean) == 1 and any(separator in clean[0] for separator in ";\t|"):
        raise InvalidInput(f"{path.name}: columns must be separated by commas")
    return [name or f"column {position}" for position, name in enumerate(clean, start=1)]


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"{path.name}: not a readable Parquet file: {str(error).splitlines()[0]}") from None


def _parquet_text(path: Path, names: list[str], columns: Sequence[str] | None) -> TextFrame:
    try:
        table = _parquet(path).read().rename_columns(names)
        kept = [name for name in names if columns is None or name in columns]
        data = {name: _arrow_text(table.column(name)) for name in kept}
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"{path.name}: not a readable Parquet file: {str(error).splitlines()[0]}") from None
    return TextFrame(pd.DataFrame(data).set_axis(pd.RangeIndex(table.num_rows) + FIRST_ROW_LINE), [])


def _arrow_text(values: pa.ChunkedArray) -> pd.Series:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_floating(values.type):
        # a whole number that missing values turned into a float is still a whole number
        return pd.Series([_number_text(value) for value in values.to_pylist()], dtype="str")
    return pd.Series(values.cast(pa.large_string()).to_pylist(), dtype="str")


def _number_text(value: float | None) -> str | None:
    if value is None or value != value:
        return None
    return str(int(value)) if value.is_integer() else repr(value)
