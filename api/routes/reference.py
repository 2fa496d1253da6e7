"""Sites and products: the names that the other resources use."""

import datetime as dt
from decimal import Decimal
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.access.callers import Caller, reader
from api.access.keys import SCOPES
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db
from api.http.errors import NotAllowed
from api.http.fields import PageOut, PageParameters
from api.http.openapi import refusals
from api.http.paging import Key, list_page
from api.http.units import PRODUCT_UNITS
from api.principal import Principal
from warehouse.queries.lines import facilities_query
from warehouse.schema.inputs import Facility, Product

router = APIRouter(prefix="/v1", tags=["reference"])

# whoever may read or write anything needs the names it is written with
READER = reader(*SCOPES)
Reader = Annotated[Principal, READER]


class FacilityOut(BaseModel):
    """A site."""

    facility_id: str
    name: str
    network: str | None
    closed_on: dt.date | None
    successor_id: str | None


class FacilityPage(PageOut):
    """A page of sites."""

    items: list[FacilityOut]


class ProductOut(BaseModel):
    """What is stocked: drug, strength, form and pack terms."""

    product_id: str
    drug: str
    strength_value: float
    strength_unit: str
    dose_form: str
    pack_size: Decimal
    pack_price: Decimal | None
    currency: str | None
    code_system: str | None
    code: str | None
    supplier_id: str | None
    minimum_order_packs: int | None
    order_multiple_packs: int | None
    launched_on: dt.date | None
    withdrawn_on: dt.date | None


class ProductPage(PageOut):
    """A page of products."""

    items: list[ProductOut]


class SessionOut(BaseModel):
    """Who is signed in, and the token that a decision carries in the header X-CSRF-Token."""

    name: str
    role: str
    facility_ids: list[str] | None = Field(description="null = all sites")
    csrf_token: str


@router.get("/facilities", dependencies=ONCE_EACH, responses=refusals(401, 403))
def list_facilities(parameters: Annotated[PageParameters, Query()], caller: Reader, db: Db) -> FacilityPage:
    """The caller's sites."""
    return list_page(FacilityPage, db, facilities_query(caller.sites), [Key(Facility.facility_id)], parameters)


@router.get("/products", dependencies=[*ONCE_EACH, READER], responses=refusals(401, 403))
def list_products(parameters: Annotated[PageParameters, Query()], db: Db) -> ProductPage:
    """The products of the network, with codes and pack terms."""
    query = sa.select(Product.__table__)
    return list_page(ProductPage, db, query, [Key(Product.product_id)], parameters, units=PRODUCT_UNITS)


@router.get("/session", dependencies=NO_PARAMETERS, responses=refusals(401, 403))
def read_session(caller: Caller) -> SessionOut:
    """Who is signed in, and the token that a decision carries."""
    if caller.role is None or caller.csrf_token is None:
        raise NotAllowed("an API key has no session")
    sites = None if caller.sites is None else sorted(caller.sites)
    return SessionOut(name=caller.name, role=caller.role, facility_ids=sites, csrf_token=caller.csrf_token)
