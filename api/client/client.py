"""What an inventory system asks of the API, one method an operation, answers as the server's own models.

A list is an iterator over all its pages. `OPERATIONS` names the operation of each method.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, Literal
from urllib.parse import quote

from api.client.calls import Calls
from api.inventory.models import (
    BatchReport,
    OpenOrderOut,
    OpenOrderPage,
    ReceiptOut,
    ReceiptPage,
    StockOut,
    StockPage,
)
from api.orders.models import AcknowledgedLine, AcknowledgedOrderOut, OrderExportOut, OrderPage, OrderSummaryOut
from api.overrides.models import OverrideOut, OverridePage, ValuePage
from api.recommendations.models import ExplainedRecommendationOut, RecommendationOut, RecommendationPage
from api.recommendations.triage_models import CommentOut, CommentPage
from api.routes.audit import DecisionPage, EventOut, EventPage, PastDecisionOut
from api.routes.forecasts import ForecastOut, ForecastPage, PrevalenceOut, PrevalencePage
from api.routes.kpis import KpisOut
from api.routes.reference import FacilityOut, FacilityPage, ProductOut, ProductPage

OPERATIONS = {
    "recommendations": "GET /v1/recommendations",
    "recommendation": "GET /v1/recommendations/{recommendation_id}",
    "comments": "GET /v1/recommendations/{recommendation_id}/comments",
    "export_orders": "POST /v1/order-exports",
    "order_export": "GET /v1/order-exports/{export_id}",
    "orders": "GET /v1/orders",
    "order": "GET /v1/orders/{order_number}",
    "order_document": "GET /v1/orders/{order_number}/document",
    "acknowledge": "POST /v1/orders/{order_number}/acknowledgement",
    "acknowledge_x12": "POST /v1/x12-acknowledgements",
    "decisions": "GET /v1/decisions",
    "audit_events": "GET /v1/audit-events",
    "forecasts": "GET /v1/forecasts",
    "prevalence": "GET /v1/prevalence",
    "overrides": "GET /v1/overrides",
    "value_of_edits": "GET /v1/overrides/value-added",
    "override": "GET /v1/overrides/{override_id}",
    "key_figures": "GET /v1/kpis",
    "facilities": "GET /v1/facilities",
    "products": "GET /v1/products",
    "push_stock": "POST /v1/stock-snapshots",
    "push_dispensing": "POST /v1/dispensing",
    "push_open_orders": "POST /v1/open-orders",
    "push_receipts": "POST /v1/receipts",
    "stock": "GET /v1/stock-snapshots",
    "inventory_report": "GET /v1/stock-snapshots/inventory-report",
    "open_orders": "GET /v1/open-orders",
    "receipts": "GET /v1/receipts",
}

Names = Sequence[str]
Rows = Sequence[dict[str, Any]]
Format = Literal["csv", "fhir-r4b", "fhir-r5", "x12-850"]


class Client(Calls):
    """The API with one key.

    Every method raises `Refused` when the server does not do what was asked, and asks again by itself when it is busy.
    """

    def recommendations(
        self,
        *,
        status: Names = ("approved", "modified"),
        facility_id: Names = (),
        product_id: Names = (),
        supplier_id: Names = (),
        updated_since: dt.datetime | None = None,
        sort: Literal["urgency", "order_by", "updated_at"] = "urgency",
    ) -> Iterator[RecommendationOut]:
        """Lines of the key's sites; by default those that may be ordered."""
        filters: dict[str, Any] = {"facility_id": facility_id, "product_id": product_id, "supplier_id": supplier_id}
        filters |= {"status": status, "updated_since": updated_since, "sort": sort}
        return self.items(RecommendationPage, "/v1/recommendations", **filters)

    def recommendation(self, recommendation_id: str) -> ExplainedRecommendationOut:
        """One line with its calculation."""
        return self.read(ExplainedRecommendationOut, f"/v1/recommendations/{_part(recommendation_id)}")

    def comments(self, recommendation_id: str) -> Iterator[CommentOut]:
        """What people said about the line's item, oldest first."""
        return self.items(CommentPage, f"/v1/recommendations/{_part(recommendation_id)}/comments")

    def export_orders(
        self,
        idempotency_key: str,
        *,
        facility_id: Names = (),
        supplier_id: Names = (),
        recommendation_id: Names = (),
        account_type: Literal["gpo", "340b", "wac"] | None = None,
    ) -> OrderExportOut:
        """Lock approved lines into orders; the same key again gives the same answer: keep it until that is stored."""
        body = {"facility_id": list(facility_id), "supplier_id": list(supplier_id), "account_type": account_type}
        body["recommendation_id"] = list(recommendation_id)
        return self.send(OrderExportOut, "/v1/order-exports", body, {"Idempotency-Key": idempotency_key})

    def order_export(self, export_id: str) -> OrderExportOut:
        """What one hand-off locked."""
        return self.read(OrderExportOut, f"/v1/order-exports/{_part(export_id)}")

    def orders(self, *, supplier_id: Names = ()) -> Iterator[OrderSummaryOut]:
        """Orders of the key's sites, newest first."""
        return self.items(OrderPage, "/v1/orders", supplier_id=supplier_id)

    def order(self, order_number: str) -> AcknowledgedOrderOut:
        """One order with its lines and what the supplier said."""
        return self.read(AcknowledgedOrderOut, f"/v1/orders/{_part(order_number)}")

    def order_document(self, order_number: str, format: Format = "csv") -> str:
        """The order as a document, always the same text."""
        return self.ask("GET", f"/v1/orders/{_part(order_number)}/document", params={"format": format}).text

    def acknowledge(self, order_number: str, lines: Sequence[AcknowledgedLine]) -> AcknowledgedOrderOut:
        """Hand in the supplier's answer; all lines are kept or none."""
        body = {"lines": [line.model_dump(mode="json") for line in lines]}
        return self.send(AcknowledgedOrderOut, f"/v1/orders/{_part(order_number)}/acknowledgement", body)

    def acknowledge_x12(self, document: str) -> AcknowledgedOrderOut:
        """Hand in the supplier's answer as an X12 855."""
        headers = {"Content-Type": "application/edi-x12"}
        answer = self.ask("POST", "/v1/x12-acknowledgements", content=document, headers=headers)
        return AcknowledgedOrderOut.model_validate_json(answer.content)

    def decisions(
        self, *, recommendation_id: str | None = None, updated_since: dt.datetime | None = None
    ) -> Iterator[PastDecisionOut]:
        """What people decided, oldest first."""
        filters = {"recommendation_id": recommendation_id, "updated_since": updated_since}
        return self.items(DecisionPage, "/v1/decisions", **filters)

    def audit_events(
        self, *, subject: str | None = None, actor: str | None = None, updated_since: dt.datetime | None = None
    ) -> Iterator[EventOut]:
        """Every change of state, oldest first."""
        return self.items(EventPage, "/v1/audit-events", subject=subject, actor=actor, updated_since=updated_since)

    def forecasts(
        self, *, facility_id: Names = (), product_id: Names = (), as_of: dt.date | None = None
    ) -> Iterator[ForecastOut]:
        """Demand per site, product and period; the newest origin by default."""
        return self.items(ForecastPage, "/v1/forecasts", facility_id=facility_id, product_id=product_id, as_of=as_of)

    def prevalence(
        self, *, facility_id: Names = (), gene: str | None = None, as_of: dt.date | None = None
    ) -> Iterator[PrevalenceOut]:
        """Estimated shares of people by result."""
        return self.items(PrevalencePage, "/v1/prevalence", facility_id=facility_id, gene=gene, as_of=as_of)

    def overrides(
        self,
        *,
        facility_id: Names = (),
        product_id: Names = (),
        drug: str | None = None,
        state: Literal["active", "expired", "withdrawn"] | None = None,
    ) -> Iterator[OverrideOut]:
        """What people set of forecasts, newest first. Only people override: there is no method for it."""
        filters = {"facility_id": facility_id, "product_id": product_id, "drug": drug, "state": state}
        return self.items(OverridePage, "/v1/overrides", **filters)

    def value_of_edits(self) -> ValuePage:
        """What overrides and changes of packs were worth, once their periods were past."""
        return self.read(ValuePage, "/v1/overrides/value-added")

    def override(self, override_id: int) -> OverrideOut:
        """One override."""
        return self.read(OverrideOut, f"/v1/overrides/{override_id}")

    def key_figures(self, *, weeks: int = 13) -> KpisOut:
        """Key figures of the last weeks, of each of the key's sites and of all together."""
        return self.read(KpisOut, "/v1/kpis", weeks=weeks)

    def facilities(self) -> Iterator[FacilityOut]:
        """The key's sites."""
        return self.items(FacilityPage, "/v1/facilities")

    def products(self) -> Iterator[ProductOut]:
        """All products."""
        return self.items(ProductPage, "/v1/products")

    def push_stock(self, rows: Rows) -> BatchReport:
        """Hand in counted stock, at most 10,000 rows; refused rows are in the report."""
        return self.send(BatchReport, "/v1/stock-snapshots", {"rows": list(rows)})

    def push_dispensing(self, rows: Rows) -> BatchReport:
        """Hand in what was dispensed."""
        return self.send(BatchReport, "/v1/dispensing", {"rows": list(rows)})

    def push_open_orders(self, rows: Rows) -> BatchReport:
        """Hand in what is on order."""
        return self.send(BatchReport, "/v1/open-orders", {"rows": list(rows)})

    def push_receipts(self, rows: Rows) -> BatchReport:
        """Hand in what arrived."""
        return self.send(BatchReport, "/v1/receipts", {"rows": list(rows)})

    def stock(
        self,
        *,
        facility_id: Names = (),
        product_id: Names = (),
        latest: bool = True,
        counted_since: dt.datetime | None = None,
    ) -> Iterator[StockOut]:
        """Counted stock per lot; by default the latest count of each site and product."""
        filters: dict[str, Any] = {"facility_id": facility_id, "product_id": product_id}
        return self.items(StockPage, "/v1/stock-snapshots", **filters, latest=latest, counted_since=counted_since)

    def inventory_report(self, facility_id: str) -> str:
        """A site's stock as a FHIR R5 InventoryReport, in JSON."""
        path = "/v1/stock-snapshots/inventory-report"
        return self.ask("GET", path, params={"facility_id": facility_id}).text

    def open_orders(
        self, *, facility_id: Names = (), product_id: Names = (), order_id: Names = ()
    ) -> Iterator[OpenOrderOut]:
        """What is known to be on order."""
        filters = {"facility_id": facility_id, "product_id": product_id, "order_id": order_id}
        return self.items(OpenOrderPage, "/v1/open-orders", **filters)

    def receipts(
        self, *, facility_id: Names = (), product_id: Names = (), order_id: Names = ()
    ) -> Iterator[ReceiptOut]:
        """What arrived."""
        filters = {"facility_id": facility_id, "product_id": product_id, "order_id": order_id}
        return self.items(ReceiptPage, "/v1/receipts", **filters)


def _part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")
