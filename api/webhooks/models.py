"""Bodies, parameters and answers of webhooks and their deliveries."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.http.fields import Names, PageOut, PageParameters, Strict, Text, UtcOut, with_examples

EventType = Literal["recommendation.approved", "recommendation.modified", "recommendation.exported"]
DeliveryStatus = Literal["waiting", "delivered", "dead"]


class WebhookIn(Strict):
    """Where to post which events, signed with which secret of the server's environment."""

    model_config = with_examples(
        {
            "url": "https://stores.example/hooks/pgx",
            "event_types": ["recommendation.approved", "recommendation.exported"],
            "secret_name": "stores",
            "facility_ids": ["north"],
        }
    )

    url: Annotated[str, Field(min_length=1, max_length=500)]
    event_types: list[EventType] = Field(min_length=1, max_length=10)
    secret_name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}$", description="Lower case, as in the settings.")]
    facility_ids: Annotated[Names, Field(min_length=1)] | None = Field(
        None, description="Only these sites; null = all."
    )


class ReplayIn(Strict):
    """An empty object: there is nothing to say but that it is wanted."""


class WebhookOut(BaseModel):
    """A webhook, live or ended."""

    webhook_id: str = Field(examples=["wh-0e34c08a5a7bf1cf"])
    url: str
    event_types: list[EventType]
    secret_name: str
    facility_ids: list[str] | None
    active: bool
    created_at: UtcOut
    created_by: str


class WebhookPage(PageOut):
    """A page of webhooks."""

    items: list[WebhookOut]


class DeliveryFilters(PageParameters):
    """Which deliveries."""

    webhook_id: Text | None = Field(None, description="Only of this webhook.")
    status: list[DeliveryStatus] = Field([], description="Only in these states.")


class DeliveryOut(BaseModel):
    """One event for one webhook, and how its delivery stands."""

    delivery_id: int
    webhook_id: str
    event_id: str = Field(description="The same on every try: a receiver that has seen it has nothing to do.")
    event_type: EventType
    body: dict[str, Any] = Field(description="What is posted.")
    status: DeliveryStatus
    tries: int
    next_try_at: UtcOut
    status_code: int | None
    error: str | None
    created_at: UtcOut
    delivered_at: UtcOut | None


class DeliveryPage(PageOut):
    """A page of deliveries, newest first."""

    items: list[DeliveryOut]
