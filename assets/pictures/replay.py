"""Pictures of a replay as small SVG drawings: what service costs in stock and waste under each rule."""

import numpy as np
import pandas as pd

from assets.dagster_io.metadata import svg_picture
from assets.pictures.svg import document, legend, line, points, polyline, text

COLOURS = {
    "par_levels": "#8c8c8c",
    "recent_peak": "#d95f02",
    "plan_without_genetics": "#41ab5d",
    "plan": "#08519c",
}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 330, 76, 34, 50, 44
LEAST_FILL = 0.80
"""Tries that serve less are not drawn."""


def replay_pictures(scores: pd.DataFrame) -> dict[str, str]:
    """The drawings as markdown for the Dagster UI, by name."""
    return {name: svg_picture(svg, _title(name)) for name, svg in replay_drawings(scores).items()}


def replay_drawings(scores: pd.DataFrame) -> dict[str, str]:
    """SVG of each segment's picture by name, from rows of `replay_scores`; none without rows or without prices."""
    priced = scores.dropna(subset="mean_stock_value")
    return {f"replay, {segment}": _drawing(rows, _title(str(segment))) for segment, rows in priced.groupby("segment")}


def _title(segment: str) -> str:
    return f"Stock and waste against demand met, {segment.removeprefix('replay, ')} items: lower right is better"


def _drawing(rows: pd.DataFrame, title: str) -> str:
    rows = rows.assign(burden=rows["mean_stock_value"] + rows["expired_value"])
    as_is = rows["level_factor"] == 1
    shown = rows[as_is | (rows["fill_rate"] >= LEAST_FILL)]
    low = np.floor(float(shown["fill_rate"].min()) * 50) / 50
    # what serves the last tenth of a percent may take a multiple of the stock: the marks shall stay legible
    top = min(float(shown["burden"].max()), 2.2 * float(shown.loc[shown["level_factor"] == 1, "burden"].max())) * 1.06
    foot = HEIGHT - BOTTOM

    def across(fill: float) -> float:
        return float(LEFT + (fill - low) / max(1 - low, 1e-9) * (WIDTH - LEFT - RIGHT))

    def down(value: float) -> float:
        return float(foot - min(value / max(top, 1e-9), 1.0) * (foot - TOP))

    body = legend({name: COLOURS[name] for name in COLOURS if name in set(shown["rule"])})
    for mark in np.linspace(0, top, 5):
        y = down(mark)
        body += [line(LEFT, y, WIDTH - RIGHT, y), text(LEFT - 6, y + 4, _short(mark), "end")]
    for mark in np.linspace(low, 1, 6):
        body.append(text(across(mark), foot + 16, f"{mark:.1%}", "middle"))
    caption = "share of demand met from the shelf; large marks: as it is today"
    body.append(text(WIDTH - RIGHT, foot + 34, caption, "end"))
    for name, colour in COLOURS.items():
        tries = shown[(shown["rule"] == name) & (shown["burden"] <= top)].sort_values("fill_rate")
        corners = points([across(fill) for fill in tries["fill_rate"]], [down(value) for value in tries["burden"]])
        body.append(polyline(corners, colour))
        for fill, burden, factor in tries[["fill_rate", "burden", "level_factor"]].itertuples(index=False):
            radius = 6 if factor == 1 else 2.2
            body.append(f'<circle cx="{across(fill):.1f}" cy="{down(burden):.1f}" r="{radius}" fill="{colour}"/>')
    return document(body, WIDTH, HEIGHT, title)


def _short(value: float) -> str:
    return f"{value / 1e6:,.1f}M" if value >= 1e7 else f"{value / 1e3:,.0f}k" if value >= 1e4 else f"{value:,.0f}"
