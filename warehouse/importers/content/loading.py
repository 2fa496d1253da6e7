"""Loading pharmacogenomic content: each kind becomes a release beside the others, which no site uses before it is
activated; the report says what is new, changed, withdrawn and not mapped."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd
import sqlalchemy as sa

from forecasting.errors import InvalidInput
from forecasting.terms import ALL_FACILITIES
from warehouse.engine import writing
from warehouse.frames import Violation
from warehouse.importers.checking import DomainRule, checked, reject
from warehouse.importers.content import cpic, curated, pharmcat
from warehouse.importers.content.difference import content_diff, counted
from warehouse.importers.content.mapping import covered, is_lookup_key, normal_lookup_key
from warehouse.importers.content.publication import ContentFiles, Publication
from warehouse.importers.content.releases import release_content, store_release, table_of
from warehouse.importers.files import digest, is_table
from warehouse.importers.ingest import MOST_LISTED_REJECTS, audit_loads, record, record_refused
from warehouse.importers.report import LoadReport, Progress, RefusedFile, RejectedRow, TableLoad
from warehouse.releases import BUILTIN_PUBLISHER, RELEASES, newest_releases, releases_in_force

READERS: dict[str, Callable[[Iterable[Path]], ContentFiles]] = {
    "cpic": cpic.read_files,
    "pharmcat": pharmcat.read_files,
    "curated": curated.read_files,
}
BY_GENE = ("allele_frequency", "allele_function", "diplotype")
"""Kinds of which a file may hold some genes: the others are carried over."""

UNDATED = "undated"


def _functions_of_one_allele(typed: pd.DataFrame) -> list[Violation]:
    total = typed.groupby(["gene", "allele"])["probability"].transform("sum")
    rule = "the probabilities of the functions of one allele must not sum to more than 1"
    return [Violation("probability", rule, (total > 1 + ROUNDING).to_numpy().nonzero()[0])]


ROUNDING = 1e-9
RULES: dict[str, list[DomainRule]] = {"function_probability": [_functions_of_one_allele]}


def load_content(engine: sa.Engine, paths: Sequence[Path], format_name: str, progress: Progress | None) -> LoadReport:
    """Store what the files publish, in one transaction; the report counts rows per file."""
    content = READERS[format_name]([file for path in paths for file in _files(path)])
    if not content.publications and not content.refused:
        raise InvalidInput(f"{', '.join(path.name for path in paths)}: no {format_name} content here")
    loads: list[TableLoad] = []
    rejected: list[RejectedRow] = []
    refused = [RefusedFile(file.name, reason) for file, reason in content.refused]
    kinds = sorted({published.kind for published in content.publications})
    with writing(engine) as connection:
        for number, kind in enumerate(kinds):
            if progress:
                progress(kind, number, len(kinds))
            group = [published for published in content.publications if published.kind == kind]
            loads += _store(connection, group, content.messages)
            for published, load in zip(group, loads[-len(group) :], strict=True):
                listed = sorted(published.part.rejected)[:MOST_LISTED_REJECTS]
                record(connection, load, published.part.sha256, format_name, listed)
                rejected += listed
        for refusal, (file, _) in zip(refused, content.refused, strict=True):
            record_refused(connection, refusal, digest(file), format_name, RELEASES.name)
        audit_loads(connection, loads, format_name)
    return LoadReport(tuple(loads), tuple(rejected), tuple(refused), tuple(content.messages))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in sorted(path.rglob("*")) if is_table(file) or file.suffix.lower() == ".json"]


def _store(connection: sa.Connection, group: list[Publication], messages: list[str]) -> list[TableLoad]:
    kind, publisher = group[0].kind, group[0].publisher
    if kind == "published_recommendation":
        _map(connection, group, messages)
    frames = [checked(published.part, None, RULES.get(kind, ())).drop(columns="release_id") for published in group]
    frame = _combined(frames, kind)
    for rule in RULES.get(kind, ()):
        # what every file keeps by itself, several together may break
        if broken := [violation for violation in rule(frame) if len(violation.rows)]:
            raise InvalidInput(f"{', '.join(published.part.file for published in group)} together: {broken[0].rule}")
    if frame.empty:
        messages.append(f"{kind}: no usable row in the files, no release was made")
        return [_table_load(published, rows, fresh=False) for published, rows in zip(group, frames, strict=True)]
    if kind in BY_GENE:
        frame = _carried_over(connection, frame, kind, publisher, messages)
    before = _predecessor(connection, kind, publisher)
    version = max((published.version for published in group), default="") or UNDATED
    count = _release_count(connection)
    release_id = store_release(connection, kind, publisher, version, frame)
    fresh = _release_count(connection) > count
    if fresh:
        messages.append(f"release {release_id} of {len(frame)} rows is stored; no site uses it before it is activated")
        messages.append(_against(connection, kind, before, release_id))
    else:
        messages.append(f"release {release_id} was stored already")
    return [_table_load(published, rows, fresh) for published, rows in zip(group, frames, strict=True)]


def _table_load(published: Publication, rows: pd.DataFrame, fresh: bool) -> TableLoad:
    accepted, unchanged = (len(rows), 0) if fresh else (0, len(rows))
    table = table_of(published.kind).name
    return TableLoad(
        published.part.file, table, accepted, unchanged, len(published.part.rejected), tuple(published.part.notes)
    )


def _predecessor(connection: sa.Connection, kind: str, publisher: str) -> str | None:
    """What a new release is compared with: the publisher's last one of the kind, else the built-in one."""
    return newest_releases(connection, publisher).get(kind) or newest_releases(connection, BUILTIN_PUBLISHER).get(kind)


def _against(connection: sa.Connection, kind: str, before: str | None, after: str) -> str:
    old = release_content(connection, before) if before else None
    counts = counted(content_diff(kind, old, release_content(connection, after)))
    changes = ", ".join(f"{count} {change}" for change, count in counts.items())
    return f"against {before or 'nothing of the kind'}: {changes} rows"


def _combined(frames: list[pd.DataFrame], kind: str) -> pd.DataFrame:
    keys = [column.name for column in table_of(kind).primary_key.columns if column.name != "release_id"]
    return pd.concat(frames, ignore_index=True).drop_duplicates(keys).reset_index(drop=True)


def _carried_over(
    connection: sa.Connection, frame: pd.DataFrame, kind: str, publisher: str, messages: list[str]
) -> pd.DataFrame:
    """The rows with those of genes that the files do not hold: of the publisher's last release, else built in."""
    for source in (publisher, BUILTIN_PUBLISHER):
        before = newest_releases(connection, source).get(kind)
        if before:
            frame = _with_other_genes(frame, release_content(connection, before), f"{kind}: {before}", messages)
    return frame


def _with_other_genes(frame: pd.DataFrame, before: pd.DataFrame, source: str, messages: list[str]) -> pd.DataFrame:
    missing = before[~before["gene"].isin(frame["gene"])]
    if missing.empty:
        return frame
    genes = ", ".join(sorted(missing["gene"].unique()))
    messages.append(f"{source} gives the genes that the files do not hold: {genes}")
    kept = {name: missing[name].astype(object).replace("", None) for name in frame.columns if name in missing}
    rows = pd.DataFrame(kept, columns=list(frame.columns))
    typed = {
        name: pd.to_numeric(rows[name]) if frame[name].dtype == "float64" else rows[name] for name in frame.columns
    }
    carried = pd.DataFrame(typed).astype({name: frame[name].dtype for name in frame.columns})
    return pd.concat([frame, carried], ignore_index=True)


def _release_count(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(RELEASES)).scalar_one()


def _map(connection: sa.Connection, group: list[Publication], messages: list[str]) -> None:
    today = dt.datetime.now(dt.UTC).date()
    used = releases_in_force(connection, [], today)[ALL_FACILITIES].get("guidance")
    guidance = release_content(connection, used) if used else pd.DataFrame(columns=["recommendation_id"])
    if used is None:
        messages.append("no guidance is in force: every recommendation counts as no_guidance")
    for published in group:
        unreadable = ~published.part.frame["lookup_key"].map(is_lookup_key).astype(bool)
        rule = "must be a JSON object gene -> lookup key"
        reject(
            published.part, published.part.frame, [Violation("lookup_key", rule, unreadable.to_numpy().nonzero()[0])]
        )
        published.part.frame = published.part.frame[~unreadable].copy()
        published.part.frame["lookup_key"] = published.part.frame["lookup_key"].map(normal_lookup_key)
        mapped = covered(published.part.frame, guidance)
        published.part.frame = published.part.frame.assign(mapping=mapped["mapping"])
        published.part.notes.append(_counts(mapped["mapping"]))
        if (mapped["mapping"] == "mapped").any():
            published.part.notes.append(f"mapped to: {_counts(mapped['action'][mapped['mapping'] == 'mapped'])}")


def _counts(values: pd.Series) -> str:
    return ", ".join(f"{count} {word}" for word, count in values.value_counts().sort_index().items())
