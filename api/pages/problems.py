"""How fresh the data is, what the last run could not do, and what was loaded."""

import datetime as dt

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from api.context import Db, Now, refuse_parameters
from api.pages.visitor import Visitor
from api.templating import page
from warehouse import queries

router = APIRouter()

LOADS_SHOWN = 20
STALE_AFTER_DAYS = 2
"""A stock count older than this is marked: the order rests on it."""


@router.get("/problems", dependencies=[Depends(refuse_parameters)])
def show_problems(person: Visitor, db: Db, now: Now) -> HTMLResponse:
    """Freshness per site, problems of the newest run, last loads. Loads are the network's: all sites must be seen."""
    sites = [
        {**row, "stock_age_days": _age_days(row["stock_counted_at"], now)}
        for row in queries.freshness(db, person.sites)
    ]
    return page(
        "problems.html",
        person=person,
        here="problems",
        run=queries.last_run(db),
        sites=sites,
        stale_after_days=STALE_AFTER_DAYS,
        problems=queries.latest_problems(db, person.sites),
        loads=queries.last_loads(db, LOADS_SHOWN) if person.sites is None else None,
    )


def _age_days(moment: dt.datetime | None, now: dt.datetime) -> int | None:
    return None if moment is None else max((now - moment).days, 0)
