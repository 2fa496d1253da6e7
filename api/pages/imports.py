"""Import reports: what became of each file, which rows were refused and why, as a page and as CSV."""

import csv
import dataclasses
import io
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse

from api.display.templating import Page, render
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db
from api.http.errors import NotAllowed, or_not_found
from api.http.fields import LARGEST_INTEGER, Strict
from api.orders.csv_order import spreadsheet_text
from api.pages.forms import OptionalText, PageNumber, select_page
from api.pages.page_session import Visitor
from api.principal import Principal
from warehouse.queries import imports

router = APIRouter()

LOADS_A_PAGE, ROWS_A_PAGE = 50, 200
MOST_CSV_ROWS = 10_000
CSV_COLUMNS = ("file", "line", "column", "value", "rule")


class ImportsParameters(Strict):
    """Which page, and whether only what was refused."""

    page: PageNumber = 1
    show: OptionalText = None


class ReportParameters(Strict):
    """Which page of the refused rows."""

    page: PageNumber = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportsPage(Page, template="imports.html", menu_entry="imports"):
    """Loads of files, newest first."""

    allowed: bool  # False for who sees some sites only: a file holds rows of every site
    loads: list[dict[str, Any]]  # rows, each with who loaded it (`by`)
    parameters: ImportsParameters
    pages: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportPage(Page, template="import.html", menu_entry="imports"):
    """One load with its refused rows."""

    load: sa.RowMapping
    loaded_by: str | None  # who loaded it; None = not recorded
    rows: list[dict[str, Any]]  # refused rows of this page
    parameters: ReportParameters
    pages: int


@router.get("/imports", dependencies=ONCE_EACH)
def show_imports(parameters: Annotated[ImportsParameters, Query()], person: Visitor, db: Db) -> HTMLResponse:
    """Loads, newest first. They are the network's: a person who is bound to some sites is told so instead."""
    if person.sites is not None:
        return render(ImportsPage(person=person, allowed=False, loads=[], parameters=parameters, pages=0))
    query = imports.loads_query(refused_only=parameters.show == "refused")
    rows, pages = select_page(db, query, parameters.page, LOADS_A_PAGE)
    names = imports.loader_names(db, rows)
    loads = [{**row, "by": names.get(row["load_id"])} for row in rows]
    return render(ImportsPage(person=person, allowed=True, loads=loads, parameters=parameters, pages=pages))


@router.get("/imports/{load_id}", dependencies=ONCE_EACH)
def show_import(
    load_id: int, parameters: Annotated[ReportParameters, Query()], person: Visitor, db: Db
) -> HTMLResponse:
    """One load with its refused rows."""
    load = _load(db, person, load_id)
    rows, pages = select_page(db, imports.refused_rows_query(load), parameters.page, ROWS_A_PAGE)
    page = ImportPage(
        person=person,
        load=load,
        loaded_by=imports.loader_names(db, [load]).get(load_id),
        rows=[imports.displayed_row(row) for row in rows],
        parameters=parameters,
        pages=pages,
    )
    return render(page)


@router.get("/imports/{load_id}/refused.csv", dependencies=NO_PARAMETERS)
def download_refused(load_id: int, person: Visitor, db: Db) -> Response:
    """The refused rows as CSV that is safe to open in a spreadsheet."""
    load = _load(db, person, load_id)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    for row in db.execute(imports.refused_rows_query(load).limit(MOST_CSV_ROWS)).mappings():
        refused = imports.displayed_row(row)
        cells = (refused["file"], refused["column_name"], refused["value"] or "", refused["rule"])
        file, column, value, rule = (spreadsheet_text(str(cell)) for cell in cells)
        writer.writerow((file, refused["line"], column, value, rule))
    headers = {"Content-Disposition": f'attachment; filename="refused-{load_id}.csv"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _load(db: sa.Connection, person: Principal, load_id: int) -> sa.RowMapping:
    if person.sites is not None:
        raise NotAllowed("loads are the whole network's: only who sees every site reads them")
    return or_not_found(imports.load(db, load_id) if load_id <= LARGEST_INTEGER else None, f"load {load_id}")
