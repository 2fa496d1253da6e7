"""Which policy holds for an item: the most specific row, said in words."""

import numpy as np
import pandas as pd
import pytest

from forecasting.procurement.policy.policy_rows import limits_at, with_policies

ITEMS = pd.DataFrame({"facility_id": ["A", "A", "B"], "product_id": ["p", "q", "p"], "drug": ["d", "e", "d"]})


def policy(facility: str = "*", product: str = "*", drug: str = "*", target: float = 0.9) -> dict[str, object]:
    names = {"facility_id": facility, "product_id": product, "drug": drug}
    return names | {"target_kind": "fill_rate", "target": target, "review_period_days": None, "max_on_hand_days": None}


def targets(*rows: dict[str, object]) -> list[float | None]:
    found = with_policies(ITEMS, pd.DataFrame(rows or None, columns=list(policy())))
    return [None if pd.isna(value) else float(value) for value in found["target"]]


def test_without_a_policy_everything_is_blank() -> None:
    assert targets() == [None, None, None]


@pytest.mark.parametrize(
    ("special", "expected"),
    [
        (policy("A", "p"), [0.99, 0.5, 0.5]),
        (policy("A", "p", "d"), [0.99, 0.5, 0.5]),
        (policy(product="p"), [0.99, 0.5, 0.99]),
        (policy(product="p", drug="d"), [0.99, 0.5, 0.99]),
        (policy(product="p", drug="e"), [0.5, 0.5, 0.5]),
        (policy("A", drug="e"), [0.5, 0.99, 0.5]),
        (policy(drug="d"), [0.99, 0.5, 0.99]),
        (policy("B"), [0.5, 0.5, 0.99]),
    ],
)
def test_every_kind_of_row_reaches_its_items_alone(special: dict[str, object], expected: list[float]) -> None:
    assert targets(policy(target=0.5), special | {"target": 0.99}) == expected


def test_from_the_network_to_the_item_each_more_specific_row_wins() -> None:
    rows = [
        policy(target=0.1),
        policy("A", target=0.2),
        policy(drug="d", target=0.3),
        policy("A", drug="d", target=0.4),
    ]
    rows += [policy(product="p", target=0.5), policy("A", "p", target=0.6)]
    assert [targets(*rows[: number + 1])[0] for number in range(6)] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert [targets(*rows[::-1][: number + 1])[0] for number in range(6)] == [0.6] * 6


def test_each_setting_comes_from_the_most_specific_row_that_states_it_and_says_so() -> None:
    rows = [policy() | {"review_period_days": 7.0}, policy("A", "p") | {"max_on_hand_days": 30.0}]
    found = with_policies(ITEMS, pd.DataFrame(rows))
    assert found["policy_source"].tolist() == [
        "policy of facility and product",
        "policy of network",
        "policy of network",
    ]
    assert found["review_period_days"].tolist() == [7, 7, 7]
    assert found["max_on_hand_days"].tolist()[:1] == [30]
    assert pd.isna(found["max_on_hand_days"].iloc[1])
    assert found["setting_sources"].iloc[0] == {
        "target_kind": "policy of facility and product",
        "target": "policy of facility and product",
        "review_period_days": "policy of network",
        "max_on_hand_days": "policy of facility and product",
    }


def test_segments_stand_between_drug_and_site_and_more_of_them_before_fewer() -> None:
    segments = {"abc": ["A", "A", "C"], "xyz": ["X", "Z", "X"], "criticality": ["standard", "critical", "critical"]}
    rows = [
        policy("A", target=0.91),
        policy(target=0.92) | {"abc": "A"},
        policy(target=0.93) | {"abc": "A", "xyz": "Z"},
        policy(target=0.94) | {"criticality": "critical"},
    ]
    found = with_policies(ITEMS.assign(**segments), pd.DataFrame(rows))
    assert found["target"].tolist() == [0.92, 0.93, 0.94]
    assert found["policy_source"].tolist() == ["policy of segment"] * 3
    by_drug = with_policies(ITEMS.assign(**segments), pd.DataFrame([*rows, policy(drug="d", target=0.95)]))
    assert by_drug["target"].tolist() == [0.95, 0.93, 0.95]


def test_a_limit_without_a_site_holds_at_each_site_by_itself_unless_the_site_has_its_own() -> None:
    rows = [
        policy() | {"budget_per_period": 500.0},
        policy("A") | {"budget_per_period": 90.0, "storage_units": 40.0},
        policy(drug="e") | {"budget_per_period": 10.0},
    ]
    spent = np.array([5.0, 7.0])
    at_a = limits_at("A", ITEMS.iloc[:2], pd.DataFrame(rows), spent)
    told = [(one.kind.value, one.name, one.amount, one.used, one.rows.tolist()) for one in at_a]
    assert told == [
        ("budget", "A", 90.0, 12.0, [0, 1]),
        ("budget", "every site, e", 10.0, 7.0, [1]),
        ("storage", "A", 40.0, 0.0, [0, 1]),
    ]
    assert [one.amount for one in limits_at("B", ITEMS.iloc[2:], pd.DataFrame(rows), np.zeros(1))] == [500.0]
