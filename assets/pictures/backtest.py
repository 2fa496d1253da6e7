"""Pictures of a backtest as small SVG drawings: accuracy by horizon, coverage, value added by each step."""

from html import escape

import numpy as np
import pandas as pd

from assets.dagster_io.metadata import svg_picture

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
    return {name: document(body, height, TITLES[name]) for name, (body, height) in bodies.items()}


def document(body: list[str], height: float, title: str) -> str:
    """An SVG drawing of the house's width with its title."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" font-family="sans-serif" font-size="12" role="img">'
        f'<title>{escape(title)}</title><rect width="100%" height="100%" fill="#fff"/>'
        f"{words_at(10, 16, title)}{''.join(body)}</svg>"
    )


def words_at(x: float, y: float, words: str, anchor: str = "start", colour: str = "#333") -> str:
    """A line of text, its foot at y."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str = "#ccc", dash: str = "") -> str:
    """A straight line."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dashed}/>'


def _across(value: float, low: float, high: float) -> float:
    return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)


def legend(names: dict[str, str]) -> list[str]:
    """A coloured square and a word for each name."""
    parts, x = [], 10.0
    for name, colour in names.items():
        words = name.replace("_", " ")
        parts += [f'<rect x="{x:.0f}" y="25" width="10" height="10" fill="{colour}"/>', words_at(x + 14, 34, words)]
        x += 30 + 7 * len(words)
    return parts


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
        body += [line(60, down(mark), WIDTH - RIGHT, down(mark)), words_at(54, down(mark) + 4, f"{mark:.0%}", "end")]
    wide = WIDTH - RIGHT - 70
    place = {ahead: 65 + (ahead - first) / max(last - first, 1) * wide for ahead in range(first, last + 1)}
    every = max(1, (last - first + 1) // 13)
    body += [words_at(place[ahead], foot + 16, str(ahead), "middle") for ahead in range(first, last + 1, every)]
    body.append(words_at(WIDTH - RIGHT, foot + 32, "periods ahead", "end"))
    for stage, rows in shown.groupby("stage", sort=False):
        points = " ".join(
            f"{place[ahead]:.1f},{down(value):.1f}" for ahead, value in zip(rows["ahead"], rows["value"], strict=True)
        )
        colour = COLOURS.get(str(stage), "#333")
        body.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return body, LINES_HEIGHT


def _whole(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[scores["horizon"] == "all"]


def _coverage(scores: pd.DataFrame) -> tuple[list[str], float]:
    """Of the last step, by segment."""
    whole = _whole(scores)
    shown = whole[(whole["stage"] == whole["stage"].iloc[-1]) & whole["metric"].isin(NOMINAL)].dropna(subset="value")
    segments = list(dict.fromkeys(shown["segment"]))
    low, height = min(0.3, float(shown["value"].min()) - 0.02), TOP + ROW * len(segments) + BOTTOM
    body = legend({f"{nominal:.0%} interval": colour for nominal, colour in NOMINAL.values()})
    for mark in np.arange(np.ceil(low * 10) / 10, 1.01, 0.1):
        body.append(words_at(_across(mark, low, 1), height - 22, f"{mark:.0%}", "middle"))
    for nominal, colour in NOMINAL.values():
        body.append(line(_across(nominal, low, 1), TOP, _across(nominal, low, 1), height - BOTTOM, colour, "5 4"))
    for row, segment in enumerate(segments):
        y = TOP + ROW * (row + 0.5)
        body += [words_at(LEFT - 10, y + 4, segment, "end"), line(LEFT, y, WIDTH - RIGHT, y, "#eee")]
        for _, one in shown[shown["segment"] == segment].iterrows():
            x, colour = _across(one["value"], low, 1), NOMINAL[one["metric"]][1]
            body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
    return body, height


def _value_added(scores: pd.DataFrame) -> tuple[list[str], float]:
    whole = _whole(scores)
    shown = whole[whole["metric"] == "mase"].dropna(subset="value_added")
    if shown.empty:
        return [words_at(10, TOP + 10, "no step has one before it to be compared with")], TOP + BOTTOM
    segments, stages = list(dict.fromkeys(shown["segment"])), list(dict.fromkeys(shown["stage"]))
    low, high = min(float(shown["value_added"].min()), -0.05) * 1.15, max(float(shown["value_added"].max()), 0.05) * 1.2
    height = TOP + ROW * len(segments) + BOTTOM
    body = legend({stage: COLOURS.get(stage, "#333") for stage in stages})
    thick = (ROW - 6) / len(stages)
    for row, segment in enumerate(segments):
        body.append(words_at(LEFT - 10, TOP + ROW * (row + 0.5) + 4, segment, "end"))
        for number, stage in enumerate(stages):
            found = shown.loc[(shown["segment"] == segment) & (shown["stage"] == stage), "value_added"]
            if len(found):
                body += _bar(float(found.iloc[0]), TOP + ROW * row + 3 + thick * number, thick, stage, (low, high))
    body.append(line(_across(0, low, high), TOP, _across(0, low, high), height - BOTTOM, "#333"))
    return body, height


def _bar(value: float, y: float, thick: float, stage: str, reach: tuple[float, float]) -> list[str]:
    start, end = sorted((_across(0, *reach), _across(value, *reach)))
    after = _across(value, *reach)
    colour = COLOURS.get(stage, "#333")
    label = (
        words_at(after + 4, y + thick - 1, f"{value:+.1%}")
        if value >= 0
        else words_at(after - 4, y + thick - 1, f"{value:+.1%}", "end")
    )
    size = f'x="{start:.1f}" y="{y:.1f}" width="{max(end - start, 0.5):.1f}" height="{thick - 1:.1f}"'
    return [f'<rect {size} fill="{colour}"/>', label]
