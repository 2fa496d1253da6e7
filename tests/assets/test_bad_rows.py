"""Bad rows on the whole road: each gets its documented result, none stops the run, none touches its neighbours."""

import dataclasses
import datetime as dt
from typing import Any

import pandas as pd
import pytest

from forecasting.demo import DemoNetwork
from warehouse import importers
from warehouse.engine import create_engine

pytestmark = pytest.mark.slow

AS_OF = dt.date(2026, 11, 23)
WEEKS = 78
STARTS = pd.date_range(end=AS_OF - dt.timedelta(weeks=1), periods=WEEKS, freq="7D").strftime("%Y-%m-%d").tolist()
USUAL = [20.0 + number % 5 for number in range(WEEKS)]


def series(name: str, quantities: list[Any], starts: list[str] | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {"facility_id": "H01", "product_id": name, "period_start": starts or STARTS, "quantity": quantities}
    )


INSIDE = f"{dt.date.fromisoformat(STARTS[50]) + dt.timedelta(2)}"
WITH_STRAYS = ("future", "not-a-number", "twice-a-week", "inside-a-week", "of-1926")


def sound_dispensing() -> pd.DataFrame:
    """The series that bad rows will be added to, as they are without them."""
    lines = {name: series(name, USUAL) for name in WITH_STRAYS}
    lines["not-a-number"] = lines["not-a-number"].drop(index=40)
    lines["inside-a-week"].loc[50, "quantity"] += 3.0
    return pd.concat(lines.values(), ignore_index=True)


def bad_dispensing() -> pd.DataFrame:
    parts = [
        series("one-point", [6.0], [STARTS[-3]]),
        series("all-zeros", [0.0] * WEEKS),
        series("gap-of-a-year", USUAL[:10] + USUAL[:14], STARTS[:10] + STARTS[-14:]),
        series("future", [*USUAL, 9.0], [*STARTS, "2027-06-07"]),
        series("far-future-only", [9.0], ["2099-01-05"]),
        series("constant", [7.0] * WEEKS),
        series("trillion-once", [*USUAL[:40], 1e12, *USUAL[41:]]),
        series("trillion-always", [1e12] * WEEKS),
        series("not-a-number", [*USUAL[:40], "NaN", *USUAL[41:]]),
        series("twice-a-week", [*USUAL, 3.0], [*STARTS, STARTS[50]]),
        series("inside-a-week", [*USUAL, 3.0], [*STARTS, INSIDE]),
        series("of-1926", [*USUAL, 3.0], [*STARTS, "1926-01-04"]),
    ]
    return pd.concat(parts, ignore_index=True)


TABLES = ("clean_demand", "reference_demand", "baseline_forecasts", "forecasts", "genetic_shifts")


@dataclasses.dataclass(frozen=True)
class Spoilt:
    """A network planned with sound rows, then again with bad ones beside them; `before` has the first tables."""

    planned: Any
    before: dict[str, pd.DataFrame]
    report: Any


@pytest.fixture(scope="module")
def spoilt(planned: Any, network: DemoNetwork, tmp_path_factory: pytest.TempPathFactory) -> Spoilt:
    mine = type(planned)(tmp_path_factory.mktemp("spoilt"))
    product = network.files["products"].iloc[[0]].assign(rxcui=None, atc=None, code=None, code_system=None)
    names = sorted(set(bad_dispensing()["product_id"]))
    added = pd.concat([product.assign(product_id=name, drug=f"test drug {name}") for name in names])
    products = pd.concat([network.files["products"], added])
    dispensing = pd.concat([network.files["dispensing"], sound_dispensing()])
    mine.load(network.files | {"products": products, "dispensing": dispensing})
    mine.run()
    before = {name: mine.table(name) for name in TABLES}
    file = mine.folder / "dispensing.csv"
    bad_dispensing().to_csv(file, index=False)
    engine = create_engine(mine.url)
    report = importers.load(engine, file)
    engine.dispose()
    mine.run()
    return Spoilt(mine, before, report)


def of_product(planned: Any, table: str, product_id: str) -> pd.DataFrame:
    rows = planned.table(table)
    return rows[(rows["product_id"] == product_id) & (rows["facility_id"] == "H01")]


def test_neighbours_keep_their_bytes(spoilt: Spoilt) -> None:
    bad = set(bad_dispensing()["product_id"])
    for table, before in spoilt.before.items():
        after = spoilt.planned.table(table)
        old, new = (rows[~rows["product_id"].isin(bad)].reset_index(drop=True) for rows in (before, after))
        assert len(old) > 0
        pd.testing.assert_frame_equal(new, old, check_exact=True, obj=table)


@pytest.mark.parametrize("name", ["future", "not-a-number", "twice-a-week", "inside-a-week", "of-1926"])
def test_a_bad_row_does_not_change_the_forecast_of_its_own_series(spoilt: Spoilt, name: str) -> None:
    before = spoilt.before["forecasts"]
    before = before[(before["product_id"] == name) & (before["facility_id"] == "H01")].reset_index(drop=True)
    after = of_product(spoilt.planned, "forecasts", name).reset_index(drop=True)
    pd.testing.assert_frame_equal(after, before, check_exact=True)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("one-point", 1.0, 6.0),
        ("all-zeros", 0.0, 0.0),
        ("gap-of-a-year", 10.0, 30.0),
        ("future", 18.0, 26.0),
        ("constant", 7.0, 7.0),
        ("trillion-once", 18.0, 26.0),
        ("trillion-always", 0.99e12, 1.01e12),
        ("not-a-number", 15.0, 26.0),
        ("twice-a-week", 18.0, 26.0),
        ("inside-a-week", 18.0, 26.0),
        ("of-1926", 18.0, 26.0),
    ],
)
def test_a_bad_series_has_the_documented_forecast(spoilt: Spoilt, name: str, low: float, high: float) -> None:
    forecast = of_product(spoilt.planned, "forecasts", name)
    assert len(forecast) == 8
    assert forecast["mean"].between(low * (1 - 1e-9), high * (1 + 1e-9)).all(), forecast["mean"].tolist()


def test_what_was_wrong_is_named(spoilt: Spoilt) -> None:
    mine, report = spoilt.planned, spoilt.report
    told = {(row.column, row.rule) for row in report.rejected_rows}
    assert len(report.rejected_rows) == 2, report.rejected_rows
    assert any(column == "quantity" for column, _ in told)
    assert any("duplicate key" in rule for _, rule in told)
    rules = {
        name: set(of_product(mine, "clean_demand", name)["rule"].dropna()) - {""}
        for name in ("trillion-once", "inside-a-week", "of-1926")
    }
    assert rules == {"trillion-once": {"outlier"}, "inside-a-week": {"off_grid"}, "of-1926": {"isolated"}}
    problems = mine.table("problems")
    messages = "\n".join(problems["message"])
    assert "2 history rows dated 2027-06-07 to 2099-01-05 do not lie before the origin" in messages
    assert "far-future-only has no dispensing history anywhere" in messages
    assert of_product(mine, "forecasts", "far-future-only").empty
