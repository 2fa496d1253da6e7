"""Bodies, parameters and answers about releases of knowledge."""

import datetime as dt
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.http.fields import DayIn, Names, Note, PageOut, PageParameters, Strict, Text, UtcOut, with_examples
from warehouse.schema import reference

ContentKind = StrEnum("ContentKind", {kind.name: kind.value for kind in reference.ContentKind})  # type: ignore[misc]
RELEASE = "guidance:curated:2026-11+1a2b3c4d"


class ReleaseFilters(PageParameters):
    """Which releases."""

    kind: ContentKind | None = Field(None, description="Only of this kind.")


class DiffFilters(PageParameters):
    """Against what, and how much of it."""

    against: Text | None = Field(None, description="Release of the same kind; default: what it takes the place of.")


class InForceOut(BaseModel):
    """A site that uses the release."""

    facility_id: str = Field(examples=["north"])
    since: dt.date = Field(description="1900-01-01 = since ever: built-in content that nobody replaced.")


class ReleaseOut(BaseModel):
    """One stored release of one kind of content."""

    release_id: str = Field(examples=[RELEASE])
    kind: str = Field(examples=["guidance"])
    publisher: str = Field(examples=["curated"])
    version: str = Field(examples=["2026-11"])
    rows: int = Field(examples=[705], description="Rows of the release.")
    loaded_at: UtcOut
    in_force: list[InForceOut] = Field(description="The caller's sites that use it today.")


class ReleasePage(PageOut):
    """A page of releases, last loaded first."""

    items: list[ReleaseOut]


class ActivationOut(BaseModel):
    """Who put the release in force, where and from when."""

    activation_id: int
    facility_id: str = Field(description="'*' = every site.")
    effective_on: dt.date
    decided_at: UtcOut
    decided_by: str = Field(examples=["Pia Pharmacist"])
    note: str | None


class ReleaseDetailOut(ReleaseOut):
    """A release with what it takes the place of and who decided about it."""

    replaces: list[str] = Field(description="Releases of the kind in whose place it comes, or came.")
    activations: list[ActivationOut] = Field(description="Newest first.")
    units: dict[str, str]


class DiffRowOut(BaseModel):
    """A new or withdrawn row, or one field of a changed one."""

    kind: str
    row: str = Field(examples=["8481452"], description="The row's key in words.")
    subject: str = Field(examples=["tacrolimus"], description="Its drug or gene.")
    change: Literal["new", "changed", "withdrawn"]
    field: str = Field(examples=["dose_factor_high"], description="Blank for a whole row.")
    before: str = Field(examples=["2"])
    after: str = Field(examples=["1.2"])


class DiffPage(PageOut):
    """A page of a diff."""

    items: list[DiffRowOut]
    against: str | None = Field(description="Release it is compared with; null = nothing, every row is new.")
    rows_by_change: dict[str, int] = Field(examples=[{"new": 0, "changed": 1, "withdrawn": 1}])


class ImpactSiteOut(BaseModel):
    """A site where it is not in force."""

    facility_id: str
    against_release_id: str | None
    stands_aside: list[str] = Field(description="Drugs newly planned without genetics, with the reason.")


class MoveOut(BaseModel):
    """Demand for one product at one site, averaged over the run's horizon."""

    facility_id: str = Field(examples=["north"])
    drug: str = Field(examples=["clopidogrel"])
    product_id: str = Field(examples=["clopidogrel-75-tab"])
    units_per_week_before: float
    units_per_week_after: float
    packs_per_week: float = Field(examples=[-2.4], description="More (or less) packs used per week.")


class ImpactPage(PageOut):
    """A page of an impact."""

    items: list[MoveOut]
    as_of: dt.date | None = Field(description="Origin of the run that computed it; null = none did.")
    sites: list[ImpactSiteOut] = Field(description="All sites that were looked at.")


class ActivationIn(Strict):
    """From which day, where, and why."""

    model_config = with_examples(
        {"effective_on": "2026-12-01", "facility_id": ["north"], "reason": "P&T meeting 19 Nov"}
    )

    effective_on: DayIn = Field(description="First origin day that uses it; today or later.")
    facility_id: Names = Field([], description="Sites; none = every site.")
    reason: Annotated[Note, Field(min_length=3)] = Field(description="Why, for the ledger.")


class ActivatedOut(BaseModel):
    """What was written to the ledger."""

    activation_id: list[int] = Field(description="One a site named, or one for every site.")
    release_id: str
    effective_on: dt.date
