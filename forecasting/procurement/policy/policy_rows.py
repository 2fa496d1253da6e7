"""Which stocking policy holds for an item: of each setting the most specific row that states it, and its source."""

from typing import Any

import numpy as np
import pandas as pd

from forecasting.procurement.policy.limits import Limit, LimitKind

ANY = "*"
SEGMENTS = ["abc", "xyz", "criticality"]
KEYS = ["facility_id", "product_id", "drug", *SEGMENTS]
"""What a row may name; '*' is any."""

SETTINGS = [
    *("target_kind", "target", "review_period_days", "max_on_hand_days", "policy_kind", "par_level"),
    *("fixed_order_cost", "holding_rate_per_year", "shortage_cost"),
]
"""What a row may state."""

LIMITS = {"budget_per_period": LimitKind.BUDGET, "storage_units": LimitKind.STORAGE}


def with_policies(items: pd.DataFrame, policies: pd.DataFrame) -> pd.DataFrame:
    """The items (`KEYS`) with `SETTINGS`, policy_source and setting_sources; blank where no row states one.

    A product goes before a drug, a drug before segments (more of them before fewer), these before a site, and a site
    before the network; a row that also names the site goes before one that does not. Each setting is taken from the
    first row that states it. setting_sources [item] names each setting's row; policy_source is that of the
    target.

    >>> items = pd.DataFrame({"facility_id": ["A", "B"], "product_id": ["p", "p"], "drug": ["d", "d"]})
    >>> rows = [["*", "*", "*", "fill_rate", 0.95], ["A", "*", "d", "cycle_service", 0.99]]
    >>> policies = pd.DataFrame(rows, columns=["facility_id", "product_id", "drug", "target_kind", "target"])
    >>> with_policies(items, policies)["policy_source"].tolist()
    ['policy of facility and drug', 'policy of network']
    """
    items = items.assign(**{name: ANY for name in SEGMENTS if name not in items.columns})
    rows = _complete(policies)
    settings = pd.DataFrame(index=items.index, columns=SETTINGS, dtype=object)
    source = settings.copy()
    for named, chosen in _from_network_to_item(rows):
        values = _values_of(items, chosen, named)
        states = values.notna()
        settings = settings.mask(states, values)
        source = source.mask(states, policy_source(named))
    sources: list[Any] = [
        {str(name): text for name, text in row.items() if isinstance(text, str)} for row in source.to_dict("records")
    ]
    return items.join(settings).assign(
        policy_source=source["target"], setting_sources=pd.Series(sources, index=items.index, dtype=object)
    )


def policy_source(named: tuple[str, ...]) -> str:
    """A row's source in words, by the keys that it names.

    >>> policy_source(("facility_id", "drug")), policy_source(("abc", "xyz")), policy_source(())
    ('policy of facility and drug', 'policy of segment', 'policy of network')
    """
    nouns = {
        "facility": "facility_id" in named,
        "product": "product_id" in named,
        "drug": "drug" in named and "product_id" not in named,
        "segment": bool(set(named) & set(SEGMENTS)),
    }
    return f"policy of {' and '.join(noun for noun, is_named in nouns.items() if is_named) or 'network'}"


def _complete(policies: pd.DataFrame) -> pd.DataFrame:
    rows = policies.reindex(columns=[*KEYS, *SETTINGS, *LIMITS])
    return rows.assign(**{name: rows[name].astype(object).where(rows[name].notna(), ANY) for name in KEYS})


def _from_network_to_item(rows: pd.DataFrame) -> list[tuple[tuple[str, ...], pd.DataFrame]]:
    """Rows by the keys that they name, the least specific first."""

    def rank(named: tuple[str, ...]) -> tuple[bool, bool, int, bool]:
        segments = sum(name in named for name in SEGMENTS)
        return "product_id" in named, "drug" in named and "product_id" not in named, segments, "facility_id" in named

    naming = [tuple(key for key in KEYS if row[key] != ANY) for row in rows[KEYS].to_dict("records")]
    groups = rows.groupby(pd.Series(naming, index=rows.index, dtype=object), sort=False)
    return sorted(((tuple(named), chosen) for named, chosen in groups), key=lambda group: (rank(group[0]), group[0]))


def _values_of(items: pd.DataFrame, rows: pd.DataFrame, named: tuple[str, ...]) -> pd.DataFrame:
    keys = list(named)
    if not keys:
        return pd.DataFrame([rows[SETTINGS].iloc[0]] * len(items), index=items.index).astype(object)
    chosen = rows[[*keys, *SETTINGS]].drop_duplicates(keys, keep="last")
    return items[keys].merge(chosen, on=keys, how="left").set_axis(items.index)[SETTINGS].astype(object)


def limits_at(facility_id: str, items: pd.DataFrame, policies: pd.DataFrame, spent: np.ndarray) -> list[Limit]:
    """Budgets and room of one site over the `items` that each row names; `spent` [item] of this period's budget.

    A row that names no site holds at every site by itself, unless a row of that site speaks of the same items.
    """
    rows = _complete(policies)
    rows = rows[rows["facility_id"].isin([ANY, facility_id])]
    keys = [key for key in KEYS if key != "facility_id"]
    rows = rows.sort_values("facility_id", key=lambda facility: facility == ANY, kind="stable")
    limits = []
    for column, kind in LIMITS.items():
        stated = rows[rows[column].notna()].drop_duplicates(keys)
        for row in stated.to_dict("records"):
            chosen = _named_by(items, row, keys)
            if chosen.any():
                used = float(np.nansum(spent[chosen])) if kind is LimitKind.BUDGET else 0.0
                limits.append(Limit(kind, _limit_name(row), float(row[column]), np.flatnonzero(chosen), used))
    return limits


def _named_by(items: pd.DataFrame, row: dict[Any, Any], keys: list[str]) -> np.ndarray:
    chosen = np.full(len(items), True)
    for key in keys:
        if row[key] != ANY:
            chosen &= (items[key] == row[key]).to_numpy() if key in items.columns else False
    return chosen


def _limit_name(row: dict[Any, Any]) -> str:
    named = [str(row[key]) for key in KEYS if row[key] != ANY and key != "facility_id"]
    site = "every site" if row["facility_id"] == ANY else str(row["facility_id"])
    return ", ".join([site, *named])
