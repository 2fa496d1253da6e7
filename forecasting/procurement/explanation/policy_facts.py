"""Facts of a line beyond its demand and stock: what its policy rests on, and what orders beside it did to it."""

from typing import Any

import numpy as np

from forecasting.procurement.explanation.pack_steps import LimitFacts, PolicyFacts, SharedFacts
from forecasting.procurement.order.plan import within_life
from forecasting.procurement.order.planning_case import Case, Ordered
from forecasting.procurement.order.shared_limits import Together
from forecasting.procurement.packs import as_decimal
from forecasting.procurement.protection_demand import CumulativeDemand
from forecasting.terms import PolicyKind


def policy_facts(case: Case, ordered: Ordered) -> list[PolicyFacts]:
    """What each ordered item's kind of policy rests on; samples are kept only where the kind reads them."""
    situation, plan = case.situation.take(ordered.rows), ordered.plan
    stocking = situation.stocking
    sold = np.flatnonzero(stocking.kind == PolicyKind.NEWSVENDOR.value)
    life = within_life(CumulativeDemand(case.demand.final[ordered.rows[sold]], case.edges), situation.take(sold))
    within = dict(zip(sold.tolist(), np.sort(life, axis=1).tolist(), strict=True))
    found = []
    for place in range(len(ordered.rows)):
        kind, of_review = str(stocking.kind[place]), []
        if kind == PolicyKind.REORDER_POINT.value:
            of_review = np.sort(plan.until_next_arrival[place] - plan.until_arrival[place]).tolist()
        found.append(
            PolicyFacts(
                kind=kind,
                **{name: int(getattr(stocking, name)[place]) for name in _STOCKING},
                economic=bool(stocking.economic[place]),
                reorder_point=int(plan.reorder_point[place]),
                order_to=int(plan.order_to[place]),
                of_review=of_review,
                within_life=within.get(place, []),
                band=int(plan.band[place]),
                standing=int(situation.standing[place]),
                fresh=int(plan.packs_fresh[place]),
                needed=int(plan.packs_needed[place]),
            )
        )
    return found


_STOCKING = ("par_level", "order_cost", "short", "wasted", "held")


def shared_facts(case: Case, shared: Together, line: int, item: dict[str, Any]) -> SharedFacts:
    """What shared limits and a minimum order value did to one line."""
    trimmed = shared.trimmed
    limits = []
    if trimmed.packs[line] != shared.before[line]:
        limits = [
            LimitFacts(
                kind=limit.kind.value,
                name=limit.name,
                amount=as_decimal(limit.amount),
                used=as_decimal(round(limit.used, 6)),
                shadow_price=int(trimmed.shadow_price[shared.rank[line], number]),
                use=as_decimal(float(shared.use[number, line])),
            )
            for number, limit in enumerate(shared.limits)
            if shared.use[number, line] > 0
        ]
    return SharedFacts(
        before=int(shared.before[line]),
        worth=int(trimmed.worth[line]),
        trimmed=int(trimmed.packs[line]),
        price=int(trimmed.price[line]),
        days_per_unit=int(case.situation.stocking.days_per_unit[shared.rows[line]]),
        days_source="strength over usual daily dose" if item["usual_daily_dose"] else "default: a dose unit a day",
        criticality=str(item["criticality"]),
        limits=limits,
        added=int(shared.added[line]),
        minimum_value=shared.minimum_value[line],
        supplier=item["supplier_id"],
    )
