"""Invented hospital networks for scoring the genetic step: a site bundle each, and the expected demand behind it.

Written apart from the estimator: usual care, testing, uptake and moves are drawn anew for every seed, and the planner
sees only what a hospital would have. Of 8 sites three go live around the origin, three grew during the history, two do
not grow. What the planner is not told: patients on long treatment move later than new starts (each drug at its own
pace, the coverage file at one pace for all), how far each drug's advice is really followed (weak advice less), the
true shares of the alternatives, which part of the patients has the indication, and how far the plan comes true.
Genotypes are those of `forecasting.demo.genotypes`. All other figures are invented, of the size of a hospital trust's.
"""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd

from forecasting.demo import genotypes
from forecasting.demo.tables import table

GO_LIVE, GREW, STEADY = "goes live around the origin", "grew during the history", "does not grow"
KINDS = (GO_LIVE, GREW, STEADY, GREW, GO_LIVE, GREW, STEADY, GO_LIVE)
SITES = tuple(f"H0{number}" for number in range(1, 9))
POPULATION = np.array([400, 180, 60, 260, 120, 310, 90, 150]) * 1000.0

DRUGS = (
    # drug, usual daily dose mg, treatment-days a week per 100,000, growth a year, season, weeks on treatment
    ("clopidogrel", 75.0, 900, 0.01, 0.02, 12),
    ("ticagrelor", 180.0, 260, 0.05, 0.02, 12),
    ("prasugrel", 10.0, 80, 0.03, 0.02, 12),
    ("warfarin", 7.5, 260, -0.08, 0.02, 10),
    ("simvastatin", 30.0, 620, -0.07, 0.01, 16),
    ("atorvastatin", 20.0, 2300, 0.05, 0.01, 26),
    ("rosuvastatin", 10.0, 260, 0.07, 0.01, 26),
    ("omeprazole", 20.0, 900, 0.02, 0.03, 6),
    ("citalopram", 20.0, 620, -0.05, 0.04, 12),
    ("escitalopram", 10.0, 300, 0.04, 0.04, 12),
    ("sertraline", 50.0, 1500, 0.06, 0.04, 18),
    ("mirtazapine", 30.0, 520, 0.04, 0.03, 18),
    ("amitriptyline", 75.0, 140, 0.01, 0.02, 18),
    ("codeine", 100.0, 170, -0.03, 0.05, 1),
    ("tramadol", 300.0, 150, -0.06, 0.03, 1),
    ("morphine", 100.0, 130, 0.01, 0.04, 1),
    ("azathioprine", 150.0, 90, -0.01, 0.0, 20),
    ("tacrolimus", 5.0, 120, 0.03, 0.0, 10),
    ("voriconazole", 400.0, 24, 0.01, 0.08, 2),
    ("isavuconazole", 200.0, 14, 0.08, 0.05, 2),
    ("posaconazole", 300.0, 18, 0.04, 0.05, 2),
    ("metformin", 2000.0, 300, 0.03, 0.01, 26),
    ("ramipril", 2.5, 1900, 0.01, 0.02, 26),
    ("furosemide", 40.0, 1100, 0.02, 0.06, 26),
)
STRENGTHS = {
    "clopidogrel": {75: 1.0},
    "ticagrelor": {60: 0.2, 90: 0.8},
    "prasugrel": {5: 0.2, 10: 0.8},
    "warfarin": {1: 0.2, 3: 0.35, 5: 0.45},
    "simvastatin": {20: 0.45, 40: 0.55},
    "atorvastatin": {10: 0.1, 20: 0.3, 40: 0.35, 80: 0.25},
    "rosuvastatin": {5: 0.3, 10: 0.45, 20: 0.25},
    "omeprazole": {10: 0.1, 20: 0.6, 40: 0.3},
    "citalopram": {10: 0.3, 20: 0.7},
    "escitalopram": {5: 0.2, 10: 0.5, 20: 0.3},
    "sertraline": {50: 0.6, 100: 0.4},
    "mirtazapine": {15: 0.4, 30: 0.6},
    "amitriptyline": {10: 0.5, 25: 0.5},
    "codeine": {15: 0.2, 30: 0.8},
    "tramadol": {50: 1.0},
    "morphine": {10: 0.7, 30: 0.3},
    "azathioprine": {25: 0.3, 50: 0.7},
    "tacrolimus": {0.5: 0.2, 1: 0.5, 5: 0.3},
    "voriconazole": {50: 0.1, 200: 0.9},
    "isavuconazole": {100: 1.0},
    "posaconazole": {100: 1.0},
    "metformin": {500: 0.7, 1000: 0.3},
    "ramipril": {2.5: 0.4, 5: 0.6},
    "furosemide": {20: 0.4, 40: 0.6},
}
STRONG, MODERATE, OPTIONAL = (0.8, 1.1), (0.5, 1.0), (0.05, 0.4)
"""Ranges of the part of the advice that is really followed, against what the coverage file says."""

UR, PM, IM = "Ultrarapid Metabolizer", "Poor Metabolizer", "Intermediate Metabolizer"
RULES = (
    # drug, gene, lookup keys, dose factor or None for the alternatives, share with the indication, uptake
    ("clopidogrel", "CYP2C19", (PM, "Likely Poor Metabolizer"), None, 0.85, STRONG),
    ("clopidogrel", "CYP2C19", (IM, "Likely Intermediate Metabolizer"), None, 0.72, STRONG),
    ("simvastatin", "SLCO1B1", ("Poor Function", "Decreased Function"), None, 0.9, STRONG),
    ("atorvastatin", "SLCO1B1", ("Poor Function",), 0.5, 0.5, MODERATE),
    ("citalopram", "CYP2C19", (UR,), None, 1.0, STRONG),
    ("escitalopram", "CYP2C19", (UR,), None, 1.0, STRONG),
    ("sertraline", "CYP2C19", (PM,), 0.5, 1.0, MODERATE),
    ("omeprazole", "CYP2C19", (UR,), 1.75, 0.8, OPTIONAL),
    ("omeprazole", "CYP2C19", (PM, IM), 0.5, 0.6, OPTIONAL),
    ("amitriptyline", "CYP2D6", ("0.0", "3.0", "4.0", "≥3.0", "≥4.0"), None, 0.6, OPTIONAL),
    ("amitriptyline", "CYP2C19", (UR, "Rapid Metabolizer", PM), None, 0.6, OPTIONAL),
    ("codeine", "CYP2D6", ("0.0", "3.0", "4.0", "≥3.0", "≥4.0"), None, 1.0, STRONG),
    ("tramadol", "CYP2D6", ("0.0", "3.0", "4.0", "≥3.0", "≥4.0"), None, 1.0, STRONG),
    ("azathioprine", "TPMT", (IM,), 0.55, 1.0, STRONG),
    ("azathioprine", "NUDT15", (IM,), 0.55, 1.0, STRONG),
    ("tacrolimus", "CYP3A5", ("Normal Metabolizer", IM), 1.75, 1.0, STRONG),
    ("voriconazole", "CYP2C19", (UR, "Rapid Metabolizer", PM), None, 0.95, MODERATE),
    ("warfarin", "CYP2C9", ("1.0", "0.5"), 0.62, 1.0, MODERATE),
    ("warfarin", "VKORC1", ("-1639 AA",), 0.6, 1.0, MODERATE),
)
ALTERNATIVES = {
    "clopidogrel": {"ticagrelor": 0.6, "prasugrel": 0.4},
    "simvastatin": {"rosuvastatin": 0.7, "atorvastatin": 0.3},
    "citalopram": {"sertraline": 0.7, "mirtazapine": 0.3},
    "escitalopram": {"sertraline": 0.7, "mirtazapine": 0.3},
    "amitriptyline": {"mirtazapine": 1.0},
    "codeine": {"morphine": 1.0},
    "tramadol": {"morphine": 1.0},
    "voriconazole": {"isavuconazole": 0.6, "posaconazole": 0.4},
}
OPIOID_RATIO = 0.1
CARDIOLOGY = ("CYP2C19", "CYP2C9", "VKORC1", "SLCO1B1")
FILE_PACE_WEEKS = 10.0


@dataclasses.dataclass(frozen=True)
class SimulatedHospitals:
    """Files of the bundle by name; `expected` has facility_id, product_id, period_start, expected, usual_care over
    history and horizon; `kind` names each site's kind of testing; `moved` the products that a rule takes or gives."""

    files: dict[str, pd.DataFrame]
    expected: pd.DataFrame
    kind: dict[str, str]
    moved: tuple[str, ...]
    as_of: dt.date


def simulated_hospitals(seed: int, *, horizon_weeks: int = 26, split_doses: bool = False) -> SimulatedHospitals:
    """One network of 8 sites and 50-odd products, its history 156 to 182 weeks long; the same seed, the same bytes.

    A changed dose is made of the nearest strength, or with `split_doses` of the nearest below and above, as it is
    planned.
    """
    random = np.random.default_rng([seed, 91])
    history = int(random.integers(156, 183))
    as_of = dt.date(2026, 11, 23)
    weeks = pd.date_range(pd.Timestamp(as_of) - pd.Timedelta(weeks=history), freq="7D", periods=history + horizon_weeks)
    time = np.arange(len(weeks)) - history
    products = _products()
    usual = _usual_care(products, weeks, random)
    started = _tested_starts(time, random)
    people = genotypes.site_genotypes(list(SITES), seed)
    shares = genotypes.prevalence(people).set_index(["gene", "lookup_key", "facility_id"])["share"]
    followed = random.uniform(0.6, 0.9, len(SITES))
    change = _changes(products, shares, started * followed[:, None], usual, random, split_doses)
    expected = np.maximum(usual + change, 0.0)
    files = {
        "facilities": pd.DataFrame({"facility_id": SITES, "name": SITES, "population": POPULATION.astype(int)}),
        "ancestry": table("ancestry").query("facility_id in @SITES").reset_index(drop=True),
        "genotype_counts": genotypes.suppressed(genotypes.counts(people, as_of, seed)),
        "assays": genotypes.assays(list(SITES)),
        "testing_coverage": _coverage_file(weeks, as_of, started, followed, random),
        "products": products.drop(columns=["mix"]),
        "dispensing": _dispensed(expected[:, :history], products, weeks[:history], random),
        "alternatives": _alternatives_file(),
    }
    touched = {rule[0] for rule in RULES}
    touched |= {name for rule in RULES if rule[3] is None for name in ALTERNATIVES[rule[0]]}
    moved = tuple(products.loc[products["drug"].isin(touched), "product_id"])
    rows = _long(expected, products, weeks, "expected").assign(usual_care=usual.ravel())
    return SimulatedHospitals(files, rows, dict(zip(SITES, KINDS, strict=True)), moved, as_of)


def _products() -> pd.DataFrame:
    daily = {row[0]: row[1] for row in DRUGS}
    rows = [
        (f"{drug}-{strength:g}", drug, strength, daily[drug], share)
        for drug, strengths in STRENGTHS.items()
        for strength, share in strengths.items()
    ]
    frame = pd.DataFrame(rows, columns=["product_id", "drug", "strength_value", "usual_daily_dose", "mix"])
    return frame.assign(strength_unit="mg", dose_form="tablet", pack_size=28, pack_price=1.0)


def _usual_care(products: pd.DataFrame, weeks: pd.DatetimeIndex, random: np.random.Generator) -> np.ndarray:
    """Expected dose units [site, week, product] under usual care: growth, season, slow drift, drifting mix."""
    drugs = pd.DataFrame(DRUGS, columns=["drug", "dose", "rate", "growth", "season", "stay"])
    shape = (len(SITES), 1, len(drugs))
    years = np.arange(len(weeks))[:, None] / 52.18
    level = POPULATION[:, None, None] / 1e5 * drugs["rate"].to_numpy() * random.lognormal(0, 0.25, shape)
    growth = years * (drugs["growth"].to_numpy() + random.normal(0, 0.03, shape))
    angle = 2 * np.pi * (years + random.random(len(drugs)))
    season = np.log1p(drugs["season"].to_numpy() * random.uniform(0.5, 1.5, shape) * np.cos(angle))
    steps = random.normal(0, 0.003, (len(SITES), len(weeks), len(drugs)))
    days = level * np.exp(growth + season + _drift(steps))
    number = pd.factorize(products["drug"])[0]
    wide = (len(SITES), 1, len(products))
    score = np.log(products["mix"].to_numpy()) + random.normal(0, 0.2, wide)
    score = score + years * random.normal(0, 0.04, wide)
    score = score + _drift(random.normal(0, 0.002, (len(SITES), len(weeks), len(products))))
    weight = np.exp(score)
    total = weight @ np.eye(number.max() + 1)[number]
    units_a_day = (products["usual_daily_dose"] / products["strength_value"]).to_numpy()
    return days[:, :, number] * weight / total[:, :, number] * units_a_day


def _drift(steps: np.ndarray) -> np.ndarray:
    """A slowly forgetting random walk over axis 1."""
    drift = np.zeros_like(steps)
    for week in range(1, steps.shape[1]):
        drift[:, week] = 0.99 * drift[:, week - 1] + steps[:, week]
    return drift


def _tested_starts(time: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Share of patients who start treatment in a week and have a result, [site, week]."""
    tested = np.zeros((len(SITES), len(time)))
    for site, kind in enumerate(KINDS):
        live = {GO_LIVE: random.uniform(-12, 4), GREW: random.uniform(-60, -25), STEADY: 0.0}[kind]
        fast = kind is GO_LIVE
        ceiling, middle = random.uniform(0.55, 0.95), random.uniform(3, 10) if fast else random.uniform(30, 50)
        pace = random.uniform(1.5, 4) if fast else random.uniform(7, 14)
        grown = 1 / (1 + np.exp(-(time - live - middle) / pace)) - 1 / (1 + np.exp(middle / pace))
        if kind is not STEADY:
            tested[site] = ceiling * np.maximum(np.where(time >= live, grown, 0.0), 0.0)
    # one site began long ago and stays where it is
    tested[KINDS.index(STEADY)] = random.uniform(0.2, 0.5)
    return tested


def _among_treated(started: np.ndarray, weeks_on_treatment: float) -> np.ndarray:
    """The share among all treated, when each week a part of them is replaced by new starts."""
    replaced = 1 / max(weeks_on_treatment, 1.0)
    treated = started.copy()
    for week in range(1, started.shape[1]):
        treated[:, week] = treated[:, week - 1] + replaced * (started[:, week] - treated[:, week - 1])
    return treated


def _genes_tested(site: int) -> set[str]:
    return set(CARDIOLOGY) if site % 4 == 1 else {rule[1] for rule in RULES} | {"CYP2B6"}


def _changes(
    products: pd.DataFrame,
    shares: pd.Series,
    acted: np.ndarray,
    usual: np.ndarray,
    random: np.random.Generator,
    split_doses: bool,
) -> np.ndarray:
    """Dose units [site, week, product] that advice adds or takes."""
    change = np.zeros_like(usual)
    stay = {row[0]: row[5] for row in DRUGS}
    mixes = {drug: random.dirichlet(25 * np.array(list(to.values()))) for drug, to in ALTERNATIVES.items()}
    weight: dict[tuple[str, tuple[float, float]], float] = {}
    for drug, gene, keys, factor, indication, uptake in RULES:
        followed = weight.setdefault((drug, uptake), float(random.uniform(*uptake)))
        followed *= float(np.clip(indication * random.normal(1, 0.1), 0, 1))
        exposure = _among_treated(acted, stay[drug])
        for site, facility_id in enumerate(SITES):
            if gene not in _genes_tested(site):
                continue
            people = sum(float(shares.get((gene, key, facility_id), 0.0)) for key in keys)
            moved = exposure[site] * people * followed * random.normal(1, 0.08)
            for source in np.flatnonzero(products["drug"] == drug):
                units = usual[site, :, source] * moved
                change[site, :, source] -= units
                if factor is None:
                    change[site] += _alternatives(products, int(source), mixes, units, usual[site])
                else:
                    change[site] += np.outer(units, _changed_dose(products, int(source), factor, split_doses))
    return change


def _changed_dose(products: pd.DataFrame, source: int, factor: float, split: bool) -> np.ndarray:
    """Dose units [product] of the drug's own strengths in place of one of the source product."""
    own = np.flatnonzero(products["drug"] == products["drug"].iloc[source])
    strength = products["strength_value"].to_numpy()[own].astype(float)
    wanted = products["strength_value"].iloc[source] * factor
    if split:
        share = np.array([np.interp(wanted, strength, one) for one in np.eye(len(own))])
    else:
        share = np.eye(len(own))[np.argmin(abs(np.log(strength / wanted)))]
    units = np.zeros(len(products))
    units[own] = share * wanted / (share @ strength)
    return units


def _alternatives(
    products: pd.DataFrame, source: int, mixes: dict[str, np.ndarray], units: np.ndarray, usual: np.ndarray
) -> np.ndarray:
    """Dose units [week, product] of other drugs in place of `units` [week] of the source product."""
    drug, strength = products["drug"].to_numpy(), products["strength_value"].to_numpy()
    instead = np.zeros_like(usual)
    dose = products["usual_daily_dose"].to_numpy()
    for name, share in zip(ALTERNATIVES[drug[source]], mixes[drug[source]], strict=True):
        to = np.flatnonzero(drug == name)
        mix = usual[:, to] * strength[to]
        mix = mix / mix.sum(axis=1, keepdims=True)
        ratio = OPIOID_RATIO if name == "morphine" else dose[to[0]] / dose[source]
        instead[:, to] += (units * share * strength[source] * ratio)[:, None] * mix / strength[to]
    return instead


def _coverage_file(
    weeks: pd.DatetimeIndex, as_of: dt.date, started: np.ndarray, followed: np.ndarray, random: np.random.Generator
) -> pd.DataFrame:
    """A row a month, site and gene: measured before the origin, planned after it; the plan does not quite come true."""
    treated = _among_treated(started, FILE_PACE_WEEKS)
    planned = treated * random.normal(1, 0.08, (len(SITES), 1))
    months = weeks[weeks.to_series().dt.day.le(7).to_numpy()]
    column = weeks.get_indexer(months)
    rows = []
    for site, facility_id in enumerate(SITES):
        for gene in sorted(_genes_tested(site)):
            for month, at in zip(months, column, strict=True):
                ahead = month >= pd.Timestamp(as_of)
                share = planned[site, at] if ahead else treated[site, at]
                if share > 0.002:
                    noise = 0.0 if ahead else random.normal(0, 0.006)
                    heard = followed[site] if ahead else np.clip(followed[site] + random.normal(0, 0.02), 0, 1)
                    rows.append((facility_id, gene, month, round(float(np.clip(share + noise, 0, 1)), 4), heard, ahead))
    names = ["facility_id", "gene", "period_start", "share_tested", "share_followed", "planned"]
    return pd.DataFrame(rows, columns=names).round({"share_followed": 4})


def _alternatives_file() -> pd.DataFrame:
    rows = [
        (drug, name, share, OPIOID_RATIO if name == "morphine" else np.nan)
        for drug, to in ALTERNATIVES.items()
        for name, share in to.items()
    ]
    frame = pd.DataFrame(rows, columns=["drug", "alternative_drug", "share", "dose_ratio"])
    return frame.assign(indication="*", approved_by="P&T committee", valid_from=dt.date(2020, 1, 1))


def _dispensed(
    expected: np.ndarray, products: pd.DataFrame, weeks: pd.DatetimeIndex, random: np.random.Generator
) -> pd.DataFrame:
    """Negative-binomial demand, patients collecting two weeks at a time; sites share the week's ups and downs."""
    mean = np.maximum(expected * random.gamma(900, 1 / 900, (*expected.shape[:2], 1)), 1e-9)
    size = mean**2 / (mean * 10.0 + mean**2 / 80)
    quantity = random.negative_binomial(size, size / (size + mean)).astype(float)
    return _long(quantity, products, weeks, "quantity")


def _long(values: np.ndarray, products: pd.DataFrame, weeks: pd.DatetimeIndex, name: str) -> pd.DataFrame:
    sites, periods, items = values.shape
    return pd.DataFrame(
        {
            "facility_id": np.repeat(np.array(SITES, dtype=object), periods * items),
            "product_id": np.tile(products["product_id"].to_numpy(dtype=object), sites * periods),
            "period_start": np.tile(np.repeat(weeks, items), sites),
            name: values.ravel(),
        }
    )
