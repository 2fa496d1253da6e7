"""Overrides on sample paths: the level is the person's, spread and dependence stay as forecast, the rest untouched."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.demand.overrides import ACTING_COLUMNS, SiteForecast, apply_overrides, value_of_overrides
from forecasting.terms import QUANTILE_LEVELS

PRODUCTS = ("a", "b", "new")
STARTS = pd.date_range("2026-11-23", periods=4, freq="7D")


def overrides(*rows):
    frame = pd.DataFrame(rows, columns=list(ACTING_COLUMNS))
    return frame.assign(**{name: pd.to_datetime(frame[name]) for name in ("starts_on", "ends_on")})


def one(product="a", kind="factor", value=1.5, first=1, last=2, number=1):
    return [number, product, kind, value, STARTS[first], STARTS[last]]


def demand(seed=3, draws=400):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(1, 1, draws))
    paths = np.exp(3 + 0.3 * common + 0.2 * rng.normal(size=(3, 4, draws)))
    paths[2] = 0
    mean = paths.mean(axis=2)
    quantiles = np.moveaxis(np.quantile(paths, list(QUANTILE_LEVELS.values()), axis=-1), 0, -1)
    return {"paths": paths, "quantiles": quantiles, "mean": mean, "baseline_mean": mean * 0.8}


def apply(rows, given=None, **changed):
    about = {"facility_id": "north", "seed": 7} | changed
    forecast = SiteForecast(about["facility_id"], PRODUCTS, STARTS, **(given or demand()))
    return apply_overrides(forecast, rows, seed=about["seed"])


def test_without_an_override_every_byte_stays():
    before = demand()
    found = apply(overrides(), before)
    for name in ("paths", "quantiles", "mean"):
        np.testing.assert_array_equal(getattr(found, name), before[name])
    np.testing.assert_array_equal(found.without_genetics, before["baseline_mean"])
    assert len(found.acting) == len(found.quantity) == 0


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["factor", "quantity"]), st.floats(0.01, 9), st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)
)
def test_the_mean_is_what_was_set_and_what_is_not_covered_stays(kind, value, first, last, product):
    before = demand()
    found = apply(overrides(one(PRODUCTS[product], kind, value, first, last)), before)
    covered = np.zeros((3, 4), dtype=bool)
    covered[product, first : last + 1] = True
    wanted = before["mean"] * value if kind == "factor" else np.full((3, 4), value)
    np.testing.assert_array_equal(found.mean[covered], wanted[covered])
    for name in ("paths", "quantiles", "mean"):
        np.testing.assert_array_equal(getattr(found, name)[~covered], before[name][~covered])
    np.testing.assert_allclose(found.quantity.sum(axis=0), (found.mean - before["mean"])[product], atol=1e-9)
    np.testing.assert_allclose(found.paths.mean(axis=2), found.mean, rtol=1e-9)


def test_relative_spread_and_dependence_stay_as_forecast():
    before = demand()
    found = apply(overrides(one("a", "quantity", 100.0, 0, 3)), before)
    spread = [paths[0].std(axis=1) / paths[0].mean(axis=1) for paths in (before["paths"], found.paths)]
    np.testing.assert_allclose(*spread)
    together = [np.corrcoef(paths[:2].reshape(8, -1)) for paths in (before["paths"], found.paths)]
    np.testing.assert_allclose(*together)
    levels = found.quantiles[0] / found.mean[0][:, None]
    np.testing.assert_allclose(levels, before["quantiles"][0] / before["mean"][0][:, None])


def test_the_newest_of_several_acts_alone():
    rows = overrides(one(value=2.0, first=0, last=3), one(kind="quantity", value=5.0, first=2, last=2, number=2))
    before = demand()
    found = apply(rows, before)
    np.testing.assert_allclose(found.mean[0], [*(2 * before["mean"][0, :2]), 5.0, 2 * before["mean"][0, 3]])
    assert found.acting["override_id"].tolist() == [1, 2]
    assert (found.quantity[1] != 0).tolist() == [False, False, True, False]


def test_a_quantity_of_zero_is_no_demand_at_all():
    found = apply(overrides(one(kind="quantity", value=0.0)))
    assert (found.paths[0, 1:3] == 0).all()
    assert (found.quantiles[0, 1:3] == 0).all()
    assert (found.paths[0, [0, 3]] > 0).all()


def test_what_was_never_forecast_is_drawn_as_a_count_the_same_every_time():
    rows = overrides(one("new", "quantity", 30.0, 0, 3))
    found, again, elsewhere = apply(rows), apply(rows), apply(rows, facility_id="south")
    np.testing.assert_array_equal(found.paths, again.paths)
    assert (found.paths[2] != elsewhere.paths[2]).any()
    assert found.paths[2].mean() == pytest.approx(30, rel=0.05)
    assert found.paths[2].var() == pytest.approx(30, rel=0.2)
    assert found.quantiles[2, 0, 0] < 30 < found.quantiles[2, 0, -1]
    assert (apply(overrides(one("new", "factor", 3.0, 0, 3))).paths[2] == 0).all()


def test_without_genetics_an_override_sets_the_baseline_in_the_same_way():
    before = demand()
    rows = overrides(one("a", "factor", 2.0, 0, 0), one("b", "quantity", 9.0, 0, 0, number=2))
    found = apply(rows, before).without_genetics
    assert found[0, 0] == pytest.approx(2 * before["baseline_mean"][0, 0])
    assert found[1, 0] == 9
    np.testing.assert_array_equal(found[:, 1:], before["baseline_mean"][:, 1:])


def past(without, with_it, actual, **keys):
    about = {"facility_id": "north", "override_id": 1, "product_id": "a"} | keys
    rows = zip(without, with_it, actual, strict=True)
    return pd.DataFrame([about | dict(zip(("without", "with_it", "actual"), one, strict=True)) for one in rows])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 99), st.floats(0, 99), st.floats(0, 99)), min_size=1, max_size=6))
def test_value_is_the_error_taken_off_as_a_loop_over_periods_has_it(rows):
    found = value_of_overrides(past(*zip(*rows, strict=True))).iloc[0]
    errors = [sum(abs(row[forecast] - row[2]) for row in rows) for forecast in (0, 1)]
    assert found["value_added"] == pytest.approx(errors[0] - errors[1], abs=1e-9)
    assert found["bias_with"] == pytest.approx(sum(row[1] - row[2] for row in rows), abs=1e-9)
    assert found["periods"] == len(rows)
    change = sum(row[1] for row in rows) - sum(row[0] for row in rows)
    if abs(change) > 1e-9:
        assert found["direction"] == ("up" if change > 0 else "down")


def test_note_27_upward_edits_that_overshoot_show_as_harm_and_downward_ones_apart():
    rows = pd.concat(
        [
            past([10, 10], [14, 14], [10, 11]),
            past([10, 10], [8, 8], [8, 9], override_id=2),
            past([0, 0], [5, 0], [4, 0], override_id=3),
        ]
    )
    found = value_of_overrides(rows).set_index("override_id")
    assert found["direction"].tolist() == ["up", "down", "up"]
    assert found["value_added"].tolist() == [-6, 2, 3]
    assert found["relative_change"].iloc[:2].tolist() == pytest.approx([0.4, -0.2])
    assert np.isnan(found["relative_change"].iloc[2])
    assert found["bias_with"].tolist() == [7, -1, 1]
