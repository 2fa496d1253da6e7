"""From demand draws to packs: when to order, how much, and why.

The way of a line: `supply` (which day, how long, what is on the shelf and on order) and `protection_demand` (the demand
until the order after this one arrives), `policy` (the level), `packs` (the rounding), `order` (the plan, limits that
lines share, what the order does to risk); `recommend` joins them. `explanation` stores the calculation, recomputes it
and says it in words; `replay` simulates the past under several rules of ordering.

Quantities that become an order are integers: thousandths of a dose unit, or packs.
"""
