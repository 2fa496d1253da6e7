"""Import reports: what became of each file, which rows were refused and why, as a page and as CSV."""

import csv
import io
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import HTMLResponse
from pydantic import Field

from api.access.roles import Principal
from api.display.templating import page
from api.http.context import Db, refuse_parameters, refuse_repeated_parameters
from api.http.errors import NotAllowed, NotFound
from api.http.fields import Strict
from api.orders.csv_order import as_text
from api.pages.page_session import Visitor
from api.pages.worklist import OneName
from warehouse.queries import imports as reports

router = APIRouter()

LOADS_A_PAGE, ROWS_A_PAGE = 50, 200
MOST_CSV_ROWS = 10_000
COLUMNS = ("file", "line", "column", "value", "rule")


class ImportsParameters(Strict):
    """Which page, and whether only what was refused."""

    page: int = Field(1, ge=1, le=10_000)
    show: OneName = None


class ReportParameters(Strict):
    """Which page of the refused rows."""

    page: int = Field(1, ge=1, le=10_000)


@router.get("/imports", dependencies=[Depends(refuse_repeated_parameters)])
def show_imports(parameters: Annotated[ImportsParameters, Query()], person: Visitor, db: Db) -> HTMLResponse:
    """Loads, newest first. They are the network's: a person who is bound to some sites is told so instead."""
    if person.sites is not None:
        return page(
            "imports.html", person=person, here="imports", allowed=False, loads=[], parameters=parameters, pages=0
        )
    query = reports.loads_query(refused_only=parameters.show == "refused")
    found, pages = _slice(db, query, parameters.page, LOADS_A_PAGE)
    by = reports.loader_names(db, found)
    shown = [{**one, "by": by.get(one["load_id"])} for one in found]
    return page(
        "imports.html",
        person=person,
        here="imports",
        allowed=True,
        loads=shown,
        parameters=parameters,
        pages=pages,
    )


@router.get("/imports/{load_id}", dependencies=[Depends(refuse_repeated_parameters)])
def show_import(
    load_id: int, parameters: Annotated[ReportParameters, Query()], person: Visitor, db: Db
) -> HTMLResponse:
    """One load with its refused rows."""
    load = _load(db, person, load_id)
    rows, pages = _slice(db, reports.refused_rows_query(load), parameters.page, ROWS_A_PAGE)
    return page(
        "import.html",
        person=person,
        here="imports",
        load=load,
        by=reports.loader_names(db, [load]).get(load_id),
        rows=[reports.displayed_row(row) for row in rows],
        parameters=parameters,
        pages=pages,
    )


@router.get("/imports/{load_id}/refused.csv", dependencies=[Depends(refuse_parameters)])
def download_refused(load_id: int, person: Visitor, db: Db) -> Response:
    """The refused rows as CSV that is safe to open in a spreadsheet."""
    load = _load(db, person, load_id)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in db.execute(reports.refused_rows_query(load).limit(MOST_CSV_ROWS)).mappings():
        told = reports.displayed_row(row)
        cells = (told["file"], told["column_name"], told["value"] or "", told["rule"])
        file, column, value, rule = (as_text(str(cell)) for cell in cells)
        writer.writerow((file, told["line"], column, value, rule))
    headers = {"Content-Disposition": f'attachment; filename="refused-{load_id}.csv"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _load(db: sa.Connection, person: Principal, load_id: int) -> sa.RowMapping:
    if person.sites is not None:
        raise NotAllowed("loads are the whole network's: only who sees every site reads them")
    load = reports.load(db, load_id) if load_id < 2**31 else None
    if load is None:
        raise NotFound(f"there is no load {load_id}")
    return load


def _slice(db: sa.Connection, query: sa.Select[Any], number: int, size: int) -> tuple[Any, int]:
    """The rows of a page, and how many pages there are."""
    count = int(db.execute(sa.select(sa.func.count()).select_from(query.order_by(None).subquery())).scalar_one())
    return db.execute(query.limit(size).offset((number - 1) * size)).mappings().all(), -(-count // size)
