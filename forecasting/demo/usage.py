"""What the invented hospitals use: usual care, the genotype effect on it, and what was dispensed of it.

Rates of use (`tables/drugs.csv`) are round figures of the size an English hospital trust's outpatient and inpatient
dispensing has; growth, season and the shares of the strengths (`tables/products.csv`) are invented. The noise is
negative-binomial with the variance of dispensing in several units at a time.
"""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd

from forecasting.demo.coverage import share_tested
from forecasting.demo.genotypes import SiteGenotypes
from forecasting.demo.moves import gene_sets, genetic_change, rule_shares
from forecasting.demo.tables import stream

SMALLEST_SPECIALIST_POPULATION = 50_000
UNITS_A_DISPENSING = 6.0
UNITS_A_PATIENT = 12.0
STOCK_OUT = ("metformin-500", 30, 3)
"""Product that the first site ran out of: weeks before the origin, and for how many weeks."""
LOST_WEEK = 19
"""Weeks before the origin whose file the second site never sent."""


@dataclasses.dataclass(frozen=True)
class Usage:
    """Expected dose units, shape (sites, weeks, products): usual care, truth, truth at the origin's exposure."""

    facilities: pd.DataFrame
    products: pd.DataFrame
    weeks: pd.DatetimeIndex
    usual_care: np.ndarray
    expected: np.ndarray
    expected_origin_exposure: np.ndarray


def usage(
    facilities: pd.DataFrame,
    products: pd.DataFrame,
    sites: SiteGenotypes,
    programme: pd.DataFrame,
    weeks: pd.DatetimeIndex,
    as_of: dt.date,
    seed: int,
) -> Usage:
    """Expected use of every site, product and week, history and horizon alike.

    `facilities` and `products` as in the bundle; products have `usual_daily_dose`, `mix_share` and the columns of
    `tables/drugs.csv` beside.
    """
    mix = strength_mix(facilities, products, weeks, as_of, seed)
    usual = usual_care(facilities, products, mix, weeks, as_of, seed)
    frozen = pd.DatetimeIndex(np.full(len(weeks), np.datetime64(as_of)))
    middles = weeks + pd.Timedelta(days=3)
    effects = _genetic_effects(facilities, products, sites, mix)
    true, at_origin = (
        usual + _shift(usual * exposure(facilities, products, programme, days, as_of), effects, mix)
        for days in (middles, frozen)
    )
    return Usage(facilities, products, weeks, usual, np.maximum(true, 0.0), np.maximum(at_origin, 0.0))


def on_market(products: pd.DataFrame, weeks: pd.DatetimeIndex) -> np.ndarray:
    """Whether each product can be dispensed in each week, shape (weeks, products)."""
    launched, withdrawn = products["launched_on"].to_numpy(), products["withdrawn_on"].to_numpy()
    week_starts = weeks.to_numpy()[:, None]
    return ~(week_starts < launched) & ~(
        week_starts >= withdrawn
    )  # a missing date compares false: always on the market


def strength_mix(
    facilities: pd.DataFrame, products: pd.DataFrame, weeks: pd.DatetimeIndex, as_of: dt.date, seed: int
) -> np.ndarray:
    """Share of each product in its drug's treatment-days, drifting slowly, shape (sites, weeks, products)."""
    rng = stream(seed, 5)
    shape = (len(facilities), 1, len(products))
    years = _years(weeks, as_of)[None, :, None]
    score = np.log(products["mix_share"].to_numpy()) + rng.normal(0, 0.15, shape) + years * rng.normal(0, 0.05, shape)
    weight = np.exp(score) * on_market(products, weeks)
    drug = pd.factorize(products["drug"])[0]
    total = weight @ np.eye(drug.max() + 1)[drug]
    return weight / total[:, :, drug]


def usual_care(
    facilities: pd.DataFrame,
    products: pd.DataFrame,
    mix: np.ndarray,
    weeks: pd.DatetimeIndex,
    as_of: dt.date,
    seed: int,
) -> np.ndarray:
    """Expected dose units without any genotype effect, shape (sites, weeks, products), mergers included."""
    rng = stream(seed, 6)
    drugs = products.drop_duplicates("drug").reset_index(drop=True)
    shape = (len(facilities), 1, len(drugs))
    years, angle = (
        _years(weeks, as_of)[:, None],
        2 * np.pi * weeks.isocalendar().week.to_numpy(dtype=float)[:, None] / 52,
    )
    size = facilities["population"].to_numpy()[:, None, None] / 100_000
    level = size * drugs["treatment_days_per_100000_per_week"].to_numpy() * rng.lognormal(0, 0.2, shape)
    growth = np.exp(years * (drugs["growth_per_year"].to_numpy() + rng.normal(0, 0.03, shape)))
    peak = 2 * np.pi * drugs["season_peak_week"].to_numpy() / 52
    season = 1 + drugs["season_amplitude"].to_numpy() * np.cos(angle - peak)
    days = level * growth * season * _holidays(weeks)[:, None]
    small = facilities["population"].to_numpy() < SMALLEST_SPECIALIST_POPULATION
    days = np.where(small[:, None, None] & drugs["specialist"].to_numpy(dtype=bool), 0.0, days)
    drug = pd.factorize(products["drug"])[0]
    units_a_day = (products["usual_daily_dose"] / products["strength_value"]).to_numpy()
    return _merged(facilities, weeks, days[:, :, drug] * mix * units_a_day)


def _merged(facilities: pd.DataFrame, weeks: pd.DatetimeIndex, units: np.ndarray) -> np.ndarray:
    """The demand of closed sites carried on by their successors."""
    position = {facility_id: i for i, facility_id in enumerate(facilities["facility_id"])}
    merged = units.copy()
    for row in facilities.dropna(subset=["closed_on"]).to_dict("records"):
        is_closed = np.asarray(weeks >= row["closed_on"])[:, None]
        closed, successor = position[row["facility_id"]], position[row["successor_id"]]
        merged[successor] += np.where(is_closed, units[closed], 0.0)
        merged[closed] = np.where(is_closed, 0.0, units[closed])
    return merged


def _years(weeks: pd.DatetimeIndex, as_of: dt.date) -> np.ndarray:
    return (weeks - pd.Timestamp(as_of)).days.to_numpy() / 365.25


def _holidays(weeks: pd.DatetimeIndex) -> np.ndarray:
    """Christmas and New Year weeks dip, the week before them is fuller."""
    factor = np.ones(len(weeks))
    for year in range(weeks[0].year, weeks[-1].year + 2):
        start = (pd.Timestamp(year, 12, 25) - weeks).days.to_numpy()
        factor[(start >= 0) & (start < 7)] = 0.82
        factor[(start >= 7) & (start < 14)] = 1.10
        factor[(start >= -7) & (start < 0)] = 0.90
    return factor


def exposure(
    facilities: pd.DataFrame, products: pd.DataFrame, programme: pd.DataFrame, days: pd.DatetimeIndex, as_of: dt.date
) -> np.ndarray:
    """Share of a product's patients whose advice is known and followed, shape (sites, days, products).

    A drug whose advice needs two genes has the smaller exposure of the two.
    """
    followed = share_tested(programme, days, as_of) * programme["share_followed"].to_numpy()[:, None]
    row = {key: i for i, key in enumerate(zip(programme["facility_id"], programme["gene"], strict=True))}
    shares = np.zeros((len(facilities), len(days), len(products)))
    for drug, needed in gene_sets().items():
        of_drug = (products["drug"] == drug).to_numpy()
        for site, facility_id in enumerate(facilities["facility_id"]):
            if all((facility_id, gene) in row for gene in needed):
                share = np.min([followed[row[facility_id, gene]] for gene in needed], axis=0)
                shares[site][:, of_drug] = share[:, None]
    return shares


def _genetic_effects(
    facilities: pd.DataFrame, products: pd.DataFrame, sites: SiteGenotypes, mix: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of (weeks, change matrices per site), one for each span of weeks with the same products on the market."""
    rules = rule_shares(sites)
    rules = rules[rules["drug"].isin(products["drug"])]
    market = mix[0] > 0
    spans = np.unique(market, axis=0)
    effects = []
    for span in spans:
        weeks = np.flatnonzero((market == span).all(axis=1))
        mean_mix = mix[:, weeks].mean(axis=1)
        changes = [
            genetic_change(products, rules, facility_id, mean_mix[i])
            for i, facility_id in enumerate(facilities["facility_id"])
        ]
        effects.append((weeks, np.stack(changes)))
    return effects


def _shift(exposed: np.ndarray, effects: list[tuple[np.ndarray, np.ndarray]], mix: np.ndarray) -> np.ndarray:
    """Dose units that move, given the units exposed to advice; both (sites, weeks, products)."""
    moved = np.zeros(mix.shape)
    for weeks, change in effects:
        moved[:, weeks] = exposed[:, weeks] @ change
    return moved


def expected_frame(use: Usage) -> pd.DataFrame:
    """The truth in rows: `facility_id, product_id, period_start, expected_quantity, expected_quantity_origin_exposure,
    usual_care_quantity`; a row per open site, product it uses and week."""
    site, week, product = np.nonzero(_used(use))
    return pd.DataFrame(
        {
            "facility_id": use.facilities["facility_id"].to_numpy()[site],
            "product_id": use.products["product_id"].to_numpy()[product],
            "period_start": use.weeks[week],
            "expected_quantity": use.expected[site, week, product],
            "expected_quantity_origin_exposure": use.expected_origin_exposure[site, week, product],
            "usual_care_quantity": use.usual_care[site, week, product],
        }
    )


def _used(use: Usage) -> np.ndarray:
    """Site, week and product cells in which the site is open, and the product on the market and in use there."""
    is_open = (use.usual_care.sum(axis=2) > 0)[:, :, None]
    in_use = (use.expected.sum(axis=1) > 0)[:, None, :]
    return is_open & in_use & on_market(use.products, use.weeks)[None]


def dispensing(use: Usage, as_of: dt.date, seed: int) -> pd.DataFrame:
    """The `dispensing` file: noisy history with returns, a stock-out, lost rows and suppressed patient counts."""
    rng = stream(seed, 7)
    history = use.weeks < pd.Timestamp(as_of)
    expected = use.expected[:, history]
    shared = rng.gamma(900, 1 / 900, expected.shape[:2] + (1,))
    quantity = _negative_binomial(rng, expected * shared)
    quantity = np.where(_returned(rng, expected), -rng.integers(1, 29, expected.shape), quantity)
    quantity = _stocked_out(use, quantity)
    is_reported = _used(use)[:, history] & (rng.random(expected.shape) > 0.004)
    weeks = use.weeks[history]
    is_reported[1:2, weeks == pd.Timestamp(as_of) - pd.Timedelta(weeks=LOST_WEEK)] = False
    site, week, product = np.nonzero(is_reported)
    units = quantity[site, week, product]
    patients = np.ceil(units / UNITS_A_PATIENT)
    return pd.DataFrame(
        {
            "facility_id": use.facilities["facility_id"].to_numpy()[site],
            "product_id": use.products["product_id"].to_numpy()[product],
            "period_start": use.weeks[week],
            "quantity": units,
            "patients": np.where(patients >= 11, patients, np.nan),
        }
    )


def _negative_binomial(rng: np.random.Generator, mean: np.ndarray) -> np.ndarray:
    """Draws with the given mean and variance mean (1 + units a dispensing) + mean^2 / 60."""
    safe = np.maximum(mean, 1e-9)
    size = safe**2 / (safe * UNITS_A_DISPENSING + safe**2 / 60)
    return np.where(mean > 0, rng.negative_binomial(size, size / (size + safe)), 0).astype(float)


def _returned(rng: np.random.Generator, expected: np.ndarray) -> np.ndarray:
    """Cells in which more came back than went out: some weeks of products that are used little."""
    return (expected > 0) & (expected < 60) & (rng.random(expected.shape) < 0.006)


def _stocked_out(use: Usage, quantity: np.ndarray) -> np.ndarray:
    product_id, weeks_ago, weeks = STOCK_OUT
    column = (use.products["product_id"] == product_id).to_numpy()
    start = quantity.shape[1] - weeks_ago
    quantity[0, max(start, 0) : max(start + weeks, 0), column] = 0.0
    return quantity
