"""Files that list everything of the sites they name: what a site no longer lists is gone."""

from collections.abc import Mapping

import pandas as pd
import sqlalchemy as sa

from warehouse.importers.checking import Part
from warehouse.store import read

MOST_NAMED = 5


def remove_absent(connection: sa.Connection, part: Part, typed: pd.DataFrame, snapshots: Mapping[str, str]) -> int:
    """Delete rows of the sites the file names that it does not list; how many. Only for tables in `snapshots`.

    A site with a rejected row keeps everything: the row that could not be read may be one that is not absent.
    """
    column = snapshots.get(part.table.name)
    if column is None or typed.empty:
        return 0
    spoiled = set(part.frame.loc[part.frame.index.isin([row.line for row in part.rejected]), column].str.strip())
    if any(row.column == "*" for row in part.rejected):
        part.notes.append("a row has the wrong number of fields: no rows of an earlier file were removed")
        return 0
    sites = sorted(set(typed[column]) - spoiled)
    if spoiled:
        part.notes.append(f"rows were rejected, so no earlier rows were removed of {_named(sorted(spoiled))}")
    keys = [key.name for key in part.table.primary_key.columns]
    before = read(connection, part.table, part.table.c[column].in_(sites), columns=keys)
    listed = set(typed[keys].astype(object).itertuples(index=False, name=None))
    gone = [row for row in before[keys].astype(object).itertuples(index=False, name=None) if row not in listed]
    if gone:
        condition = sa.and_(*(part.table.c[key] == sa.bindparam(f"gone_{key}") for key in keys))
        connection.execute(
            part.table.delete().where(condition),
            [{f"gone_{key}": value for key, value in zip(keys, row, strict=True)} for row in gone],
        )
        part.notes.append(f"{len(gone)} rows removed that the file no longer lists")
    return len(gone)


def _named(sites: list[str]) -> str:
    more = f" and {len(sites) - MOST_NAMED} more" if len(sites) > MOST_NAMED else ""
    return ", ".join(sites[:MOST_NAMED]) + more
