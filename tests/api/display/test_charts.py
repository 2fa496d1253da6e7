"""The fan chart: valid, true to its numbers, readable without seeing it."""

import datetime as dt
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.display.charts.fan_chart import Fan, fan_chart
from api.display.charts.svg import month_starts, nice_ceiling

START = dt.date(2026, 11, 23)
LEVELS = {"p025": 60, "p10": 70, "p25": 80, "p50": 90, "p75": 100, "p90": 110, "p975": 120}


def fan(history, weeks=8):
    rows = [
        {"period_start": START + dt.timedelta(weeks=n), "mean": 92.0, "baseline_mean": 85.0} | LEVELS
        for n in range(weeks)
    ]
    return Fan(
        [(START - dt.timedelta(weeks=len(history) - n), v) for n, v in enumerate(history)], rows, START, "units <"
    )


def test_the_chart_is_well_formed_and_says_what_it_shows():
    root = ET.fromstring(fan_chart(fan([80.0, None, 95.0]), width=860, name="wide"))
    texts = {child.tag: child.text for child in root}
    assert root.attrib["role"] == "img"
    assert "92" in texts["desc"]
    assert "between 80 and 95 units <" in texts["desc"]


def test_a_gap_in_the_history_is_not_bridged():
    svg = fan_chart(fan([80.0, 82.0, None, 95.0, 96.0]), width=860, name="wide")
    assert svg.count('class="line-history"') == 2


@pytest.mark.parametrize("width", [350, 860])
def test_nothing_is_drawn_outside(width):
    root = ET.fromstring(fan_chart(fan([500.0, -20.0]), width=width, name="x"))
    height = float(root.attrib["viewBox"].split()[3])
    for shape in root:
        for point in shape.attrib.get("points", "").split():
            x, y = (float(part) for part in point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_a_forecast_without_history_or_with_one_period_can_be_drawn():
    assert "line-history" not in fan_chart(fan([]), width=350, name="x")
    ET.fromstring(fan_chart(fan([], weeks=1), width=350, name="x"))


@given(st.floats(1e-3, 1e9))
def test_the_axis_ends_above_the_highest_value_and_wastes_less_than_half(value):
    assert value * (1 - 1e-9) <= nice_ceiling(value) < 2.01 * value


@given(st.dates(dt.date(2000, 1, 1), dt.date(2090, 1, 1)), st.integers(1, 3000), st.integers(2, 12))
def test_date_labels_are_few_and_within_the_span(first, days, most):
    last = first + dt.timedelta(days=days)
    labels = month_starts(first, last, most)
    assert len(labels) <= most + 1
    assert all(first <= day <= last for day in labels)
