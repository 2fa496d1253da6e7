"""Releases of reference content: stored once, side by side, never changed. `warehouse.releases` has each site's."""

import datetime as dt
import hashlib
import json

import pandas as pd
import sqlalchemy as sa

from forecasting.errors import InvalidInput
from warehouse.frames import records, validate
from warehouse.releases import RELEASES
from warehouse.schema import Base
from warehouse.store import insert, read

TABLE_OF_KIND = {
    "gene": "genes",
    "allele_frequency": "allele_frequencies",
    "allele_function": "allele_functions",
    "function_probability": "function_probabilities",
    "phenotype_rule": "phenotype_rules",
    "diplotype": "diplotype_phenotypes",
    "guidance": "guidance",
    "population_share": "population_shares",
    "usual_daily_dose": "usual_daily_doses",
    "default_alternative": "default_alternatives",
    "group_effective_size": "group_effective_sizes",
    "published_recommendation": "published_recommendations",
}
AS_JSON = "phenotype_rule"
"""The kind whose columns vary: each row is kept as a JSON object."""

DIGEST_CHARACTERS = 8


def table_of(kind: str) -> sa.Table:
    """The table of a kind of content; another kind raises `InvalidInput`."""
    if kind not in TABLE_OF_KIND:
        raise InvalidInput(f"content kind {kind!r} is not one of: {', '.join(TABLE_OF_KIND)}")
    return Base.metadata.tables[TABLE_OF_KIND[kind]]


def store_release(connection: sa.Connection, kind: str, publisher: str, version: str, frame: pd.DataFrame) -> str:
    """The release's id, `kind:publisher:version+digest`, after storing its rows.

    Content that is stored already is not stored again. No site uses it before a person activates it. A frame that
    breaks a rule of its table raises `InvalidInput`.
    """
    table = table_of(kind)
    rows = _rows(kind, frame)
    sha256 = content_digest(rows, table)
    release_id = f"{kind}:{publisher}:{version}+{sha256[:DIGEST_CHARACTERS]}"
    if not read(connection, RELEASES, RELEASES.c.release_id == release_id).empty:
        return release_id
    release = {
        "release_id": release_id,
        "kind": kind,
        "publisher": publisher,
        "version": version,
        "sha256": sha256,
        "rows": len(frame),
        "column_types": json.dumps(
            {name: [str(values.dtype), bool(values.notna().all())] for name, values in frame.items()}
        ),
        "loaded_at": dt.datetime.now(dt.UTC).replace(tzinfo=None),
    }
    connection.execute(RELEASES.insert(), release)
    insert(connection, table, rows.assign(release_id=release_id))
    return release_id


def release_content(connection: sa.Connection, release_id: str) -> pd.DataFrame:
    """The frame of one release; an unknown release raises `InvalidInput`."""
    release = read(connection, RELEASES, RELEASES.c.release_id == release_id)
    if release.empty:
        raise InvalidInput(f"no content release {release_id!r}")
    kind = str(release["kind"].iloc[0])
    table = table_of(kind)
    columns: dict[str, tuple[str, bool]] = json.loads(release["column_types"].iloc[0])
    rows = read(connection, table, table.c.release_id == release_id)
    if kind == AS_JSON:
        objects = [json.loads(rule) for rule in rows["rule"]]
        rows = pd.DataFrame({name: pd.Series([rule[name] for rule in objects], dtype=object) for name in columns})
    return pd.DataFrame({name: _restored(rows[name], *kind) for name, kind in columns.items()})


def content_digest(rows: pd.DataFrame, table: sa.Table) -> str:
    """SHA-256 of the rows as the table holds them, whatever their order."""
    checked = validate(rows.assign(release_id="any"), table) if len(rows) else rows
    lines = sorted(json.dumps(row, sort_keys=True, default=str) for row in records(checked, table))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _restored(values: pd.Series, dtype: str, filled: bool) -> pd.Series:
    # tables hold blank text as missing: a column that had no missing values had blanks
    if filled and values.isna().any():
        values = values.astype(object).where(values.notna(), "")
    elif dtype == "object":
        values = values.astype(object).where(values.notna(), None)
    return values.astype(pd.api.types.pandas_dtype(dtype))


def _rows(kind: str, frame: pd.DataFrame) -> pd.DataFrame:
    if kind != AS_JSON:
        return frame
    if "gene" not in frame.columns:
        raise InvalidInput("phenotype_rule: missing column gene")
    plain = frame.astype(object).where(frame.notna(), None)
    rules = [json.dumps(row, default=str) for row in plain.to_dict("records")]
    number = frame.groupby("gene").cumcount() + 1
    return pd.DataFrame({"gene": frame["gene"], "rule_number": number, "rule": rules})
