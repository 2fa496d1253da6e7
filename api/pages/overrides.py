"""Overrides: what people set of forecasts and what it was worth, the form with its preview, and taking one back."""

import datetime as dt
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import BeforeValidator, Field, ValidationError

from api.access.callers import check_csrf
from api.access.roles import Principal
from api.display.templating import page
from api.http.context import Db, Now, refuse_parameters, refuse_repeated_parameters
from api.http.errors import ApiError, InvalidRequest, NotAllowed, NotFound, OverrideEnded
from api.http.fields import MOST_PACKS, Note, Strict, Text
from api.overrides.commands import checked, conditions, create_override, state_of, withdraw_override
from api.overrides.models import OverrideFilters, OverrideIn, OverridePreviewOut, OverrideState, PacksIn
from api.overrides.preview import preview_override, preview_packs
from api.pages.page_session import Visitor, local_path, see_other
from api.pages.worklist import OneName, blank_is_none
from forecasting.terms import DecisionReason, OverrideKind, OverrideReason
from warehouse.queries.lines import facilities_query, recommendation
from warehouse.queries.override_value import as_forecast_edits, edit_sums, measured_edits
from warehouse.queries.overrides import forecasts_by_product, overrides_query
from warehouse.schema.inputs import Facility, Product
from warehouse.schema.ledger import ForecastOverride

router = APIRouter()

ROWS_A_PAGE = 100
PERIODS_SHOWN = 8
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

    facility_id: OneName = None
    product_id: OneName = None
    drug: OneName = None
    state: Annotated[OverrideState | None, BeforeValidator(blank_is_none)] = None
    page: int = Field(1, ge=1, le=10_000)
    made: int | None = Field(None, ge=1, le=2**31 - 1)
    withdrawn: int | None = Field(None, ge=1, le=2**31 - 1)


class OverrideForm(Strict):
    """An override as the form sends it; `step` is preview, or save once the preview was seen."""

    csrf_token: Text
    step: Text = "preview"
    facility_id: OneName = None
    product_id: OneName = None
    drug: OneName = None
    kind: Annotated[OverrideKind | None, BeforeValidator(blank_is_none)] = None
    value: Annotated[float | None, BeforeValidator(blank_is_none)] = None
    starts_on: Annotated[dt.date | None, BeforeValidator(blank_is_none)] = None
    ends_on: Annotated[dt.date | None, BeforeValidator(blank_is_none)] = None
    expires_on: Annotated[dt.date | None, BeforeValidator(blank_is_none)] = None
    reason_code: Annotated[OverrideReason | None, BeforeValidator(blank_is_none)] = None
    note: Annotated[Note | None, BeforeValidator(blank_is_none)] = None

    def asked(self) -> OverrideIn:
        """The override itself; the first field that is missing or wrong raises `InvalidRequest`."""
        for name, reason in REQUIRED.items():
            if getattr(self, name) is None:
                raise InvalidRequest.field(name, reason)
        try:
            return OverrideIn.model_validate(self.model_dump(mode="json", exclude={"csrf_token", "step"}))
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidRequest.field(".".join(str(part) for part in first["loc"]), first["msg"]) from error


class WithdrawalForm(Strict):
    """Taking an override back."""

    csrf_token: Text
    note: Annotated[Note | None, BeforeValidator(blank_is_none)] = None


class PacksForm(Strict):
    """The form that changes a line's packs, asking first whether that changes the order."""

    csrf_token: Text
    recommendation_id: Text
    version: int = Field(ge=1, le=2**31 - 1)
    packs: Annotated[int | None, BeforeValidator(blank_is_none), Field(ge=0, le=MOST_PACKS)] = None
    quantity: Annotated[float | None, BeforeValidator(blank_is_none), Field(ge=0, le=1e9)] = None
    reason_code: Annotated[DecisionReason | None, BeforeValidator(blank_is_none)] = None
    note: Annotated[Note | None, BeforeValidator(blank_is_none)] = None
    next: Annotated[str, Field(max_length=2000)] = "/"


@router.get("/overrides", dependencies=[Depends(refuse_repeated_parameters)])
def show_overrides(
    parameters: Annotated[OverrideParameters, Query()], person: Visitor, db: Db, now: Now
) -> HTMLResponse:
    """What was set, newest first, what it was worth, and the form; of a chosen product its forecast, step by step."""
    return _page(db, person, now, parameters)


@router.post("/overrides", dependencies=[Depends(refuse_parameters)])
def override_on_page(form: Annotated[OverrideForm, Form()], person: Visitor, db: Db, now: Now) -> Response:
    """First the preview, which says whether an order changes; saved from there. A broken rule: the form again."""
    check_csrf(person, form.csrf_token)
    _check_person(person)
    parameters = OverrideParameters.model_validate({"facility_id": form.facility_id, "product_id": form.product_id})
    try:
        asked = form.asked()
        if form.step == "save":
            number = create_override(db, person, asked, now)
            return see_other(f"/overrides?made={number}")
        checked(db, person, asked, now)
    except InvalidRequest as error:
        # nothing has been written at this point: every rule is checked before the first write
        return _page(db, person, now, parameters, error=error, form=form)
    return _page(db, person, now, parameters, form=form, preview=preview_override(db, asked, now.date()))


@router.post("/overrides/{override_id}/withdrawal", dependencies=[Depends(refuse_parameters)])
def withdraw_on_page(
    override_id: int, form: Annotated[WithdrawalForm, Form()], person: Visitor, db: Db, now: Now
) -> Response:
    """Take one back and show the list; where somebody was first, the list with the reason."""
    check_csrf(person, form.csrf_token)
    _check_person(person)
    try:
        withdraw_override(db, person, override_id, form.note, now)
    except OverrideEnded as error:
        return _page(db, person, now, OverrideParameters.model_validate({}), error=error)
    return see_other(f"/overrides?withdrawn={override_id}")


@router.post("/overrides/packs", dependencies=[Depends(refuse_parameters)])
def check_packs_on_page(form: Annotated[PacksForm, Form()], person: Visitor, db: Db) -> Response:
    """Whether other packs change the order, before they are decided; nothing is stored."""
    check_csrf(person, form.csrf_token)
    _check_person(person)
    line = recommendation(db, person.sites, form.recommendation_id)
    if line is None:
        raise NotFound(f"there is no recommendation {form.recommendation_id}")
    found, error = None, None
    try:
        # a quantity in dose units counts where somebody gives one: the packs field is always filled in
        wanted = {"quantity": form.quantity} if form.quantity is not None else {"packs": form.packs}
        asked = PacksIn.model_validate(wanted | {"recommendation_id": form.recommendation_id})
        found = preview_packs(db, person.sites, asked)
    except InvalidRequest as refused:
        error = refused
    return page(
        "override_packs.html",
        status=error.status if error else 200,
        person=person,
        here="worklist",
        line=line,
        found=found,
        error=error,
        form=form,
        back=local_path(form.next),
        decision_reasons=[reason.value for reason in DecisionReason],
    )


def _check_person(person: Principal) -> None:
    if not person.may_decide():
        raise NotAllowed(f"the role {person.role} reads and overrides nothing")


def _page(
    db: sa.Connection,
    person: Principal,
    now: dt.datetime,
    parameters: OverrideParameters,
    error: ApiError | None = None,
    form: OverrideForm | None = None,
    preview: OverridePreviewOut | None = None,
) -> HTMLResponse:
    rows = _rows(db, person, parameters, now.date())
    as_of, forecasts, packs = measured_edits(db, person.sites)
    chosen = form or parameters
    return page(
        "overrides.html",
        status=error.status if error else 200,
        person=person,
        here="overrides",
        today=now.date(),
        parameters=parameters,
        rows=rows[:ROWS_A_PAGE],
        more=len(rows) > ROWS_A_PAGE,
        sites=db.execute(facilities_query(person.sites).order_by(Facility.name)).mappings().all(),
        products=db.execute(sa.select(Product.__table__).order_by(Product.drug, Product.product_id)).mappings().all(),
        steps=_steps(db, person, chosen.facility_id, chosen.product_id),
        value_as_of=as_of,
        value={"Forecasts": edit_sums(forecasts), "Packs": edit_sums(as_forecast_edits(packs))},
        reasons={reason.value: reason.description.capitalize() for reason in OverrideReason},
        states=[state.value for state in OverrideState],
        error=error,
        form=form,
        preview=preview,
    )


def _rows(db: sa.Connection, person: Principal, parameters: OverrideParameters, today: dt.date) -> list[dict[str, Any]]:
    """Overrides of a page and one more, newest first, with their state."""
    named = {"facility_id": parameters.facility_id, "product_id": parameters.product_id}
    filters = OverrideFilters.model_validate(
        {name: [value] for name, value in named.items() if value} | {"drug": parameters.drug, "state": parameters.state}
    )
    query = overrides_query(person.sites).where(*conditions(filters, today))
    query = query.order_by(ForecastOverride.override_id.desc()).limit(ROWS_A_PAGE + 1)
    found = db.execute(query.offset((parameters.page - 1) * ROWS_A_PAGE)).mappings()
    return [{**row, "state": state_of(row, today).value} for row in found]


def _steps(db: sa.Connection, person: Principal, facility_id: str | None, product_id: str | None) -> list[Any]:
    """The chosen product's next periods, step by step: why the forecast is what it is, before anybody overrides it."""
    if facility_id is None or product_id is None or (person.sites is not None and facility_id not in person.sites):
        return []
    return list(forecasts_by_product(db, facility_id, [product_id]).get(product_id, []))[:PERIODS_SHOWN]
