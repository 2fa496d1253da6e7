"""The one way an asset is declared: it bears its table's name, documentation and columns, and lists its inputs once."""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg
import pandas as pd

from assets.dagster_io.metadata import table_schema
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.run_tables import RunTables
from warehouse.schema import Base

INPUTS = "stage_1_inputs"
PHARMACOGENOMICS = "stage_2_pharmacogenomics"
REGIMENS = "stage_3_regimens"
DEMAND = "stage_4_demand"
PROCUREMENT = "stage_5_procurement"


def stage_of(group: str) -> str:
    """The stage's name as the problems table has it.

    >>> stage_of(DEMAND)
    'demand'
    """
    return group.split("_", 2)[2]


def table_asset(
    *models: type[Base],
    group: str,
    inputs: Sequence[str],
    deps: Sequence[Any] = (),
    config: type[dg.Config] | None = None,
    **options: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """A Dagster asset for the tables of the models, from a function of `RunTables` (and of its `config`).

    The function is given the tables of `inputs`, among them `runs`, and no other. It returns one `AssetResult` a model.
    `deps` are assets that must come first and are not read; `options` override what is declared of a single table.
    """

    def declare(compute: Callable[..., Any]) -> dg.AssetsDefinition:
        step = _step(compute, config)
        ins = {name: dg.AssetIn() for name in inputs}
        if len(models) > 1:
            outs = {model.__tablename__: dg.AssetOut(**table_facts(model, group)) for model in models}
            return dg.multi_asset(name=compute.__name__, outs=outs, ins=ins, deps=list(deps))(step)
        if compute.__name__ != models[0].__tablename__:
            raise ValueError(f"asset {compute.__name__} writes table {models[0].__tablename__}: give both one name")
        facts = table_facts(models[0], group) | options
        declared: dg.AssetsDefinition = dg.asset(name=compute.__name__, ins=ins, deps=list(deps), **facts)(step)
        return declared

    return declare


def _step(compute: Callable[..., Any], config: type[dg.Config] | None) -> Any:
    """The function as Dagster calls it: with the warehouse and a frame for each input, by name."""

    def step(warehouse: Warehouse, **frames: pd.DataFrame) -> Any:
        return compute(RunTables.declared(warehouse, frames))

    def configured(warehouse: Warehouse, config: Any, **frames: pd.DataFrame) -> Any:
        return compute(RunTables.declared(warehouse, frames), config)

    called: Any = step if config is None else configured
    # Dagster reads from the annotations what a run may set and what comes back
    called.__annotations__ |= {"return": compute.__annotations__["return"]} | ({"config": config} if config else {})
    called.__doc__ = compute.__doc__
    return called


def table_facts(model: type[Base], group: str) -> dict[str, Any]:
    """What Dagster shows of a table's asset, and where its rows are kept."""
    table: Any = model.__table__
    return {
        "group_name": group,
        "description": table.comment,
        "metadata": {"dagster/column_schema": table_schema(table), "stage": stage_of(group)},
        "io_manager_key": "warehouse_io",
        "kinds": {"table"},
    }
