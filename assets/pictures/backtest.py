"""Pictures of a backtest as small SVG drawings: accuracy by horizon, coverage, value added by each step."""

import numpy as np
import pandas as pd

from assets.dagster_io.metadata import svg_picture
from assets.pictures.svg import document, legend, line, points, polyline, text

WIDTH, LEFT, RIGHT, TOP, BOTTOM, ROW = 760, 170, 20, 44, 40, 26
LINES_HEIGHT = 240
# in the order in which the steps build on one another
COLOURS = {"seasonal_naive": "#8c8c8c", "baseline": "#d95f02", "genetic": "#08519c", "override": "#7a0177"}
NOMINAL = {"coverage_50": (0.50, "#74a9cf"), "coverage_80": (0.80, "#2b8cbe"), "coverage_95": (0.95, "#045a8d")}
TITLES = {
    "accuracy by horizon": "Error (WAPE) by periods ahead, all series; lower is better",
    "coverage": "Share of held-out periods inside the last step's intervals; dashed lines are what they promise",
    "value added": "Share of the error (MASE) that a step takes off the one before it; left of zero it adds to it",
}


def score_pictures(scores: pd.DataFrame) -> dict[str, str]:
    """The drawings as markdown for the Dagster UI, by name."""
    return {name: svg_picture(svg, TITLES[name]) for name, svg in score_drawings(scores).items()}


def score_drawings(scores: pd.DataFrame) -> dict[str, str]:
    """SVG of each picture by name, from rows of `backtest_scores`; none without rows."""
    if scores.empty:
        return {}
    scores = scores.sort_values("stage", key=lambda names: names.map(list(COLOURS).index), kind="stable")
    bodies = {
        "accuracy by horizon": _accuracy_by_horizon(scores),
        "coverage": _coverage(scores),
        "value added": _value_added(scores),
    }
    return {name: document(body, WIDTH, height, TITLES[name]) for name, (body, height) in bodies.items()}


def _across(value: float, low: float, high: float) -> float:
    return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)


def _accuracy_by_horizon(scores: pd.DataFrame) -> tuple[list[str], float]:
    single = scores["horizon"].str.fullmatch(r"\d+")
    shown = scores[(scores["segment"] == "all") & (scores["metric"] == "wape") & single].dropna(subset="value")
    shown = shown.assign(ahead=shown["horizon"].astype(int)).sort_values("ahead")
    first, last = int(shown["ahead"].min()), int(shown["ahead"].max())
    top = max(float(shown["value"].max()), 1e-9) * 1.05
    foot = LINES_HEIGHT - BOTTOM

    def down(value: float) -> float:
        return foot - value / top * (foot - TOP)

    body = legend({stage: COLOURS.get(stage, "#333") for stage in shown["stage"].unique()})
    for mark in np.linspace(0, top, 5):
        body += [line(60, down(mark), WIDTH - RIGHT, down(mark)), text(54, down(mark) + 4, f"{mark:.0%}", "end")]
    wide = WIDTH - RIGHT - 70
    place = {ahead: 65 + (ahead - first) / max(last - first, 1) * wide for ahead in range(first, last + 1)}
    every = max(1, (last - first + 1) // 13)
    body += [text(place[ahead], foot + 16, str(ahead), "middle") for ahead in range(first, last + 1, every)]
    body.append(text(WIDTH - RIGHT, foot + 32, "periods ahead", "end"))
    for stage, rows in shown.groupby("stage", sort=False):
        corners = points([place[ahead] for ahead in rows["ahead"]], [down(value) for value in rows["value"]])
        body.append(polyline(corners, COLOURS.get(str(stage), "#333"), width=2))
    return body, LINES_HEIGHT


def _all_horizons(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[scores["horizon"] == "all"]


def _coverage(scores: pd.DataFrame) -> tuple[list[str], float]:
    """Of the last step, by segment."""
    scores = _all_horizons(scores)
    last = scores["stage"] == scores["stage"].iloc[-1]
    shown = scores[last & scores["metric"].isin(NOMINAL)].dropna(subset="value")
    segments = list(dict.fromkeys(shown["segment"]))
    low, height = min(0.3, float(shown["value"].min()) - 0.02), TOP + ROW * len(segments) + BOTTOM
    body = legend({f"{nominal:.0%} interval": colour for nominal, colour in NOMINAL.values()})
    for mark in np.arange(np.ceil(low * 10) / 10, 1.01, 0.1):
        body.append(text(_across(mark, low, 1), height - 22, f"{mark:.0%}", "middle"))
    for nominal, colour in NOMINAL.values():
        body.append(line(_across(nominal, low, 1), TOP, _across(nominal, low, 1), height - BOTTOM, colour, "5 4"))
    for row, segment in enumerate(segments):
        y = TOP + ROW * (row + 0.5)
        body += [text(LEFT - 10, y + 4, segment, "end"), line(LEFT, y, WIDTH - RIGHT, y, "#eee")]
        for _, score in shown[shown["segment"] == segment].iterrows():
            x, colour = _across(score["value"], low, 1), NOMINAL[score["metric"]][1]
            body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
    return body, height


def _value_added(scores: pd.DataFrame) -> tuple[list[str], float]:
    scores = _all_horizons(scores)
    shown = scores[scores["metric"] == "mase"].dropna(subset="value_added")
    if shown.empty:
        return [text(10, TOP + 10, "no step has one before it to be compared with")], TOP + BOTTOM
    segments, stages = list(dict.fromkeys(shown["segment"])), list(dict.fromkeys(shown["stage"]))
    low, high = min(float(shown["value_added"].min()), -0.05) * 1.15, max(float(shown["value_added"].max()), 0.05) * 1.2
    height = TOP + ROW * len(segments) + BOTTOM
    body = legend({stage: COLOURS.get(stage, "#333") for stage in stages})
    thick = (ROW - 6) / len(stages)
    for row, segment in enumerate(segments):
        body.append(text(LEFT - 10, TOP + ROW * (row + 0.5) + 4, segment, "end"))
        for number, stage in enumerate(stages):
            value = shown.loc[(shown["segment"] == segment) & (shown["stage"] == stage), "value_added"]
            if len(value):
                body += _bar(float(value.iloc[0]), TOP + ROW * row + 3 + thick * number, thick, stage, (low, high))
    body.append(line(_across(0, low, high), TOP, _across(0, low, high), height - BOTTOM, "#333"))
    return body, height


def _bar(value: float, y: float, thick: float, stage: str, reach: tuple[float, float]) -> list[str]:
    start, end = sorted((_across(0, *reach), _across(value, *reach)))
    after = _across(value, *reach)
    colour = COLOURS.get(stage, "#333")
    offset, anchor = (4, "start") if value >= 0 else (-4, "end")
    label = text(after + offset, y + thick - 1, f"{value:+.1%}", anchor)
    size = f'x="{start:.1f}" y="{y:.1f}" width="{max(end - start, 0.5):.1f}" height="{thick - 1:.1f}"'
    return [f'<rect {size} fill="{colour}"/>', label]
