"""What stood in the dispensing history before a load or a batch changed it: kept for good."""

import datetime as dt

import pandas as pd
import sqlalchemy as sa

from warehouse.schema import Base
from warehouse.store import UpsertResult, insert

REVISIONS = Base.metadata.tables["dispensing_revisions"]


def keep_revisions(connection: sa.Connection, outcome: UpsertResult, source: str, now: dt.datetime) -> int:
    """Record each quantity that a write of `dispensing` replaced by another; how many they were."""
    rows = [
        {name: after[name] for name in ("facility_id", "product_id", "period_start")}
        | {"quantity_before": before["quantity"], "quantity_after": after["quantity"]}
        | {"file": source, "revised_at": now}
        for before, after in outcome.replaced
        if before["quantity"] != after["quantity"]
    ]
    if rows:
        insert(connection, REVISIONS, pd.DataFrame(rows))
    return len(rows)
