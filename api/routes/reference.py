"""Sites and products: the names that the other resources use."""

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query

from api.access.callers import Caller, reader
from api.access.keys import SCOPES
from api.access.roles import Principal
from api.http.context import Db, refuse_parameters, refuse_repeated_parameters
from api.http.errors import NotAllowed
from api.http.fields import PageParameters
from api.http.openapi import refusals
from api.http.paging import page_of
from api.http.units import PRODUCT_UNITS
from api.routes.resources import FacilityPage, ProductPage, SessionOut
from warehouse.queries.lines import facilities_query
from warehouse.schema.inputs import Facility, Product

router = APIRouter(prefix="/v1", tags=["reference"])

# whoever may read or write anything needs the names it is written with
Reader = Annotated[Principal, reader(*SCOPES)]
Once = [Depends(refuse_repeated_parameters)]


@router.get("/facilities", dependencies=Once, responses=refusals(401, 403))
def list_facilities(parameters: Annotated[PageParameters, Query()], caller: Reader, db: Db) -> FacilityPage:
    """The caller's sites."""
    keys = [("facility_id", Facility.facility_id, False)]
    rows, cursor = page_of(db, facilities_query(caller.sites), keys, limit=parameters.limit, cursor=parameters.cursor)
    return FacilityPage(items=rows, next_cursor=cursor, units={})  # type: ignore[arg-type]


@router.get("/products", dependencies=Once, responses=refusals(401, 403))
def list_products(parameters: Annotated[PageParameters, Query()], caller: Reader, db: Db) -> ProductPage:
    """The products of the network, with codes and pack terms."""
    keys = [("product_id", Product.product_id, False)]
    query = sa.select(Product.__table__)
    rows, cursor = page_of(db, query, keys, limit=parameters.limit, cursor=parameters.cursor)
    return ProductPage(items=rows, next_cursor=cursor, units=PRODUCT_UNITS)  # type: ignore[arg-type]


@router.get("/session", dependencies=[Depends(refuse_parameters)], responses=refusals(401, 403))
def read_session(caller: Caller) -> SessionOut:
    """Who is signed in, and the token that a decision carries."""
    if caller.role is None or caller.csrf_token is None:
        raise NotAllowed("an API key has no session")
    sites = None if caller.sites is None else sorted(caller.sites)
    return SessionOut(name=caller.name, role=caller.role, facility_ids=sites, csrf_token=caller.csrf_token)
