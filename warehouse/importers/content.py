"""Loading a publisher's pharmacogenomic content: each kind becomes a release, active from then on unless older."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd
import sqlalchemy as sa

from forecasting.errors import InvalidInput
from warehouse.engine import writing
from warehouse.frames import Violation
from warehouse.importers import cpic, pharmcat
from warehouse.importers.checking import checked, reject
from warehouse.importers.files import digest, is_table
from warehouse.importers.ingest import MOST_LISTED_REJECTS, record, record_refused
from warehouse.importers.mapping import is_lookup_key, mapping_of, normal_lookup_key
from warehouse.importers.publication import ContentFiles, Publication
from warehouse.importers.reference import RELEASES, active_releases, release_content, store_release, table_of
from warehouse.importers.report import LoadReport, Progress, RefusedFile, RejectedRow, TableLoad
from warehouse.store import read

READERS: dict[str, Callable[[Iterable[Path]], ContentFiles]] = {
    "cpic": cpic.read_files,
    "pharmcat": pharmcat.read_files,
}
BY_GENE = ("allele_frequency", "allele_function", "diplotype")
"""Kinds of which a file may hold some genes: the others are carried over from the active release."""

UNDATED = "undated"


def load_content(engine: sa.Engine, paths: Sequence[Path], format_name: str, progress: Progress | None) -> LoadReport:
    """Store what the files publish, in one transaction; the report counts rows per file."""
    found = READERS[format_name]([file for path in paths for file in _files(path)])
    if not found.publications and not found.refused:
        raise InvalidInput(f"{', '.join(path.name for path in paths)}: no {format_name} content here")
    loads: list[TableLoad] = []
    rejected: list[RejectedRow] = []
    refused = [RefusedFile(file.name, reason) for file, reason in found.refused]
    kinds = sorted({one.kind for one in found.publications})
    with writing(engine) as connection:
        for number, kind in enumerate(kinds):
            if progress:
                progress(kind, number, len(kinds))
            group = [one for one in found.publications if one.kind == kind]
            loads += _store(connection, group, found.messages)
            for one, load in zip(group, loads[-len(group) :], strict=True):
                listed = sorted(one.part.rejected)[:MOST_LISTED_REJECTS]
                record(connection, load, one.part.sha256, format_name, listed)
                rejected += listed
        for refusal, (file, _) in zip(refused, found.refused, strict=True):
            record_refused(connection, refusal, digest(file), format_name, RELEASES.name)
    return LoadReport(tuple(loads), tuple(rejected), tuple(refused), tuple(found.messages))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in sorted(path.rglob("*")) if is_table(file) or file.suffix.lower() == ".json"]


def _store(connection: sa.Connection, group: list[Publication], messages: list[str]) -> list[TableLoad]:
    kind, publisher = group[0].kind, group[0].publisher
    if kind == "published_recommendation":
        _map(connection, group, messages)
    frames = [checked(one.part, None).drop(columns="release_id") for one in group]
    frame = _combined(frames, kind)
    active = active_releases(connection).get(kind)
    before = release_content(connection, active) if active else None
    if kind in BY_GENE and before is not None:
        frame = _carried_over(frame, before, messages, kind)
    version = max((one.version for one in group), default="") or UNDATED
    count = _release_count(connection)
    newer = not _is_older(version, publisher, active, connection)
    release_id = store_release(connection, kind, publisher, version, frame, active=newer)
    fresh = _release_count(connection) > count
    state = (
        "is active now" if newer and release_id != active else "was active already" if newer else "is older: not used"
    )
    messages.append(f"release {release_id} of {len(frame)} rows {state}")
    return [
        TableLoad(
            one.part.file,
            table_of(kind).name,
            accepted=len(rows) if fresh else 0,
            unchanged=0 if fresh else len(rows),
            rejected=len(one.part.rejected),
            notes=tuple(one.part.notes),
        )
        for one, rows in zip(group, frames, strict=True)
    ]


def _combined(frames: list[pd.DataFrame], kind: str) -> pd.DataFrame:
    keys = [one.name for one in table_of(kind).primary_key.columns if one.name != "release_id"]
    return pd.concat(frames, ignore_index=True).drop_duplicates(keys).reset_index(drop=True)


def _carried_over(frame: pd.DataFrame, before: pd.DataFrame, messages: list[str], kind: str) -> pd.DataFrame:
    missing = before[~before["gene"].isin(frame["gene"])]
    if missing.empty:
        return frame
    genes = ", ".join(sorted(missing["gene"].unique()))
    messages.append(f"{kind}: genes that the files do not hold are carried over from the active release: {genes}")
    kept = {name: missing[name].astype(object).replace("", None) for name in frame.columns if name in missing}
    rows = pd.DataFrame(kept, columns=list(frame.columns))
    typed = {
        name: pd.to_numeric(rows[name]) if frame[name].dtype == "float64" else rows[name] for name in frame.columns
    }
    carried = pd.DataFrame(typed).astype({name: frame[name].dtype for name in frame.columns})
    return pd.concat([frame, carried], ignore_index=True)


def _is_older(version: str, publisher: str, active: str | None, connection: sa.Connection) -> bool:
    if active is None:
        return False
    release = read(connection, RELEASES, RELEASES.c.release_id == active).iloc[0]
    return bool(release["publisher"] == publisher and version != UNDATED and version < release["version"])


def _release_count(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(RELEASES)).scalar_one()


def _map(connection: sa.Connection, group: list[Publication], messages: list[str]) -> None:
    active = active_releases(connection).get("guidance")
    guidance = release_content(connection, active) if active else pd.DataFrame(columns=["recommendation_id"])
    if active is None:
        messages.append("no guidance release is active: every recommendation counts as no_guidance")
    for one in group:
        unreadable = ~one.part.frame["lookup_key"].map(is_lookup_key).astype(bool)
        rule = "must be a JSON object gene -> lookup key"
        reject(one.part, one.part.frame, [Violation("lookup_key", rule, unreadable.to_numpy().nonzero()[0])])
        one.part.frame = one.part.frame[~unreadable].copy()
        one.part.frame["lookup_key"] = one.part.frame["lookup_key"].map(normal_lookup_key)
        mapping = mapping_of(one.part.frame, guidance)
        one.part.frame = one.part.frame.assign(mapping=mapping)
        counts = mapping.value_counts().sort_index()
        one.part.notes.append(", ".join(f"{count} {state}" for state, count in counts.items()))
