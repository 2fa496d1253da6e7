"""Overrides: what people set of forecasts and what it was worth, the form with its preview, and taking one back."""

import dataclasses
import datetime as dt
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import Field, ValidationError

from api.display.labels import label
from api.display.templating import Page, render
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db, Now
from api.http.errors import ApiError, InvalidRequest, OverrideEnded, or_not_found
from api.http.fields import Note, Strict, Text
from api.overrides.commands import checked_row, create_override, override_query, state_of, withdraw_override
from api.overrides.models import (
    MOST_QUANTITY,
    OverrideFilters,
    OverrideIn,
    OverridePreviewOut,
    OverrideState,
    PacksIn,
    PacksPreviewOut,
)
from api.overrides.preview import preview_override, preview_packs
from api.pages.detail import EditForm
from api.pages.forms import OptionalText, OrBlank, PageForm, PageNumber, RowNumber, check_form, sites_by_name
from api.pages.page_session import Visitor, local_path, see_other
from api.principal import Principal
from forecasting.terms import DecisionReason, DescribedEnum, OverrideKind, OverrideReason
from warehouse.queries.lines import Rows, recommendation
from warehouse.queries.override_value import as_forecast_edits, edit_sums, measured_edits
from warehouse.queries.overrides import forecasts_by_product
from warehouse.roles import Permission
from warehouse.schema.inputs import Product
from warehouse.schema.ledger import ForecastOverride

router = APIRouter()

ROWS_A_PAGE = 100
PERIODS_SHOWN = 8
REFUSAL = "reads and overrides nothing"
REQUIRED = {
    "facility_id": "choose a site",
    "kind": "choose a factor or a quantity",
    "value": "say how much",
    "starts_on": "name the first day",
    "ends_on": "name the last day",
    "expires_on": "name the day on which it expires",
    "reason_code": "choose a reason",
}


class OverrideParameters(Strict):
    """Which overrides, for which product the form is filled in, and what was done last."""

    facility_id: OptionalText = None
    product_id: OptionalText = None
    drug: OptionalText = None
    state: OrBlank[OverrideState] = None
    page: PageNumber = 1
    made: RowNumber | None = None
    withdrawn: RowNumber | None = None


class OverrideForm(PageForm):
    """An override as the form sends it; `step` is preview, or save once the preview was seen."""

    step: Text = "preview"
    facility_id: OptionalText = None
    product_id: OptionalText = None
    drug: OptionalText = None
    kind: OrBlank[OverrideKind] = None
    value: OrBlank[float] = None
    starts_on: OrBlank[dt.date] = None
    ends_on: OrBlank[dt.date] = None
    expires_on: OrBlank[dt.date] = None
    reason_code: OrBlank[OverrideReason] = None
    note: OrBlank[Note] = None

    def override(self) -> OverrideIn:
        """The override itself; the first field that is missing or wrong raises `InvalidRequest`."""
        for name, reason in REQUIRED.items():
            if getattr(self, name) is None:
                raise InvalidRequest.field(name, reason)
        try:
            return OverrideIn.model_validate(self.model_dump(mode="json", exclude={"csrf_token", "step"}))
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidRequest.field(".".join(str(part) for part in first["loc"]), first["msg"]) from error


class WithdrawalForm(PageForm):
    """Withdrawing an override."""

    note: OrBlank[Note] = None


class PacksForm(EditForm):
    """The form that changes a line's packs, asking first whether that changes the order."""

    recommendation_id: Text
    quantity: OrBlank[Annotated[float, Field(ge=0, le=MOST_QUANTITY)]] = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class OverridesPage(Page, template="overrides.html", menu_entry="overrides"):
    """What was set, what it was worth, and the form."""

    today: dt.date
    parameters: OverrideParameters
    rows: list[dict[str, Any]]  # overrides of this page, newest first, with their state
    more: bool  # whether there are older ones
    sites: Rows  # to choose from
    products: Rows  # to choose from
    periods: list[Any]  # next periods of the chosen product's forecast, step by step
    value_as_of: dt.date | None  # origin of the run that measured the edits; None = none did
    value: dict[str, list[dict[str, Any]]]  # sums over edits of forecasts and of packs
    states: list[OverrideState]  # to choose from
    error: ApiError | None = None  # why nothing was saved
    form: OverrideForm | None = None  # what was filled in
    preview: OverridePreviewOut | None = None  # what the override of the form would do


@dataclasses.dataclass(frozen=True, kw_only=True)
class PacksPage(Page, template="override_packs.html", menu_entry="worklist"):
    """Whether other packs change the order of a line."""

    line: sa.RowMapping
    preview: PacksPreviewOut | None  # None = these packs cannot be ordered
    error: InvalidRequest | None  # why they cannot
    form: PacksForm
    back: str  # the page to go back to


@router.get("/overrides", dependencies=ONCE_EACH)
def show_overrides(
    parameters: Annotated[OverrideParameters, Query()], person: Visitor, db: Db, now: Now
) -> HTMLResponse:
    """What was set, newest first, what it was worth, and the form; of a chosen product its forecast, step by step."""
    return render(_page(db, person, now.date(), parameters))


@router.post("/overrides", dependencies=NO_PARAMETERS)
def override_on_page(form: Annotated[OverrideForm, Form()], person: Visitor, db: Db, now: Now) -> Response:
    """First the preview, which says whether an order changes; saved from there. A broken rule: the form again."""
    check_form(person, form, Permission.DECIDE, REFUSAL)
    parameters = OverrideParameters(facility_id=form.facility_id, product_id=form.product_id)
    try:
        override = form.override()
        if form.step == "save":
            number = create_override(db, person, override, now)
            return see_other(f"/overrides?made={number}")
        checked_row(db, person, override, now)
    except InvalidRequest as error:
        # nothing has been written at this point: every rule is checked before the first write
        page = dataclasses.replace(_page(db, person, now.date(), parameters), error=error, form=form)
        return render(page, status=error.status)
    page = _page(db, person, now.date(), parameters)
    return render(dataclasses.replace(page, form=form, preview=preview_override(db, override, now.date())))


@router.post("/overrides/{override_id}/withdrawal", dependencies=NO_PARAMETERS)
def withdraw_on_page(
    override_id: int, form: Annotated[WithdrawalForm, Form()], person: Visitor, db: Db, now: Now
) -> Response:
    """Withdraw one and show the list; where another person was first, the list with the reason."""
    check_form(person, form, Permission.DECIDE, REFUSAL)
    try:
        withdraw_override(db, person, override_id, form.note, now)
    except OverrideEnded as error:
        page = dataclasses.replace(_page(db, person, now.date(), OverrideParameters()), error=error)
        return render(page, status=error.status)
    return see_other(f"/overrides?withdrawn={override_id}")


@router.post("/overrides/packs", dependencies=NO_PARAMETERS)
def check_packs_on_page(form: Annotated[PacksForm, Form()], person: Visitor, db: Db) -> Response:
    """Whether other packs change the order, before they are decided; nothing is stored."""
    check_form(person, form, Permission.DECIDE, REFUSAL)
    line = recommendation(db, person.sites, form.recommendation_id)
    line = or_not_found(line, f"recommendation {form.recommendation_id}")
    preview: PacksPreviewOut | None = None
    refusal: InvalidRequest | None = None
    try:
        # a quantity in dose units counts where a person gives one: the packs field is always filled in
        edit = {"quantity": form.quantity} if form.quantity is not None else {"packs": form.packs}
        values = PacksIn.model_validate(edit | {"recommendation_id": form.recommendation_id})
        preview = preview_packs(db, person.sites, values)
    except InvalidRequest as error:
        refusal = error
    page = PacksPage(person=person, line=line, preview=preview, error=refusal, form=form, back=local_path(form.next))
    return render(page, status=refusal.status if refusal else 200)


def _page(db: sa.Connection, person: Principal, today: dt.date, parameters: OverrideParameters) -> OverridesPage:
    rows = _rows(db, person, parameters, today)
    as_of, forecasts, packs = measured_edits(db, person.sites)
    return OverridesPage(
        person=person,
        today=today,
        parameters=parameters,
        rows=rows[:ROWS_A_PAGE],
        more=len(rows) > ROWS_A_PAGE,
        sites=sites_by_name(db, person),
        products=db.execute(sa.select(Product.__table__).order_by(Product.drug, Product.product_id)).mappings().all(),
        periods=_periods(db, person, parameters),
        value_as_of=as_of,
        value={
            "Forecasts": _with_labels(edit_sums(forecasts), OverrideReason),
            "Packs": _with_labels(edit_sums(as_forecast_edits(packs)), DecisionReason),
        },
        states=list(OverrideState),
    )


def _with_labels(groups: list[dict[str, Any]], reasons: type[DescribedEnum]) -> list[dict[str, Any]]:
    """Sums over edits, each group with its name."""
    return [
        {**group, "label": label(group["group"], reasons) if group["group_by"] == "reason" else group["group"]}
        for group in groups
    ]


def _rows(db: sa.Connection, person: Principal, parameters: OverrideParameters, today: dt.date) -> list[dict[str, Any]]:
    """Overrides of a page and one more, newest first, with their state."""
    chosen = {name: [value] for name in ("facility_id", "product_id") if (value := getattr(parameters, name))}
    filters = OverrideFilters.model_validate(chosen | {"drug": parameters.drug, "state": parameters.state})
    query = override_query(person.sites, filters, today).order_by(ForecastOverride.override_id.desc())
    query = query.limit(ROWS_A_PAGE + 1).offset((parameters.page - 1) * ROWS_A_PAGE)
    return [{**row, "state": state_of(row, today).value} for row in db.execute(query).mappings()]


def _periods(db: sa.Connection, person: Principal, parameters: OverrideParameters) -> list[Any]:
    """The chosen product's next periods, step by step: why the forecast is what it is, before a person overrides it."""
    site, product_id = parameters.facility_id, parameters.product_id
    if site is None or product_id is None or (person.sites is not None and site not in person.sites):
        return []
    return list(forecasts_by_product(db, site, [product_id]).get(product_id, []))[:PERIODS_SHOWN]
