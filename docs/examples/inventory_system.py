"""An inventory system's round with pgx-supply: push stock, see what was approved, order it once, hand on the answer.

Copy it and replace `counted_stock` and `send_to_supplier` by your own. Run it as often as you like: stock that is there
already changes nothing, and an export that was lost on the way comes back under the same name.

    PGX_SUPPLY_URL=http://127.0.0.1:8000 PGX_SUPPLY_KEY=pgx_... python inventory_system.py STATE_FOLDER

The key needs the scopes stock:write, recommendations:read and orders:write.
"""

import os
import sys
import uuid
from pathlib import Path

from api.client import Client, Refused
from api.orders.models import AcknowledgedLine, AcknowledgedOrderOut


def main(state: Path) -> None:
    """One round."""
    with Client(os.environ["PGX_SUPPLY_URL"], os.environ["PGX_SUPPLY_KEY"]) as pgx:
        report = pgx.push_stock(counted_stock())
        for row in report.rejected_rows:
            say(f"row {row.row}, {row.field}: {row.reason}")
        say(f"stock: {report.accepted} new, {report.unchanged} known, {report.rejected} refused")
        waiting = list(pgx.recommendations())
        say(f"approved: {len(waiting)} lines")
        if waiting or pending(state).exists():
            order(pgx, state)


def order(pgx: Client, state: Path) -> None:
    """Order everything that is approved. The name of the attempt is on disk before it is sent, until it is done."""
    if not pending(state).exists():
        pending(state).write_text(str(uuid.uuid4()))
    try:
        export = pgx.export_orders(pending(state).read_text())
    except Refused as refused:
        if refused.problem.get("type") != "urn:pgx-supply:problem:nothing-to-export":
            raise
        say("nothing to order")
    else:
        for one in export.orders:
            send_to_supplier(one.order_number, pgx.order_document(one.order_number, "csv"), state)
            accept(pgx, pgx.order(one.order_number))
    pending(state).unlink()


def accept(pgx: Client, order: AcknowledgedOrderOut) -> None:
    """Hand on that the supplier took every line, where it has not been said yet."""
    lines = [line for line in order.lines if line.acknowledgement is None]
    if lines:
        answers = [{"line_number": line.line_number, "status": "accepted"} for line in lines]
        pgx.acknowledge(order.order_number, [AcknowledgedLine.model_validate(one) for one in answers])
        say(f"{order.order_number}: {len(lines)} lines acknowledged")


def pending(state: Path) -> Path:
    """Where the attempt's name is kept."""
    return state / "export-in-progress"


def counted_stock() -> list[dict[str, object]]:
    """Your counts: one row per site, product and lot."""
    counted = {"facility_id": "north", "product_id": "clopidogrel-75", "counted_at": "2026-11-23T08:30:00Z"}
    return [counted | {"lot": "A123", "quantity": 280, "expiry_date": "2027-08-31", "status": "available"}]


def send_to_supplier(order_number: str, document: str, state: Path) -> None:
    """Your road to the supplier; here a file."""
    (state / f"{order_number}.csv").write_text(document, newline="")


def say(text: str) -> None:
    """A line for the log."""
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
