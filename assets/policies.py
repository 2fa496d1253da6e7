"""Which stocking policy holds for an item: the most specific row wins, and says where it came from."""

import pandas as pd

ANY = "*"
SPECIFICITY = [
    (["facility_id", "product_id", "drug"], "facility and product"),
    (["facility_id", "product_id"], "facility and product"),
    (["product_id", "drug"], "product"),
    (["product_id"], "product"),
    (["facility_id", "drug"], "facility and drug"),
    (["drug"], "drug"),
    (["facility_id"], "facility"),
    ([], "network"),
]
"""From most to least specific: the keys that a row names, and the words for it."""

SETTINGS = ["target_kind", "target", "review_period_days", "max_on_hand_days", "par_level"]


def with_policies(items: pd.DataFrame, policies: pd.DataFrame) -> pd.DataFrame:
    """The items (facility_id, product_id, drug) with `SETTINGS` and policy_source; blank where no row holds.

    >>> items = pd.DataFrame({"facility_id": ["A", "B"], "product_id": ["p", "p"], "drug": ["d", "d"]})
    >>> rows = [["*", "*", "*", "fill_rate", 0.95], ["A", "*", "d", "cycle_service", 0.99]]
    >>> policies = pd.DataFrame(rows, columns=["facility_id", "product_id", "drug", "target_kind", "target"])
    >>> policies = policies.assign(review_period_days=None, max_on_hand_days=None, par_level=None)
    >>> with_policies(items, policies)["policy_source"].tolist()
    ['policy of facility and drug', 'policy of network']
    """
    found = pd.DataFrame(index=items.index, columns=[*SETTINGS, "policy_source"], dtype=object)
    for keys, words in reversed(SPECIFICITY):
        others = [name for name in ("facility_id", "product_id", "drug") if name not in keys]
        rows = policies[(policies[keys] != ANY).all(axis=1) & (policies[others] == ANY).all(axis=1)]
        if rows.empty:
            continue
        if keys:
            chosen = items[keys].merge(rows[[*keys, *SETTINGS]], on=keys, how="left").set_axis(items.index)
        else:
            chosen = pd.DataFrame([rows[SETTINGS].iloc[0]] * len(items), index=items.index)
        holds = chosen["target"].notna()
        found.loc[holds, SETTINGS] = chosen.loc[holds, SETTINGS].astype(object)
        found.loc[holds, "policy_source"] = f"policy of {words}"
    return items.join(found)
