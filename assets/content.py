"""Reference content as the science takes it: the built-in tables stored as releases, the active ones read back."""

import hashlib
from typing import Any

import pandas as pd
import sqlalchemy as sa

from forecasting.pharmacogenomics.content import COLUMNS, NUMBERS, ReferenceContent, builtin_content
from warehouse.importers import reference

PUBLISHER = "pgx-supply"
KIND_OF_TABLE = {name: "diplotype" if name == "diplotypes" else name for name in COLUMNS}
"""Table of `ReferenceContent` -> kind of release."""


def store_builtin_content(connection: sa.Connection) -> None:
    """Store the built-in tables as releases; they become active where nothing but built-in content was active."""
    content = builtin_content()
    active = reference.active_releases(connection)
    for table, kind in KIND_OF_TABLE.items():
        frame = getattr(content, table)
        if frame.empty:
            continue
        builtin = kind not in active or f":{PUBLISHER}:" in active[kind]
        reference.store_release(connection, kind, PUBLISHER, _digest(frame), frame, active=builtin)


def active_content(connection: sa.Connection) -> ReferenceContent:
    """The content of the active releases; a kind without one is empty."""
    stored = reference.active_content(connection)
    return ReferenceContent(**{table: _table(table, stored.get(kind)) for table, kind in KIND_OF_TABLE.items()})


def _table(name: str, stored: pd.DataFrame | None) -> pd.DataFrame:
    columns = list(COLUMNS[name])
    if stored is None or stored.empty:
        return pd.DataFrame({column: pd.Series(dtype=float if column in NUMBERS else object) for column in columns})
    return pd.DataFrame({column: _values(stored[column], column in NUMBERS) for column in columns})


def _values(values: pd.Series, number: bool) -> pd.Series:
    return pd.to_numeric(values).astype(float) if number else values.astype("string").fillna("").astype(object)


def _digest(frame: pd.DataFrame) -> str:
    text: Any = frame.to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
