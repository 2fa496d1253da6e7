"""The whole invented hospital network: every file of the site bundle, and the truth behind it."""

import dataclasses
import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd

from forecasting.demo import coverage, genotypes, supply, usage
from forecasting.demo.tables import table
from forecasting.errors import InvalidInput

SMALL_DRUGS = (
    "clopidogrel",
    "ticagrelor",
    "prasugrel",
    "warfarin",
    "simvastatin",
    "rosuvastatin",
    "tacrolimus",
    "metformin",
)
PRODUCT_COLUMNS = (
    "product_id drug strength_value strength_unit dose_form pack_size pack_price code_system code rxcui atc currency "
    "shelf_life_days supplier_id minimum_order_packs order_multiple_packs usual_daily_dose launched_on withdrawn_on "
    "criticality"
).split()
FACILITY_COLUMNS = "facility_id name population share_male network closed_on successor_id".split()


@dataclasses.dataclass(frozen=True)
class Truth:
    """What the simulation knows and no hospital does.

    `expected`: expected dose units a week over history and horizon: `facility_id, product_id, period_start,
    expected_quantity, expected_quantity_origin_exposure` (had exposure stayed at the origin's at all times),
    `usual_care_quantity` (no advice followed at all). `prevalence`: `facility_id, gene, lookup_key, share`.
    `genotype_counts`: the file's counts before suppression.
    """

    expected: pd.DataFrame
    prevalence: pd.DataFrame
    genotype_counts: pd.DataFrame


@dataclasses.dataclass(frozen=True)
class DemoNetwork:
    """A site bundle, frames by the name of their file, and the truth behind it."""

    files: dict[str, pd.DataFrame]
    truth: Truth


def demo_network(
    *, as_of: dt.date, seed: int = 7, history_weeks: int = 156, horizon_weeks: int = 26, facilities: int = 8
) -> DemoNetwork:
    """An invented hospital network of up to 8 sites, 29 drugs and 74 products; the same arguments give the same bytes.

    History is the `history_weeks` weeks before `as_of` (a Monday); the truth reaches `horizon_weeks` further. An
    `as_of` that is no Monday, fewer than one week, or another number of sites than 1 to 8 raises `InvalidInput`.

    >>> network = demo_network(as_of=dt.date(2026, 11, 23), facilities=1, history_weeks=4)
    >>> len(network.files), network.files["facilities"]["name"].tolist()
    (14, ['Harrowmere General Hospital'])
    """
    return _network(as_of, seed, history_weeks, horizon_weeks, facilities, tuple(table("drugs")["drug"]))


def small_network(
    as_of: dt.date, *, seed: int = 7, history_weeks: int = 110, horizon_weeks: int = 26, facilities: int = 3
) -> DemoNetwork:
    """The same network cut down for quick tests: 3 sites (testing grows, is planned, is absent) and 20 products.

    >>> small_network(dt.date(2026, 11, 23), history_weeks=4).files["products"].shape[0]
    20
    """
    return _network(as_of, seed, history_weeks, horizon_weeks, facilities, SMALL_DRUGS)


def _network(
    as_of: dt.date, seed: int, history_weeks: int, horizon_weeks: int, facilities: int, drugs: tuple[str, ...]
) -> DemoNetwork:
    _check(as_of, history_weeks, horizon_weeks, facilities)
    sites = _facilities(as_of, facilities)
    facility_ids = sites["facility_id"].tolist()
    products = _products(as_of, drugs)
    weeks = pd.date_range(
        pd.Timestamp(as_of) - pd.Timedelta(weeks=history_weeks), freq="7D", periods=history_weeks + horizon_weeks
    )
    people = genotypes.site_genotypes(facility_ids, seed)
    programme = coverage.programmes(facility_ids, as_of, seed)
    use = usage.usage(sites, products, people, programme, weeks, as_of, seed)
    counted = genotypes.counts(people, as_of, seed)
    expected = usage.expected_frame(use)
    files = {
        "facilities": sites,
        "ancestry": table("ancestry").query("facility_id in @facility_ids").reset_index(drop=True),
        "genotype_counts": genotypes.suppressed(counted),
        "assays": genotypes.assays(facility_ids),
        "testing_coverage": coverage.coverage_rows(programme, as_of, horizon_weeks, seed),
        "products": products[PRODUCT_COLUMNS],
        "dispensing": usage.dispensing(use, as_of, seed),
        **_supply_files(supply.usual_lines(expected, products, as_of), products, as_of, seed),
    }
    return DemoNetwork(files, Truth(expected, genotypes.prevalence(people), counted))


def _supply_files(lines: pd.DataFrame, products: pd.DataFrame, as_of: dt.date, seed: int) -> dict[str, pd.DataFrame]:
    return {
        "stock": supply.stock(lines, as_of, seed),
        "open_orders": supply.open_orders(lines, as_of, seed),
        "suppliers": supply.suppliers(as_of),
        "receipts": supply.receipts(lines, as_of, seed),
        "policies": supply.policies(lines),
        "alternatives": supply.alternatives(set(products["drug"]), as_of),
        "shortages": supply.shortages(set(products["product_id"]), as_of),
    }


def _check(as_of: dt.date, history_weeks: int, horizon_weeks: int, facilities: int) -> None:
    if as_of.weekday() != 0:
        raise InvalidInput(f"as_of must be a Monday, {as_of} is a {as_of:%A}")
    if history_weeks < 1 or horizon_weeks < 1:
        raise InvalidInput(
            f"history_weeks and horizon_weeks must be 1 or more, not {history_weeks} and {horizon_weeks}"
        )
    most = len(table("facilities"))
    if not 1 <= facilities <= most:
        raise InvalidInput(f"facilities must be 1 to {most}, not {facilities}")


def _facilities(as_of: dt.date, number: int) -> pd.DataFrame:
    rows = table("facilities").head(number)
    closed = pd.Timestamp(as_of) - pd.to_timedelta(7 * rows["closed_weeks_ago"].astype(float), unit="D")
    return rows.assign(network="Vale and Moor Hospitals", closed_on=closed, share_male=np.nan)[FACILITY_COLUMNS]


def _products(as_of: dt.date, drugs: tuple[str, ...]) -> pd.DataFrame:
    """The `products` file of these drugs, with the simulation's own columns beside."""
    rows = table("products").merge(table("drugs"), on="drug", how="left")
    rows = rows[rows["drug"].isin(drugs)].reset_index(drop=True)
    start = pd.Timestamp(as_of)
    launched = start - pd.to_timedelta(7 * rows["launched_weeks_ago"].astype(float), unit="D")
    withdrawn = start + pd.to_timedelta(7 * rows["withdrawn_in_weeks"].astype(float), unit="D")
    price = rows["pack_price"].map(lambda value: Decimal(f"{value:.2f}"))
    size = rows["pack_size"].map(Decimal)
    return rows.assign(
        pack_price=price, pack_size=size, currency="GBP", launched_on=launched, withdrawn_on=withdrawn, criticality=None
    )
