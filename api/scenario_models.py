"""Parameters and answers of stored what-ifs."""

import datetime as dt
from decimal import Decimal

from pydantic import BaseModel, Field

from api.recommendations.models import Names, PageOut, PageParameters, UtcOut


class ScenarioOut(BaseModel):
    """A what-if, and the plan that it was compared with."""

    scenario_id: str = Field(examples=["sc-0e34c08a5a7bf1cf"])
    name: str = Field(examples=["Go-live a quarter later"])
    as_of: dt.date = Field(description="Origin day of the plan.")
    changes: list[str] = Field(examples=[["go-live of CYP2C19 on 2027-03-01"]])
    made_at: UtcOut


class ScenarioPage(PageOut):
    """A page of what-ifs."""

    items: list[ScenarioOut]


class ScenarioLineFilters(PageParameters):
    """Which lines of a what-if."""

    facility_id: Names = Field([], description="Sites.")
    product_id: Names = Field([], description="Products.")
    all_lines: bool = Field(False, description="Also the lines that do not differ.")


class ScenarioLineOut(BaseModel):
    """A site's product: as planned (`_now`) and under the what-if (`_then`)."""

    facility_id: str
    product_id: str
    drug: str
    units_per_week_now: float
    units_per_week_then: float
    packs_now: int = Field(description="Packs to order now.")
    packs_then: int
    cost_now: Decimal | None = Field(description="In `currency`; null = price unknown.")
    cost_then: Decimal | None
    currency: str | None
    stockout_probability_now: float | None = Field(description="After the order; null = stock never counted.")
    stockout_probability_then: float | None
    cause: str | None = Field(description="Changes that move the line when made alone; null = nothing differs.")


class ScenarioLinePage(PageOut):
    """A page of a what-if's lines."""

    items: list[ScenarioLineOut]
