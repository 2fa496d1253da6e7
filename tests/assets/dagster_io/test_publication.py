"""Publishing lines beside what people decided, and an IO manager that writes all or nothing."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from assets.dagster_io.asset_result import AssetResult
from assets.dagster_io.resources import WarehouseIOManager
from forecasting.errors import InvalidInput
from warehouse.engine import writing
from warehouse.publication import LINES, Calculations, PublishedRun, ordered_lines, publish

DAY = dt.date(2026, 11, 23)
NOW = dt.datetime(2026, 11, 23, 5, tzinfo=dt.UTC).replace(tzinfo=None)


def publish_copies(engine: sa.Engine, template: pd.Series, names: list[str], **options: Any) -> None:
    columns = [*template.index.drop(["as_of", "status", "version", "updated_at"])]
    lines = pd.DataFrame([template[columns]] * len(names), columns=columns).assign(recommendation_id=names)
    run = PublishedRun(**({"run_id": "r", "as_of": DAY} | options))
    with writing(engine) as connection:
        publish(connection, lines, Calculations([{"n": name} for name in names], names), run, NOW)


def statuses(engine: sa.Engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(LINES.c.recommendation_id, LINES.c.status))
        return {row[0]: row[1] for row in rows}


def decide(engine: sa.Engine, name: str, status: str) -> None:
    with engine.begin() as connection:
        connection.execute(LINES.update().where(LINES.c.recommendation_id == name).values(status=status))


@pytest.fixture
def worklist(copied: Callable[[], Any]) -> tuple[sa.Engine, pd.Series]:
    """A database without lines, and one line to make others from."""
    mine = copied()
    template = mine.table("recommendations").iloc[0]
    mine.execute("DELETE FROM explanations")
    mine.execute("DELETE FROM recommendations")
    return mine.warehouse.engine, template


def test_undecided_lines_are_superseded_and_come_back_when_proposed_again(worklist: Any) -> None:
    engine, template = worklist
    publish_copies(engine, template, ["a", "b", "c"])
    decide(engine, "a", "approved")
    publish_copies(engine, template, ["c"])
    assert statuses(engine) == {"a": "approved", "b": "superseded", "c": "proposed"}
    publish_copies(engine, template, ["a", "b", "c"])
    assert statuses(engine) == {"a": "approved", "b": "proposed", "c": "proposed"}
    publish_copies(engine, template, [], facilities=("elsewhere",))
    assert statuses(engine)["c"] == "proposed"
    publish_copies(engine, template, [], as_of=DAY - dt.timedelta(days=7))
    assert statuses(engine)["c"] == "proposed"


def test_decided_lines_on_their_way_are_what_is_ordered(worklist: Any) -> None:
    engine, template = worklist
    states = ["approved", "modified", "rejected", "superseded", "exported", "acknowledged", "received", "proposed"]
    publish_copies(engine, template, states)
    for state in states:
        decide(engine, state, state)
    with engine.connect() as connection:
        assert set(ordered_lines(connection, DAY)["status"]) == {"approved", "modified", "exported", "acknowledged"}
        assert ordered_lines(connection, DAY - dt.timedelta(days=1)).empty


def test_a_decision_made_while_a_run_publishes_is_kept(worklist: Any, new_engine: Callable[[str], sa.Engine]) -> None:
    engine, template = worklist
    team = new_engine("postgresql")
    line = template.to_dict() | {"recommendation_id": "a", "status": "proposed", "version": 1}
    tables = LINES.metadata.tables
    with engine.connect() as source, team.begin() as target:
        for name in ("suppliers", "facilities", "products"):
            rows = [dict(row) for row in source.execute(sa.select(tables[name])).mappings()]
            target.execute(tables[name].insert(), rows)
    publish_copies(team, pd.Series(line), ["a"])

    approved: list[str] = []

    def approve_meanwhile(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE recommendations") and not approved:
            approved.append("a")  # first: what follows is an update too
            decide(team, "a", "approved")

    sa.event.listen(team, "before_cursor_execute", approve_meanwhile)
    publish_copies(team, pd.Series(line), [])
    assert approved == ["a"]
    assert statuses(team) == {"a": "approved"}


def test_a_frame_that_breaks_a_rule_is_refused_and_the_old_rows_stay(copied: Callable[[], Any]) -> None:
    mine = copied()
    before = mine.table("exposure")
    bad = before.assign(exposure=1.5)
    manager = WarehouseIOManager(warehouse=mine.warehouse)
    context = dg.build_output_context(asset_key=dg.AssetKey("exposure"))
    with pytest.raises(InvalidInput, match="exposure"):
        manager.handle_output(context, AssetResult(bad))
    pd.testing.assert_frame_equal(mine.table("exposure"), before)
