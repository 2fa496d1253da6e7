"""Stage 4, demand: totals forecast by Prophet and statsmodels beside the engine, for those who ask."""

import dagster as dg
import numpy as np
import pandas as pd

from assets.dagster_io.asset_result import AssetResult, ProblemRow, problems_frame
from assets.dagster_io.metadata import svg_picture
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import DEMAND, table_asset
from assets.pictures.forecasts import lines_chart
from assets.sites.reference_demand import known_panel
from forecasting.demand.model_comparison import ModelComparison, compare_models, total_of
from forecasting.demand.series import DemandPanel
from forecasting.demand.strengths import amount_per_unit
from forecasting.errors import InvalidInput
from forecasting.terms import ALL_FACILITIES, ComparedModel
from warehouse.schema.results import AggregateForecast

LARGEST = 5
"""Drugs that are compared when none is named: those with most money in the plan."""

EVERY_STRENGTH = "*"
DISAGREE = 0.15
"""A plan whose sum over the horizon is further than this from the best forecast of the total is said to disagree."""


class AggregateConfig(dg.Config):
    """Which totals: drugs over the network (default: the largest), or one product at one site."""

    drugs: list[str] = []
    facility_id: str = ALL_FACILITIES
    product_id: str = EVERY_STRENGTH


@table_asset(
    AggregateForecast,
    group=DEMAND,
    inputs=("runs", "reference_demand", "baseline_forecasts", "products"),
    config=AggregateConfig,
)
def aggregate_forecasts(tables: RunTables, config: AggregateConfig) -> AssetResult:
    """Totals as the engine, Prophet and statsmodels forecast them, and as the plan's sites add up."""
    run, products = tables.run, tables["products"]
    panel = known_panel(tables["reference_demand"], run)
    weight, unit = amount_per_unit(products)
    drug = products.set_index("product_id")["drug"]
    chosen = panel.select(_chosen_series(config, panel, tables))
    product_ids = list(chosen.product_ids)
    total = total_of(chosen, weight.loc[product_ids].to_numpy(), drug.loc[product_ids].tolist())
    comparison = compare_models(total, run.horizon)
    planned = _planned(tables["baseline_forecasts"], config, weight, drug, total.product_ids)
    starts = run.future_starts(total.first_start)
    frame = _rows(comparison, total, starts, planned).assign(
        facility_id=config.facility_id, product_id=config.product_id
    )
    frame["unit"] = frame["drug"].map(unit).to_numpy()
    pictures = {
        f"total of {name}": _picture(name, total, comparison, number) for number, name in enumerate(total.product_ids)
    }
    return AssetResult(frame.assign(as_of=run.as_of), _disagreements(frame), pictures)


def _chosen_series(config: AggregateConfig, panel: DemandPanel, tables: RunTables) -> np.ndarray:
    """Whether the totals are made of each series of the panel [series]."""
    products = tables["products"]
    series_product = np.array(panel.product_ids, dtype=object)
    drug = products.set_index("product_id")["drug"].reindex(series_product).to_numpy(dtype=object)
    rows = np.full(len(series_product), True)
    if config.facility_id != ALL_FACILITIES:
        rows &= np.array(panel.facility_ids, dtype=object) == config.facility_id
    if config.product_id != EVERY_STRENGTH:
        rows &= series_product == config.product_id
    elif config.drugs or config.facility_id == ALL_FACILITIES:
        rows &= np.isin(drug, config.drugs or _largest(products, tables["baseline_forecasts"]))
    if not rows.any():
        drugs = ", ".join(config.drugs) or "*"
        chosen = f"drug {drugs}, product {config.product_id}, facility {config.facility_id}"
        raise InvalidInput(f"no series of the plan's history is of {chosen}")
    return rows


def _largest(products: pd.DataFrame, baseline_forecasts: pd.DataFrame) -> list[str]:
    units = baseline_forecasts.groupby("product_id")["mean"].sum().reindex(products["product_id"]).fillna(0.0)
    price = (products["pack_price"].astype(float) / products["pack_size"].astype(float)).fillna(0.0).to_numpy()
    money = pd.Series(units.to_numpy() * price).groupby(products["drug"].to_numpy()).sum()
    return [str(name) for name in money.sort_values(ascending=False).index[:LARGEST]]


def _planned(
    forecasts: pd.DataFrame, config: AggregateConfig, weight: pd.Series, drug: pd.Series, drugs: tuple[str, ...]
) -> np.ndarray:
    """The plan's own sum [drug, horizon]."""
    rows = forecasts
    if config.facility_id != ALL_FACILITIES:
        rows = rows[rows["facility_id"] == config.facility_id]
    if config.product_id != EVERY_STRENGTH:
        rows = rows[rows["product_id"] == config.product_id]
    # a map over no rows keeps the type of text
    amount = rows["mean"].astype(float) * rows["product_id"].map(weight).astype(float)
    of_drug = rows.assign(drug=rows["product_id"].map(drug), amount=amount)
    table = of_drug.pivot_table(index="drug", columns="period_start", values="amount", aggfunc="sum")
    return table.reindex(list(drugs)).to_numpy(dtype=float)


def _rows(
    comparison: ModelComparison, total: DemandPanel, starts: pd.DatetimeIndex, planned: np.ndarray
) -> pd.DataFrame:
    """A row a model, drug and period."""
    models, _, horizon = comparison.mean.shape
    each = pd.MultiIndex.from_product(
        [list(comparison.models), list(total.product_ids), list(starts)], names=["model", "drug", "period_start"]
    )
    chosen = np.arange(models)[:, None] == comparison.best
    return each.to_frame(index=False).assign(
        mean=comparison.mean.ravel(),
        error=np.repeat(comparison.error.ravel(), horizon),
        chosen=np.repeat(chosen.ravel(), horizon),
        planned=np.tile(planned.ravel(), models),
    )


def _disagreements(frame: pd.DataFrame) -> pd.DataFrame:
    """Totals whose plan lies far from the best forecast of the total itself, for a person to judge."""
    best = frame[frame["chosen"]].dropna(subset="planned")
    rows: list[ProblemRow] = []
    for drug, of_drug in best.groupby("drug"):
        wanted, planned = float(of_drug["mean"].sum()), float(of_drug["planned"].sum())
        if wanted > 0 and abs(planned / wanted - 1) > DISAGREE:
            model = str(of_drug["model"].iloc[0]).replace("_", " ")
            message = (
                f"{drug}: the sites' forecasts sum to {planned:,.0f} {of_drug['unit'].iloc[0]} over the horizon,"
                f" the best forecast of the total ({model}) to {wanted:,.0f}"
            )
            rows.append((None, drug, "total_disagrees", message))
    return problems_frame(rows)


def _picture(drug: str, total: DemandPanel, comparison: ModelComparison, number: int) -> str:
    starts = total.period_starts()
    ahead = [total.period.step(total.first_start, len(starts) + step) for step in range(comparison.mean.shape[2])]
    lines = {
        str(model).replace("_", " "): comparison.mean[place, number] for place, model in enumerate(comparison.models)
    }
    best = ComparedModel(comparison.models[comparison.best[number]]).replace("_", " ")
    title = f"{drug}, total: history and what each forecasts; {best} was closest on held-out periods"
    return svg_picture(lines_chart(starts, total.values[number], ahead, lines, title), title)
