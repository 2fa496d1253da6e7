"""From demand draws to packs: when to order, how much, and why.

The road of a line: `calendar` (which day) and `lead_time` (how long) give the protection interval, `interval` the
demand over it, `policy` the order-up-to level, `stock` and `supply` what is there or on its way, `packs` the rounding,
`plan` the order, `outlook` what it does to risk, and `recommend` joins them. `explanation` stores the calculation and
recomputes it, `paragraph` says it in words.

Quantities that become an order are integers: thousandths of a dose unit, or packs.
"""
