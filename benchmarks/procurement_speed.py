"""Time and memory from sample paths to recommendations: 50,000 site-products, 200 paths, on two processes.

Run with `uv run python -m benchmarks.procurement_speed [SITES [ITEMS_A_SITE]]`. Demand is drawn (slow, usual and fast
items, 26 weeks); each site is one call of `recommend`, as in a plan, and its explanations are written too. Printed are
wall and CPU seconds of the calls (drawing left out) and the largest memory of a process.
"""

import datetime as dt
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal

import numpy as np
import pandas as pd

from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.protection_demand import GENETIC_STEP_COLUMNS, DemandDraws
from forecasting.procurement.recommend import recommend
from forecasting.procurement.supply.open_orders import COLUMNS
from forecasting.terms import Period

AS_OF = dt.date(2026, 11, 23)
WEEKS, PATHS, WORKERS = 26, 200, 2


def site_case(number: int, items: int) -> dict[str, object]:
    """The arguments of `recommend` for one invented site."""
    rng = np.random.default_rng(number)
    rates = rng.choice([0.05, 2.0, 40.0], items)
    final = rng.poisson(rates[:, None, None] * 7, (items, WEEKS, PATHS)).astype(float)
    mean = np.repeat(rates[:, None] * 7, WEEKS, axis=1)
    names = [f"product-{item:05d}" for item in range(items)]
    frame = pd.DataFrame({"product_id": names}).assign(
        facility_id=f"site-{number}",
        drug="clopidogrel",
        strength_value=Decimal(75),
        strength_unit="mg",
        dose_form="tablet",
        pack_size=Decimal(28),
        pack_price=Decimal("4.20"),
        supplier_id="wholesaler",
        target_kind="fill_rate",
        target=0.98,
        review_period_days=7,
    )
    lots = frame[["facility_id", "product_id"]].assign(quantity=rates * rng.uniform(0, 30, items), counted_at=AS_OF)
    lots = lots.assign(quantity=lots["quantity"].round(), lot="A", expiry_date=None, status="available")
    times = {"supplier_id": "wholesaler", "mean_days": 6.0, "sd_days": 2.0, "observations": 9, "source": "receipts"}
    steps = pd.DataFrame({name: pd.Series(dtype=object) for name in GENETIC_STEP_COLUMNS})
    return {
        "items": frame,
        "demand": DemandDraws(final, mean, mean, rates, steps, np.zeros((0, WEEKS))),
        "period": Period.WEEK,
        "period_starts": [AS_OF + dt.timedelta(weeks=week) for week in range(WEEKS)],
        "as_of": AS_OF,
        "lots": lots,
        "open_orders": pd.DataFrame(columns=COLUMNS),
        "lead_times": pd.DataFrame({"product_id": names}).assign(**times),
        "draws_seed": 7,
    }


def plan_site(task: tuple[int, int]) -> tuple[int, float, float, float]:
    """Lines, wall seconds, CPU seconds, and the process's largest memory so far in MB, of one site."""
    case = site_case(*task)
    wall, cpu = time.perf_counter(), time.process_time()
    found = recommend(OrderInputs(**case))  # type: ignore[arg-type]
    used = time.perf_counter() - wall, time.process_time() - cpu
    return len(found.lines), *used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Plan every site and print the totals."""
    asked = [int(word) for word in sys.argv[1:]]
    sites, items = [*asked, *(50, 1000)[len(asked) :]]
    with ProcessPoolExecutor(WORKERS) as pool:
        done = list(pool.map(plan_site, [(number, items) for number in range(sites)]))
    lines, wall, cpu, memory = (np.array([one[place] for one in done]) for place in range(4))
    print(f"{sites * items} site-products, {PATHS} paths, {lines.sum()} lines with explanations")  # noqa: T201
    told = f"CPU {cpu.sum():.1f} s; wall {wall.sum() / WORKERS:.1f} s on {WORKERS} processes"
    print(f"{told}; {memory.max():.0f} MB each")  # noqa: T201


if __name__ == "__main__":
    main()
