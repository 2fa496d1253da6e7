"""Optimal levels of another program, written down once: stockpyl's exact algorithms on random instances.

    python -m venv build/stockpyl && build/stockpyl/bin/pip install stockpyl==1.0.2
    build/stockpyl/bin/python benchmarks/peer_inventory.py > tests/forecasting/procurement/optima_by_stockpyl.csv

Needs nothing of this project: stockpyl brings some sixty packages, which is why it has an environment of its own. It
implements Zheng & Federgruen (1991) for (s, S), Federgruen & Zheng (1992) for (r, Q), and the newsvendor, all for
Poisson demand, with costs h a unit held and p a unit short per period. The tests read the file.
"""

import csv
import random
import sys

from stockpyl.newsvendor import newsvendor_poisson
from stockpyl.rq import r_q_poisson_exact
from stockpyl.ss import s_s_discrete_exact

INSTANCES = 200
COLUMNS = ("kind", "demand_mean", "lead_time", "holding", "shortage", "fixed", "low", "high", "cost")


def main() -> None:
    """Write the instances and their optima: `low` and `high` are s and S, r and r + Q, or the level twice."""
    drawn = random.Random(7)
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(COLUMNS)
    for _ in range(INSTANCES):
        mean, shortage, fixed = drawn.uniform(1, 12), drawn.uniform(3, 40), drawn.uniform(1, 40)
        mean, shortage, fixed = (round(value, 3) for value in (mean, shortage, fixed))
        low, high, cost = s_s_discrete_exact(1, shortage, fixed, True, mean)
        out.writerow(("s_S", mean, 0, 1, shortage, fixed, int(low), int(high), round(cost, 6)))
        time = round(drawn.uniform(0.5, 4), 3)
        low, quantity, cost = r_q_poisson_exact(1, shortage, fixed, mean, time)
        out.writerow(("r_Q", mean, time, 1, shortage, fixed, int(low), int(low + quantity), round(cost, 6)))
        level, cost = newsvendor_poisson(1, shortage, mean * 10)
        out.writerow(("newsvendor", round(mean * 10, 3), 0, 1, shortage, 0, int(level), int(level), round(cost, 6)))


if __name__ == "__main__":
    main()
