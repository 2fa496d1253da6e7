"""The backtest's pictures say what its table says, whatever the order of its rows."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from assets.pictures.backtest import LEFT, RIGHT, WIDTH, score_drawings, score_pictures

STAGES = ("seasonal_naive", "baseline", "genetic")


def table() -> pd.DataFrame:
    rows = []
    for number, stage in enumerate(STAGES):
        for segment, horizon in [("all", "all"), ("dense & more", "all"), *(("all", str(h)) for h in range(1, 5))]:
            values = {"mase": 1 - 0.2 * number, "wape": 0.3 - 0.1 * number, "coverage_50": 0.5, "coverage_95": 0.95}
            values["coverage_80"] = 0.6 + 0.1 * number
            for metric, value in values.items():
                added = np.nan if number == 0 or metric.startswith("cov") else 0.2
                row = {"stage": stage, "segment": segment, "horizon": horizon, "metric": metric}
                rows.append(row | {"value": value, "value_added": added, "series": 3, "origins": 2})
    return pd.DataFrame(rows)


def test_the_drawings_are_well_formed_and_the_same_for_rows_in_any_order() -> None:
    drawn = score_drawings(table())
    assert list(drawn) == ["accuracy by horizon", "coverage", "value added"]
    assert score_drawings(table().sort_values(["stage", "segment"], kind="stable")) == drawn
    for svg in drawn.values():
        ET.fromstring(svg)
    assert all(text.startswith("![") for text in score_pictures(table()).values())


def test_coverage_is_that_of_the_last_step() -> None:
    circles = re.findall(r'<circle cx="([0-9.]+)"', score_drawings(table())["coverage"])
    share = 0.3 + (np.array(circles, dtype=float) - LEFT) / (WIDTH - LEFT - RIGHT) * 0.7
    assert sorted(set(share.round(2))) == [0.5, 0.8, 0.95]


def test_value_added_has_a_bar_a_step_and_segment_and_its_number() -> None:
    svg = score_drawings(table())["value added"]
    assert svg.count("+20.0%") == 4
    assert "dense &amp; more" in svg


@pytest.mark.parametrize("rows", [table().iloc[:0]])
def test_no_scores_give_no_pictures(rows: pd.DataFrame) -> None:
    assert score_drawings(rows) == {}
