"""Reference content as the science takes it: built-in tables stored as releases, and what each site's plan rests on."""

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any

import pandas as pd
import sqlalchemy as sa

from forecasting.errors import MissingContent
from forecasting.pharmacogenomics.content import COLUMNS, NUMBERS, ReferenceContent, builtin_content, notes
from forecasting.pharmacogenomics.guidance.joint_rules import with_joint_rules
from warehouse.importers.content import releases as content_releases
from warehouse.importers.content.mapping import mapping_of
from warehouse.releases import BUILTIN_PUBLISHER

KIND_OF_TABLE = {name: "diplotype" if name == "diplotypes" else name for name in COLUMNS}
"""Table of `ReferenceContent` -> kind of release."""

FOLLOWED_KINDS = ("guidance", "default_alternative", "population_share")
"""What prescribers follow: history was made by the releases of its day. All else is knowledge, of which the best holds
for the past as well."""

PUBLISHED = "published_recommendation"

DrugProblem = tuple[str, str, str]
"""Drug, rule and message."""

MOST_READ = 16
"""Combinations of releases that a process keeps; their gene models are kept by content besides."""


@dataclasses.dataclass(frozen=True)
class Era:
    """What prescribing followed from a day on (NOT_STATED = since ever) until another (None = the origin and on)."""

    since: dt.date
    until: dt.date | None
    content: ReferenceContent


@dataclasses.dataclass(frozen=True)
class SiteGroup:
    """Sites that rest on the same releases: their content, the eras before it, and drugs that must stand aside.

    Guidance has the rules of a drug joined (`joint_rules`). The last era is the one in force. `blocked` holds (drug,
    rule, message).
    """

    facility_ids: tuple[str, ...]
    releases: Mapping[str, str]
    content: ReferenceContent
    eras: tuple[Era, ...]
    blocked: list[DrugProblem]

    @property
    def genes(self) -> list[str]:
        """Genes that guidance of any era asks about."""
        genes = [set(era.content.guidance["gene_1"]) | set(era.content.guidance["gene_2"]) for era in self.eras]
        return sorted(set().union(*genes) - {""})

    @property
    def blocked_drugs(self) -> set[str]:
        """Drugs that are planned without genetics at these sites."""
        return {drug for drug, _, _ in self.blocked}


_READ: dict[tuple[Any, ...], SiteGroup] = {}
"""What was read from releases, by `site_releases` rows, without its sites."""


@dataclasses.dataclass(frozen=True)
class Knowledge:
    """What all sites of a run rest on."""

    groups: tuple[SiteGroup, ...]

    def at(self, facility_id: str) -> SiteGroup:
        """The group of a site; `MissingContent` for a site that the run does not plan."""
        for group in self.groups:
            if facility_id in group.facility_ids:
                return group
        raise MissingContent(f"no releases are known for {facility_id}: it was not part of the run")


def store_builtin_content(connection: sa.Connection) -> None:
    """Store the built-in tables as releases: in force wherever no person activated another."""
    content = builtin_content()
    for table, kind in KIND_OF_TABLE.items():
        frame = getattr(content, table)
        if not frame.empty:
            content_releases.store_release(connection, kind, BUILTIN_PUBLISHER, _digest(frame), frame)


def knowledge(connection: sa.Connection, site_releases: pd.DataFrame) -> Knowledge:
    """The knowledge of a run from its `site_releases`: sites with the same releases share one group."""
    by_rows: dict[tuple[Any, ...], list[str]] = {}
    for facility_id, rows in site_releases.sort_values(["kind", "effective_on"]).groupby("facility_id"):
        same = tuple(rows[["kind", "effective_on", "release_id", "in_force"]].itertuples(index=False, name=None))
        by_rows.setdefault(same, []).append(str(facility_id))
    stored = _Stored(connection)
    return Knowledge(tuple(_group(stored, tuple(sites), rows) for rows, sites in by_rows.items()))


class _Stored:
    """Release frames, each read once."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.frames: dict[str, pd.DataFrame] = {}

    def frame(self, release_id: str) -> pd.DataFrame:
        if release_id not in self.frames:
            self.frames[release_id] = content_releases.release_content(self.connection, release_id)
        return self.frames[release_id]

    def content(self, releases: Mapping[str, str]) -> ReferenceContent:
        """The content of these releases; a kind without one is empty."""
        frames = {kind: self.frame(releases[kind]) for kind in KIND_OF_TABLE.values() if kind in releases}
        return ReferenceContent(**{table: _table(table, frames.get(kind)) for table, kind in KIND_OF_TABLE.items()})


def _group(stored: _Stored, facility_ids: tuple[str, ...], rows: tuple[Any, ...]) -> SiteGroup:
    # a release has the digest of its content in its name and never changes: nine stages of a run read the same ones
    if rows not in _READ:
        for oldest in list(_READ)[: len(_READ) + 1 - MOST_READ]:
            _READ.pop(oldest, None)
        _READ[rows] = _read_group(stored, rows)
    return dataclasses.replace(_READ[rows], facility_ids=facility_ids)


def _read_group(stored: _Stored, rows: tuple[Any, ...]) -> SiteGroup:
    now = {kind: release_id for kind, _, release_id, in_force in rows if in_force}
    content = stored.content(now)
    starts = sorted({pd.Timestamp(since).date() for kind, since, _, _ in rows if kind in FOLLOWED_KINDS})
    eras = []
    for number, since in enumerate(starts):
        then = {kind: release for kind, day, release, _ in rows if pd.Timestamp(day).date() <= since}
        followed = stored.content({kind: then[kind] for kind in FOLLOWED_KINDS if kind in then})
        until = starts[number + 1] if number + 1 < len(starts) else None
        of_era = dataclasses.replace(content, **{kind: getattr(followed, kind) for kind in FOLLOWED_KINDS})
        eras.append(Era(since, until, with_joint_rules(without_unknown_genes(of_era)[0])[0]))
    published = stored.frame(now[PUBLISHED]) if PUBLISHED in now else None
    known, unknown = without_unknown_genes(content)
    joint, unjoined = with_joint_rules(known)
    blocked = blocked_drugs(content.guidance, published, now) + unknown + unjoined
    return SiteGroup((), now, joint, tuple(eras), blocked)


def without_unknown_genes(content: ReferenceContent) -> tuple[ReferenceContent, list[DrugProblem]]:
    """The content without guidance of drugs that ask about a gene of which no allele is known, and those drugs."""
    known = {"", *content.diplotypes["gene"], *content.allele_function["gene"]}
    rows = content.guidance
    genes = rows[["gene_1", "gene_2"]]
    unknown = genes.where(~genes.isin(known), "").max(axis=1).groupby(rows["drug"]).max()
    missing = unknown[unknown != ""]
    problems = [
        (
            str(drug),
            "gene_unknown",
            f"{drug}: nothing is known of {gene}, which its guidance asks about; planned without genetics",
        )
        for drug, gene in missing.items()
    ]
    return dataclasses.replace(content, guidance=rows[~rows["drug"].isin(missing.index)]), problems


def blocked_drugs(
    guidance: pd.DataFrame, published: pd.DataFrame | None, releases: Mapping[str, str]
) -> list[DrugProblem]:
    """Drugs with published recommendations that the structured guidance lacks: what to do is unknown, not "nothing".

    One drug has one source: another publisher's rows of it are not counted. Rows that were read and left out, with a
    reason, are known.
    """
    if published is None or published.empty:
        return []
    state = mapping_of(published, guidance)
    chosen = published["drug"].map(guidance.drop_duplicates("drug").set_index("drug")["source"])
    elsewhere = chosen.notna() & (published["source"] != chosen)
    read = published["recommendation_id"].isin(notes("guidance_left_out")["recommendation_id"])
    rows = published.assign(state=state)[(state != "mapped") & ~elsewhere & ~read]
    problems = []
    for drug, of_drug in rows.groupby("drug"):
        counts = ", ".join(f"{count} {state}" for state, count in of_drug["state"].value_counts().sort_index().items())
        message = (
            f"{drug}: guidance {releases.get('guidance', 'none')} does not cover what {releases[PUBLISHED]} recommends "
            f"({counts}); planned without genetics"
        )
        problems.append((str(drug), "guidance_unmapped", message))
    return problems


def _table(name: str, stored: pd.DataFrame | None) -> pd.DataFrame:
    columns = list(COLUMNS[name])
    if stored is None or stored.empty:
        return pd.DataFrame({column: pd.Series(dtype=float if column in NUMBERS else object) for column in columns})
    # a release stored before a column was added, or by a publisher who has no such column, has it blank
    held = stored.reindex(columns=columns)
    return pd.DataFrame({column: _values(held[column], column in NUMBERS) for column in columns})


def _values(values: pd.Series, number: bool) -> pd.Series:
    return pd.to_numeric(values).astype(float) if number else values.astype("string").fillna("").astype(object)


def _digest(frame: pd.DataFrame) -> str:
    text: Any = frame.to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
