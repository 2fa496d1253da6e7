"""Which policy holds for an item: the most specific row, said in words."""

import pandas as pd
import pytest

from assets.policies import with_policies

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


def test_the_winning_row_brings_all_its_settings_and_its_name() -> None:
    rows = [policy() | {"review_period_days": 7.0}, policy("A", "p") | {"max_on_hand_days": 30.0}]
    found = with_policies(ITEMS, pd.DataFrame(rows))
    assert found["policy_source"].tolist() == [
        "policy of facility and product",
        "policy of network",
        "policy of network",
    ]
    assert pd.isna(found["review_period_days"].iloc[0])
    assert found["max_on_hand_days"].iloc[0] == 30
    assert found["review_period_days"].tolist()[1:] == [7, 7]
