"""The one way an asset is declared: it bears its table's name, documentation and columns."""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg
import sqlalchemy as sa

from assets.dagster_io.metadata import table_schema
from warehouse.schema import Base

INPUTS = "stage_1_inputs"
PHARMACOGENOMICS = "stage_2_pharmacogenomics"
REGIMENS = "stage_3_regimens"
DEMAND = "stage_4_demand"
PROCUREMENT = "stage_5_procurement"


def stage_of(group: str) -> str:
    """The stage's word as the problems table has it.

    >>> stage_of(DEMAND)
    'demand'
    """
    return group.split("_", 2)[2]


def table_asset(
    model: type[Base], *, group: str, deps: Sequence[Any] = (), **options: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """A Dagster asset that returns `Staged` rows for the model's table; its parameters are upstream tables by name."""
    table: Any = model.__table__

    def declare(compute: Callable[..., Any]) -> dg.AssetsDefinition:
        if compute.__name__ != table.name:
            raise ValueError(f"asset {compute.__name__} writes table {table.name}: give both one name")
        declared: dg.AssetsDefinition = dg.asset(deps=list(deps), **_facts(table, group), **options)(compute)
        return declared

    return declare


def table_out(model: type[Base], *, group: str) -> dg.AssetOut:
    """The same for one of several tables that one computation writes."""
    table: Any = model.__table__
    return dg.AssetOut(**_facts(table, group))


def table_facts(model: type[Base], group: str) -> dict[str, Any]:
    """The same facts for an asset that is declared in another way (a graph of steps)."""
    table: Any = model.__table__
    return _facts(table, group)


def _facts(table: sa.Table, group: str) -> dict[str, Any]:
    return {
        "group_name": group,
        "description": table.comment,
        "metadata": {"dagster/column_schema": table_schema(table), "stage": stage_of(group)},
        "io_manager_key": "warehouse_io",
        "kinds": {"table"},
    }
