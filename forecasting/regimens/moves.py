"""What following a guideline row does to the dose units of a therapy: the move matrices, in dose units.

A therapy is a set of drugs that stand in for each other, closed under the moves. For guideline row r the matrix
`delta[r]` [source product, target product] says what one dose unit of the source becomes when the row is followed,
less the unit itself: alternatives conserve treatment-days, dose changes conserve milligrams x factor.
"""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import connected_components

from forecasting.regimens.fallbacks import NOT_APPROVED, NOT_STOCKED, chosen_alternatives, obstacles, with_fallbacks
from forecasting.regimens.strengths import split_over_strengths
from forecasting.terms import Action

MOVING = (Action.ALTERNATIVE, Action.DOSE_FACTOR, Action.DOSE_CAP, Action.ABSOLUTE_DOSE)


@dataclasses.dataclass(frozen=True)
class TherapyMoves:
    """The moves of one therapy over the network's products.

    `rows` are the guidance rows that move something (with `population_share`). `dose_low` and `dose_high`
    [row, source, target] are the deltas at the ends of the guideline's factor range, without what goes to alternatives;
    `to_alternative` [row, source, target] holds the units of a target that one source unit becomes if all that goes to
    the target's drug went to that target: a site's own mix of strengths then splits it.
    """

    therapy: str
    product_ids: tuple[str, ...]
    drugs: tuple[str, ...]
    days_per_unit: np.ndarray
    routes: tuple[str, ...]
    rows: pd.DataFrame
    dose_low: np.ndarray
    dose_high: np.ndarray
    to_alternative: np.ndarray

    def at_site(self, mix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(low, high) deltas [row, source, target] at a site whose treatment-days of each drug split as `mix` [target].

        `mix` sums to 1 within each drug and route (`strength_mix`).
        """
        alternative = self.to_alternative * mix
        return self.dose_low + alternative, self.dose_high + alternative

    def strength_mix(self, quantity: np.ndarray) -> np.ndarray:
        """Share of each product in its drug and route's treatment-days [..., product], from quantities [..., product].

        Where a drug's quantities are all zero its strengths share equally.
        """
        same = np.array(
            [
                [a == b for b in zip(self.drugs, self.routes, strict=True)]
                for a in zip(self.drugs, self.routes, strict=True)
            ],
            dtype=float,
        )
        # without treatment-days (unknown usual dose) units are the best measure of use there is
        days = np.where(np.isfinite(self.days_per_unit), self.days_per_unit, 1.0)
        used = np.maximum(quantity, 0.0) * days
        total = used @ same
        return np.where(total > 0, used / np.where(total > 0, total, 1.0), 1.0 / same.sum(axis=0))


@dataclasses.dataclass(frozen=True)
class Moves:
    """All therapies of a network, and why some drugs have no genetic step."""

    therapies: tuple[TherapyMoves, ...]
    problems: pd.DataFrame


def build_moves(
    products: pd.DataFrame,
    guidance: pd.DataFrame,
    alternatives: pd.DataFrame,
    population_share: pd.DataFrame,
) -> Moves:
    """The moves that guidance asks for over the described products (`describe_products`).

    `alternatives` has drug, alternative_drug, population ('*' = any), share (NaN = an equal part of what stated shares
    leave) and dose_ratio (milligrams of the alternative per milligram replaced; where stated it is taken instead of
    the usual daily doses). Where no alternative is given or stocked, a row's fallback takes its place (`fallbacks`). A
    drug whose rows cannot be turned into moves is left out whole, with the reason in `problems` (drug, rule, message):
    missing knowledge is never "no effect". Rows for which the guideline has no number, fallbacks, and alternatives that
    are not stocked, are said there too.
    """
    groups: list[_DrugMoves] = []
    problems: list[dict[str, str]] = []
    for drug, guidance_rows in guidance[guidance["drug"].isin(set(products["drug"]))].groupby("drug"):
        obstacle = obstacles(guidance_rows, products, alternatives)
        rows = with_fallbacks(guidance_rows, obstacle)
        try:
            _refuse(rows, obstacle)
            drug_moves = _drug_moves(str(drug), rows, products, alternatives, population_share)
        except _Blocked as blocked:
            message = f"{drug}: {blocked}; its demand is planned without genetics"
            problems.append({"drug": str(drug), "rule": blocked.rule, "message": message})
        else:
            groups += [drug_moves] if drug_moves.touched_products else []
            problems += _fallback_remarks(str(drug), rows, obstacle)
        problems += _remarks(str(drug), rows, products, alternatives)
    therapies = [_assemble(group, products) for group in _components(groups)]
    return Moves(tuple(therapies), pd.DataFrame(problems, columns=["drug", "rule", "message"]))


def _remarks(drug: str, rows: pd.DataFrame, products: pd.DataFrame, alternatives: pd.DataFrame) -> list[dict[str, str]]:
    """Problems of a drug's rows that do not block its moves."""
    remarks = []
    unnumbered = int((rows["action"] == Action.NO_NUMBER).sum())
    if unnumbered:
        message = (
            f"{drug}: {unnumbered} guidance rows ask for another dose without a number; their patients stay as they are"
        )
        remarks.append({"drug": drug, "rule": "no_number_in_guideline", "message": message})
    alternative_drugs = set(alternatives.loc[alternatives["drug"] == drug, "alternative_drug"])
    missing = sorted(alternative_drugs - set(products["drug"]))
    if missing and (rows["action"] == Action.ALTERNATIVE).any():
        consequence = (
            "what moves goes to the other alternatives"
            if len(missing) < len(alternative_drugs)
            else "what moves leaves"
        )
        message = f"{drug}: the alternative {', '.join(missing)} is not among the products; {consequence}"
        remarks.append({"drug": drug, "rule": NOT_STOCKED, "message": message})
    return remarks


def _fallback_remarks(drug: str, rows: pd.DataFrame, obstacle: pd.Series) -> list[dict[str, str]]:
    """Problems of rows whose fallback took their alternative's place, by the reason."""
    replaced = (obstacle != "") & (rows["action"] != Action.ALTERNATIVE)
    remarks = []
    for rule, of_rule in rows[replaced].groupby(obstacle[replaced]):
        reason = OBSTACLE_MESSAGES[str(rule)]
        message = f"{drug}: {reason}; {len(of_rule)} guidance rows move as the guideline asks without one"
        remarks.append({"drug": drug, "rule": "fallback_used", "message": message})
    return remarks


OBSTACLE_MESSAGES = {
    NOT_APPROVED: "no alternative drug is approved or given as default",
    NOT_STOCKED: "none of its alternatives is among the products",
}


class _Blocked(Exception):
    """A drug whose guidance cannot be turned into moves."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def _refuse(rows: pd.DataFrame, obstacle: pd.Series) -> None:
    """Block a drug that is to be replaced by nobody knows what; without a product to go to, patients leave."""
    if ((obstacle == NOT_APPROVED) & (rows["action"] == Action.ALTERNATIVE)).any():
        raise _Blocked(NOT_APPROVED, OBSTACLE_MESSAGES[NOT_APPROVED])


@dataclasses.dataclass(frozen=True)
class _RowMove:
    """One row's deltas [source, target]: at both ends of the dose range, and before the split by a site's mix."""

    low: np.ndarray
    high: np.ndarray
    alternative: np.ndarray


@dataclasses.dataclass(frozen=True)
class _DrugMoves:
    rows: pd.DataFrame
    moves: list[_RowMove]

    @property
    def touched_products(self) -> set[int]:
        if not self.moves:
            return set()
        total = np.sum([abs(move.low) + abs(move.high) + abs(move.alternative) for move in self.moves], axis=0)
        return set(np.flatnonzero(total.sum(axis=0) + total.sum(axis=1)).tolist())


SIGNATURE = [
    "action",
    "population",
    "dose_factor_low",
    "dose_factor_high",
    "dose_cap_mg_per_day",
    "absolute_dose_mg_per_day",
]


def _drug_moves(
    drug: str, rows: pd.DataFrame, products: pd.DataFrame, alternatives: pd.DataFrame, population_share: pd.DataFrame
) -> _DrugMoves:
    moving = rows[rows["action"].isin([action.value for action in MOVING]) & (rows["applies_to"] != "loading")]
    moving = moving.assign(population_share=_population_shares(drug, rows, moving, population_share))
    move_of_signature: dict[tuple[Any, ...], _RowMove] = {}
    moves = []
    for row in moving.to_dict("records"):
        # many rows of a guideline ask for the same thing
        signature = tuple(str(row[name]) for name in SIGNATURE)
        if signature not in move_of_signature:
            alternative = row["action"] == Action.ALTERNATIVE
            move_of_signature[signature] = (
                _alternative_move(row, products, alternatives) if alternative else _dose_move(row, products)
            )
        moves.append(move_of_signature[signature])
    return _DrugMoves(moving, moves)


def _population_shares(
    drug: str, rows: pd.DataFrame, moving: pd.DataFrame, population_share: pd.DataFrame
) -> pd.Series:
    populations = set(rows["population"])
    if len(populations) == 1:
        return pd.Series(1.0, index=moving.index)
    shares = population_share[population_share["drug"] == drug].set_index("population")["share"].astype(float)
    missing = sorted(populations - set(shares.index))
    if missing:
        raise _Blocked("population_share_unknown", f"no share of patients is known for {', '.join(missing)}")
    return moving["population"].map(shares).astype(float)


def _alternative_move(row: dict[Any, Any], products: pd.DataFrame, alternatives: pd.DataFrame) -> _RowMove:
    chosen = chosen_alternatives(alternatives, str(row["drug"]), str(row["population"]))
    shares = _shares(chosen)
    moved = float(shares.sum())
    stocked = np.where(chosen["alternative_drug"].isin(set(products["drug"])), shares, 0.0)
    if stocked.sum() > 0:
        # what would have gone to an alternative that is not stocked goes to those that are; with none, it leaves
        shares = stocked * moved / stocked.sum()
    alternative = np.zeros((len(products), len(products)))
    leaving = np.zeros_like(alternative)
    for source in np.flatnonzero((products["drug"] == row["drug"]).to_numpy()):
        leaving[source, source] = -moved
        for share, name, ratio in zip(shares, chosen["alternative_drug"], chosen["dose_ratio"], strict=True):
            if share > 0 and stocked.sum() > 0:
                alternative[source] += share * _units_of_alternative(int(source), str(name), float(ratio), products)
    return _RowMove(leaving, leaving, alternative)


def _shares(chosen: pd.DataFrame) -> np.ndarray:
    stated = chosen["share"].to_numpy(dtype=float)
    is_blank = np.isnan(stated)
    remainder = max(1.0 - float(np.nansum(stated)), 0.0)
    shares = np.where(is_blank, remainder / max(is_blank.sum(), 1), stated)
    return shares / max(1.0, float(shares.sum()))


def _units_of_alternative(source: int, name: str, ratio: float, products: pd.DataFrame) -> np.ndarray:
    """Units of each product of the alternative that stand for one source unit, before the mix.

    They carry its treatment-days, or where a ratio is stated, its milligrams times the ratio. A ratio of exactly 1
    between drugs with daily doses of their own means one day for one day, not one milligram for one.
    """
    same_drug = (products["drug"] == name).to_numpy()
    same_route = same_drug & (products["route"] == products["route"].iloc[source]).to_numpy()
    targets = same_route if same_route.any() else same_drug
    days, strength = products["days_per_unit"].to_numpy(), products["strength_mg"].to_numpy()
    by_days = days[source] / days
    one_for_one = ratio == 1 and np.isfinite(by_days[targets]).all()
    units = by_days if np.isnan(ratio) or one_for_one else strength[source] * ratio / strength
    if not np.isfinite(units[targets]).all():
        raise _Blocked("treatment_days_unknown", f"neither usual daily doses nor a dose ratio lead to {name}")
    return np.where(targets, units, 0.0)


def _dose_move(row: dict[Any, Any], products: pd.DataFrame) -> _RowMove:
    low = np.zeros((len(products), len(products)))
    high = np.zeros_like(low)
    strength = products["strength_mg"].to_numpy()
    of_drug = (products["drug"] == row["drug"]).to_numpy()
    measured = np.isfinite(strength)
    if row["action"] == Action.DOSE_FACTOR:
        # a factor needs no milligrams: such a product changes its own number of units
        strength = np.where(measured, strength, 1.0)
    elif not measured[of_drug].all():
        raise _Blocked(
            "strength_not_in_mg", "a dose in mg is asked for, and strengths are not stated in a unit of mass"
        )
    form = products["dose_form"].to_numpy()
    for source in np.flatnonzero(of_drug):
        same = of_drug & measured & (form == form[source])
        ladder = np.flatnonzero(same) if measured[source] else np.array([source])
        for delta, wanted in zip((low, high), _wanted_mg(row, float(strength[source])), strict=True):
            delta[source, ladder] += split_over_strengths(wanted, strength[ladder])
            delta[source, source] -= 1.0
    return _RowMove(low, high, np.zeros_like(low))


def _wanted_mg(row: dict[Any, Any], strength_mg: float) -> tuple[float, float]:
    """The strength that replaces one unit at the low and the high end of the row's range."""
    if row["action"] == Action.DOSE_FACTOR:
        return strength_mg * float(row["dose_factor_low"]), strength_mg * float(row["dose_factor_high"])
    dose = row["dose_cap_mg_per_day"] if row["action"] == Action.DOSE_CAP else row["absolute_dose_mg_per_day"]
    # capped drugs are taken once a day: the strength of one dose unit is what the cap is compared with
    wanted = min(strength_mg, float(dose))
    return wanted, wanted


def _components(drugs: list[_DrugMoves]) -> list[list[_DrugMoves]]:
    """Drugs grouped so that no move leaves its group."""
    if not drugs:
        return []
    touched = [drug.touched_products for drug in drugs]
    overlaps = np.array([[bool(a & b) for a in touched] for b in touched])
    count, label = connected_components(overlaps, directed=False)
    return [
        [drug for drug, component in zip(drugs, label, strict=True) if component == number] for number in range(count)
    ]


def _assemble(group: list[_DrugMoves], products: pd.DataFrame) -> TherapyMoves:
    touched = sorted(set().union(*(drug.touched_products for drug in group)))
    block = np.ix_(touched, touched)
    products_of_group = products.iloc[touched]
    moves = [move for drug in group for move in drug.moves]
    return TherapyMoves(
        therapy=", ".join(sorted(set(products_of_group["drug"]))),
        product_ids=tuple(products_of_group["product_id"]),
        drugs=tuple(products_of_group["drug"]),
        days_per_unit=products_of_group["days_per_unit"].to_numpy(dtype=float),
        routes=tuple(products_of_group["route"]),
        rows=pd.concat([drug.rows for drug in group], ignore_index=True),
        dose_low=np.stack([move.low[block] for move in moves]),
        dose_high=np.stack([move.high[block] for move in moves]),
        to_alternative=np.stack([move.alternative[block] for move in moves]),
    )
