"""Loading: a site bundle or a publisher's files into the input and reference tables, all or nothing."""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from forecasting.errors import InvalidInput
from warehouse.engine import writing
from warehouse.importers import bundle
from warehouse.importers.checking import FileParts
from warehouse.importers.content import loading
from warehouse.importers.ingest import audit_loads, ingest_parts, record_refused
from warehouse.importers.prescribing import epd, scmd, sdud
from warehouse.importers.report import LoadReport, Progress, RefusedFile, RejectedRow, TableLoad

__all__ = ["FORMATS", "LoadReport", "Progress", "RefusedFile", "RejectedRow", "TableLoad", "load"]

PUBLISHERS = {"scmd": scmd.read_files, "epd": epd.read_files, "sdud": sdud.read_files}
FORMATS = ("bundle", *PUBLISHERS, *loading.READERS)


def load(
    engine: sa.Engine,
    path: str | Path | Sequence[str | Path],
    format: str = "bundle",
    progress: Progress | None = None,
) -> LoadReport:
    """Read the files at `path` into the database in one transaction; what became of every file and row.

    `path` is a file or a folder (several for the publisher formats). Good rows load, bad rows are reported; a file that
    cannot be used is refused and the others load. `InvalidInput` when nothing can be loaded at all.
    """
    paths = [Path(item) for item in ([path] if isinstance(path, str | Path) else path)]
    if format not in FORMATS:
        raise InvalidInput(f"format {format!r} is not one of: {', '.join(FORMATS)}")
    missing = [str(item) for item in paths if not item.exists()]
    if missing or not paths:
        raise InvalidInput(f"no such file or folder: {', '.join(missing)}")
    if format in loading.READERS:
        return loading.load_content(engine, paths, format, progress)
    if format != "bundle":
        return _load(engine, PUBLISHERS[format](paths), format, progress)
    if len(paths) > 1:
        raise InvalidInput("a site bundle is one folder or one file")
    return _load(engine, bundle.read_bundle(paths[0]), format, progress)


def _load(engine: sa.Engine, files: FileParts, format_name: str, progress: Progress | None) -> LoadReport:
    """Write the files' parts; a bundle has rules of its own, and must be complete."""
    is_bundle = format_name == "bundle"
    rules, snapshots = (bundle.RULES, bundle.SNAPSHOTS) if is_bundle else ({}, {})
    with writing(engine) as connection:
        missing = bundle.missing_messages(connection, files) if is_bundle else []
        loads, rejected = ingest_parts(connection, files.parts, format_name, rules, snapshots, progress)
        for refused, sha256, table in files.refused:
            record_refused(connection, refused, sha256, format_name, table)
        audit_loads(connection, loads, format_name)
    refusals = tuple(refused for refused, _, _ in files.refused)
    return LoadReport(tuple(loads), tuple(rejected), refusals, tuple([*files.messages, *missing]))
