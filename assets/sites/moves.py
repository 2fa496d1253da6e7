"""Moves of a group of sites: which guidance rows act on which products, and how strongly."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.run_tables import RunTables
from assets.sites.content import DrugProblem, Era, SiteGroup
from forecasting.pharmacogenomics.content import ReferenceContent
from forecasting.regimens.moves import Moves, TherapyMoves, build_moves
from forecasting.regimens.strengths import describe_products

MIX_DAYS = 365
"""A site's mix of strengths is that of the last year."""

LEAST_SHARE_OF_DRUG = 0.001
"""Of less than a thousandth of the drug's dose units no pack is kept on a shelf."""

MOVE_COLUMNS = [
    *("facility_id", "therapy", "recommendation_id", "followed_from", "product_id", "to_product_id"),
    *("population_share", "units_low", "units_high"),
]


def group_moves(group: SiteGroup, tables: RunTables) -> tuple[pd.DataFrame, list[DrugProblem]]:
    """Moves of every era at the sites of a group that dispensed anything in the last year, and drugs that have none."""
    run, alternatives = tables.run, tables["alternatives"]
    quantity = recent_quantity(tables["dispensing"], run)
    products = products_in_use(tables["products"], tables["dispensing"], run)
    problems = [problem for problem in group.blocked if problem[0] in set(products["drug"])]
    if group.content.guidance.empty:
        message = "no guidance is in force: every drug is planned without genetics"
        problems.append(("*", "guidance_empty", message))
    parts, by_site = [], quantity.T
    for era in group.eras:
        moves = _era_moves(group, era, products, approved_alternatives(alternatives, era.content, run))
        if era is group.eras[-1]:
            problems += [(str(drug), str(rule), str(text)) for drug, rule, text in moves.problems.to_numpy().tolist()]
        for site in dispensing_sites(group, quantity):
            at_site = [_at_site(site, therapy, by_site[site]) for therapy in moves.therapies]
            parts += [rows.assign(followed_from=pd.Timestamp(era.since)) for rows in at_site]
    return stacked_moves(parts), problems


def dispensing_sites(group: SiteGroup, quantity: pd.DataFrame) -> list[str]:
    """Sites of the group with a row in `quantity` [site, product]: those that dispensed anything in the last year."""
    return [site for site in group.facility_ids if site in quantity.index]


def stacked_moves(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Moves of several sites or groups in one frame, with its columns also when nothing moves."""
    filled = [rows for rows in parts if len(rows)]
    empty = pd.DataFrame(columns=MOVE_COLUMNS).astype({"followed_from": "datetime64[us]"})
    return pd.concat(filled, ignore_index=True) if filled else empty


def moves_of_groups(groups: Iterable[SiteGroup], tables: RunTables) -> pd.DataFrame:
    """Rows of `regimen_moves` of all the groups, without the origin."""
    return stacked_moves([group_moves(group, tables)[0] for group in groups])


def _era_moves(group: SiteGroup, era: Era, products: pd.DataFrame, alternatives: pd.DataFrame) -> Moves:
    guidance = era.content.guidance
    return build_moves(
        describe_products(products, group.content.usual_daily_dose),
        guidance[~guidance["drug"].isin(group.blocked_drugs)],
        alternatives,
        era.content.population_share,
    )


def products_in_use(products: pd.DataFrame, dispensing: pd.DataFrame, run: PlanningRun) -> pd.DataFrame:
    """Products that patients can be moved to at the origin.

    Left out are those withdrawn or not yet launched, and those that made up less than `LEAST_SHARE_OF_DRUG` of their
    drug's dose units in the network over the last year: a strength made to order now and then is not stocked.
    """
    as_of = pd.Timestamp(run.as_of)
    alive = ~(products["withdrawn_on"] <= as_of) & ~(products["launched_on"] > as_of)
    units = products["product_id"].map(recent_quantity(dispensing, run).sum()).fillna(0.0)
    share = units / units.groupby(products["drug"]).transform("sum")
    new = products["launched_on"] > as_of - pd.Timedelta(days=MIX_DAYS)
    return products[alive & (new | ~(share < LEAST_SHARE_OF_DRUG))]


def valid_alternatives(approved: pd.DataFrame, run: PlanningRun) -> pd.DataFrame:
    """The alternatives that the site approved, as far as they hold at the origin."""
    as_of = pd.Timestamp(run.as_of)
    is_valid = approved["valid_to"].isna() | (approved["valid_to"] >= as_of)
    return approved[(approved["valid_from"] <= as_of) & is_valid]


def approved_alternatives(approved: pd.DataFrame, content: ReferenceContent, run: PlanningRun) -> pd.DataFrame:
    """The site's approved alternatives; the default ones for drugs without any."""
    own = valid_alternatives(approved, run).rename(columns={"indication": "population"})[
        ["drug", "alternative_drug", "population", "share", "dose_ratio"]
    ]
    defaults = content.default_alternative[~content.default_alternative["drug"].isin(set(own["drug"]))]
    return pd.concat([own, defaults.assign(dose_ratio=np.nan)[list(own.columns)]], ignore_index=True)


def recent_quantity(dispensing: pd.DataFrame, run: PlanningRun) -> pd.DataFrame:
    """Quantity [site, product] of the last year before the origin, returns netted, never negative."""
    end = pd.Timestamp(run.as_of)
    recent = dispensing[
        (dispensing["period_start"] < end) & (dispensing["period_start"] >= end - pd.Timedelta(days=MIX_DAYS))
    ]
    table = recent.pivot_table(index="facility_id", columns="product_id", values="quantity", aggfunc="sum")
    return table.fillna(0.0).clip(lower=0.0)


def _at_site(facility_id: str, therapy: TherapyMoves, quantity: pd.Series) -> pd.DataFrame:
    low, high = therapy.at_site(therapy.strength_mix(quantity.reindex(therapy.product_ids).fillna(0.0).to_numpy()))
    row, source, target = np.nonzero((low != 0) | (high != 0))
    products = np.array(therapy.product_ids, dtype=object)
    return pd.DataFrame(
        {
            "facility_id": facility_id,
            "therapy": therapy.therapy,
            "recommendation_id": therapy.rows["recommendation_id"].to_numpy()[row],
            "product_id": products[source],
            "to_product_id": products[target],
            "population_share": therapy.rows["population_share"].to_numpy()[row],
            "units_low": low[row, source, target],
            "units_high": high[row, source, target],
        }
    )
