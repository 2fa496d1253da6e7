"""`backtest`: how good each step of the forecast was on held-out periods, as tables that fit 100 columns."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli import common
from forecasting.terms import ALL_FACILITIES

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from warehouse.settings import Settings

STEPS = ("seasonal_naive", "baseline", "genetic", "override")
MEASURES = {
    "mase": "error / seasonal change",
    "rmsse": "the same, squared",
    "wape": "error / demand",
    "scaled_crps": "distribution, as mase",
    "weighted_quantile_loss": "quantiles / demand",
    "bias": "above 0 = too much",
    "coverage_50": "inside the 50 % interval",
    "coverage_80": "inside the 80 % interval",
    "coverage_95": "inside the 95 % interval",
}
SHORT_MEASURES = ("mase", "wape", "scaled_crps")


@click.command()
@common.as_of_option("the latest run's")
@common.pictures_option("the pictures (accuracy by horizon, coverage, value added)")
@click.option(
    "--drug",
    "drugs",
    multiple=True,
    metavar="NAME",
    help="Instead compare the engine with Prophet and statsmodels on this drug's total; may be repeated.",
)
@click.option("--product", metavar="ID", help="Instead compare them on this product.")
@click.option("--facility", metavar="ID", help="With --drug or --product: at this site, not the network.")
@common.database_option
def backtest(
    as_of: Any,
    pictures: Path | None,
    drugs: tuple[str, ...],
    product: str | None,
    facility: str | None,
    database: str | None,
) -> None:
    """Show how good each step of the forecast was on held-out periods.

    Each step (seasonal naive, baseline, genetic, override) forecast from what was known at several earlier origins of
    the run; value added is the share of the error that a step takes off the one before it. `pgx-supply export backtest`
    writes all of it to a file.
    """
    from rich.console import Console

    from warehouse.queries.exports import export_frame
    from warehouse.queries.override_value import as_forecast_edits, edit_sums, measured_edits

    if drugs or product:
        _compare(common.settings_with(database), drugs, product, facility)
        return
    if facility:
        raise click.UsageError("--facility goes with --drug or --product")
    with common.open_database(common.settings_with(database)).connect() as connection:
        scores = export_frame(connection, "backtest", as_of)
        _, overrides, packs = measured_edits(connection, None)
    if scores.empty:
        raise click.ClickException("the history is too short to hold any of it out: there is no backtest")
    console = Console()
    for table in (_by_measure(scores), _by_part(scores, "segment"), _by_part(scores, "horizon")):
        console.print(table)
        console.print()
    if "override" not in set(scores["stage"]):
        click.echo("Overrides: none had been set by these origins, so there is no step after genetic to measure.")
    if len(overrides) or len(packs):
        console.print(_edits({"forecast": edit_sums(overrides), "packs": edit_sums(as_forecast_edits(packs))}))
    if pictures:
        from assets.pictures.backtest import score_drawings

        common.write_pictures(pictures, score_drawings(scores))


def _compare(settings: "Settings", drugs: tuple[str, ...], product: str | None, facility: str | None) -> None:
    """The engine beside Prophet and statsmodels: errors on held-out periods and the horizon's sums."""
    from rich.console import Console

    from assets.execute import run_aggregates
    from warehouse.queries.exports import aggregate_comparison

    engine = common.open_database(settings)
    scope = {"facility_id": facility or ALL_FACILITIES, "product_id": product or "*"}
    with common.progress("fitting Prophet and statsmodels"):
        run_aggregates(settings.database_url, settings.home, drugs=drugs, **scope)
    with engine.connect() as connection:
        comparison = aggregate_comparison(connection)
    table = common.plain_table(
        "Totals over the horizon, by who forecasts; * = closest on held-out periods",
        ["drug", "model", "held-out error", "forecast", "plan", "unit"],
        left=("drug", "model", "unit"),
    )
    for row in comparison.to_dict("records"):
        marked = f"{_name(row['model'])}{' *' if row['chosen'] else ''}"
        sums = [common.cell(row[name], ",.0f") for name in ("mean", "planned")]
        table.add_row(row["drug"], marked, common.cell(row["error"], ".1%"), *sums, row["unit"])
    Console().print(table)


def _by_measure(scores: "pd.DataFrame") -> "Table":
    overall = scores[(scores["segment"] == "all") & (scores["horizon"] == "all")]
    steps = _steps(overall)
    series, origins = (overall[name].max() for name in ("series", "origins"))
    title = f"Backtest: {series} series, {origins} origins, {_ahead(scores)} periods ahead"
    added = [f"{_name(step)} adds" for step in steps[1:]]
    table = common.plain_table(
        title, ["measure", *map(_name, steps), *added, "what it is"], left=("measure", "what it is")
    )
    values = overall.pivot_table(index="metric", columns="stage", values="value", dropna=False)
    gains = overall.pivot_table(index="metric", columns="stage", values="value_added", dropna=False)
    for metric, meaning in MEASURES.items():
        cells = [common.cell(values.at[metric, step], ".3f") for step in steps]
        gained = [
            common.cell(gains.at[metric, step], "+.1%", "") if step in gains.columns else "" for step in steps[1:]
        ]
        table.add_row(
            metric.replace("weighted_quantile_loss", "quantile loss").replace("_", " "), *cells, *gained, meaning
        )
    return table


def _by_part(scores: "pd.DataFrame", part: str) -> "Table":
    """The short measures of each segment (all horizons), or of each band of the horizon (all series)."""
    other = "horizon" if part == "segment" else "segment"
    rows = scores[scores[other] == "all"]
    if part == "horizon":
        rows = rows[rows["horizon"].isin(["all", *_bands(rows)])]
    steps = _steps(rows)
    heads = [f"{metric.replace('scaled_', '')} {_short(step)}" for metric in SHORT_MEASURES for step in steps]
    title = f"By {part} ({', '.join(f'{_short(step)} = {_name(step)}' for step in steps)})"
    table = common.plain_table(title, [part, "series", *heads, "cov. 80", "bias"], left=(part,))
    values = rows.set_index([part, "stage", "metric"])["value"]
    series = rows.groupby(part, sort=False)["series"].max()
    for name in ["all", *_bands(rows)] if part == "horizon" else series.index:
        cells = [(step, metric) for metric in SHORT_MEASURES for step in steps]
        cells += [(steps[-1], metric) for metric in ("coverage_80", "bias")]
        numbers = [common.cell(values.get((name, *cell)), ".3f") for cell in cells]
        table.add_row(str(name), f"{series[name]:,}", *numbers)
    return table


def _edits(groups_by_kind: dict[str, list[dict[str, Any]]]) -> "Table":
    """Value of edits of forecasts and of packs once their periods were past: in total, by direction and size."""
    heads = ["edits of", "which", "edits", "came nearer", "error without", "error with", "they add"]
    table = common.plain_table("What people's edits were worth, dose units", heads, left=("edits of", "which"))
    for kind, groups in groups_by_kind.items():
        for sums in groups:
            if sums["group_by"] in ("all", "direction", "size"):
                errors = [f"{sums[name]:,.0f}" for name in ("error_without", "error_with")]
                added = common.cell(sums["relative"], "+.1%", "")
                table.add_row(kind, sums["group"], str(sums["edits"]), str(sums["improved"]), *errors, added)
    return table


def _bands(rows: "pd.DataFrame") -> list[str]:
    """Near, middle and far: the bands are stored before the single periods."""
    names = [name for name in dict.fromkeys(rows["horizon"]) if name != "all"]
    ends: list[str] = []
    reached = 0
    for name in sorted(names, key=lambda band: (int(band.split("-")[0]), -int(band.split("-")[-1]))):
        if int(name.split("-")[0]) == reached + 1:
            ends.append(name)
            reached = int(name.split("-")[-1])
    return ends


def _ahead(scores: "pd.DataFrame") -> int:
    return max(int(name.split("-")[-1]) for name in scores["horizon"].unique() if name != "all")


def _steps(scores: "pd.DataFrame") -> list[str]:
    return [step for step in STEPS if step in set(scores["stage"])]


def _name(code: str) -> str:
    return code.replace("_", " ")


def _short(step: str) -> str:
    return "".join(word[0] for word in step.split("_"))
