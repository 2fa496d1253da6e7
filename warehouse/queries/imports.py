"""What became of each file that was loaded, for those who have to mend it at its source."""

from typing import Any

import sqlalchemy as sa

from warehouse.importers.patient_values import looks_personal
from warehouse.queries.lines import Rows
from warehouse.schema.ledger import AuditEvent, Load, RejectedRow

NOT_SHOWN = "(not shown: looks like a person's)"


def loads_query(*, refused_only: bool) -> sa.Select[Any]:
    """Loads, newest first; those with refused rows, or that were refused as a whole, alone."""
    query = sa.select(Load.__table__).order_by(Load.load_id.desc())
    bad = sa.or_(Load.rejected > 0, Load.notes.startswith("refused: "))
    return query.where(bad) if refused_only else query


def load(connection: sa.Connection, load_id: int) -> sa.RowMapping | None:
    """One load."""
    return connection.execute(sa.select(Load.__table__).where(Load.load_id == load_id)).mappings().one_or_none()


def loader_names(connection: sa.Connection, loads: Rows) -> dict[int, str]:
    """Who loaded each file, by load: the audit trail's name; none where nothing was changed or refused."""
    subjects = {subject for load in loads for _, subject in _events_of(load)}
    query = (
        sa.select(AuditEvent.action, AuditEvent.subject, AuditEvent.actor_name, AuditEvent.at)
        .where(AuditEvent.subject.in_(sorted(subjects)))
        .order_by(AuditEvent.sequence)
    )
    events = connection.execute(query).all()
    names = {}
    for load in loads:
        # the event is written at the end of the load's transaction, the load's moment has no fraction of a second
        later = [
            who
            for action, event_subject, who, at in events
            if (action, event_subject) in _events_of(load) and at >= load["loaded_at"]
        ]
        if later:
            names[load["load_id"]] = later[0]
    return names


def _events_of(load: sa.RowMapping) -> list[tuple[str, str]]:
    """Action and subject of the event of a load: of a file, or of what a system pushed."""
    table = load["table_name"]
    return [(f"{table}.load", f"file:{load['file']}"), (f"{table}.push", f"load:{load['load_id']}")]


def refused_rows_query(load: sa.RowMapping) -> sa.Select[Any]:
    """The refused rows of a load, by line. A file that is loaded again lists only what is new; the rest is with the
    first load of the same file, and counts here too."""
    same = sa.select(Load.load_id).where(
        Load.sha256 == load["sha256"], Load.table_name == load["table_name"], Load.load_id <= load["load_id"]
    )
    return (
        sa.select(RejectedRow.__table__)
        .where(RejectedRow.load_id.in_(same), RejectedRow.file == load["file"])
        .order_by(RejectedRow.line, RejectedRow.column_name, RejectedRow.rejected_row_id)
    )


def displayed_row(row: sa.RowMapping) -> dict[str, Any]:
    """A refused row as it may be shown: a value that looks like a person's is not."""
    value = row["value"]
    return {**row, "value": NOT_SHOWN if looks_personal(value) else value}
