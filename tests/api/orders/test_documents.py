"""Documents of an order: read back by independent readers to the same lines; X12 855 answers read in."""

import csv
import dataclasses
import datetime as dt
import io
import json
from decimal import Decimal

import pytest
from fhir.resources.bundle import Bundle
from fhir.resources.R4B.bundle import Bundle as BundleR4B
from hypothesis import given, settings
from hypothesis import strategies as st
from pyx12.x12file import X12Reader
from starlette.testclient import TestClient

from api.app import create_app
from api.http.errors import InvalidRequest
from api.orders.csv_order import write_csv
from api.orders.fhir_order import write_r4b, write_r5
from api.orders.models import DocumentFormat
from api.orders.order import OrderDocument, OrderedLine
from api.orders.x12_850 import write_850
from api.orders.x12_855 import read_855

STATUS_CODES = {
    # http://hl7.org/fhir/R4B/valueset-supplyrequest-status.html and the same in R5
    *("draft", "active", "suspended", "cancelled", "completed", "entered-in-error", "unknown"),
}
LINE = OrderedLine(
    line_number=1,
    recommendation_id="rec-0e34c08a5a7bf1cfd1e3",
    facility_id="north",
    facility_name="North General Hospital",
    product_id="ticagrelor-90",
    description="ticagrelor 90 mg tablet, pack of 56",
    code_system="ndc",
    code="0186-0777-60",
    account_type="340b",
    packs=12,
    pack_size=Decimal(56),
    quantity=Decimal(672),
    pack_price=Decimal("54.6"),
    need_by=dt.date(2026, 11, 27),
)
ORDER = OrderDocument(
    order_number="PGX00000012",
    control_number=12,
    supplier_id="alpha",
    supplier_name="Alpha Wholesale",
    currency="GBP",
    created_at=dt.datetime.fromisoformat("2026-11-23T09:00"),
    lines=(LINE, dataclasses.replace(LINE, line_number=2, code_system="gtin", code="5012345678900", packs=3)),
)

names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1, max_size=40
)
codes = st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True)
lines = st.builds(
    OrderedLine,
    line_number=st.just(1),
    recommendation_id=codes,
    facility_id=codes,
    facility_name=names,
    product_id=codes,
    description=names,
    code_system=st.sampled_from(["ndc", "gtin", "dmd", "local", None]),
    code=st.one_of(st.none(), st.from_regex(r"[0-9]{4}-[0-9]{4}-[0-9]{2}|[0-9]{11}|[0-9]{13}", fullmatch=True)),
    account_type=st.sampled_from([None, "gpo", "340b", "wac"]),
    packs=st.integers(1, 10**6),
    pack_size=st.decimals("0.1", 1000, places=1),
    quantity=st.decimals(1, 10**6, places=1),
    pack_price=st.none() | st.decimals(0, 10**5, places=4),
    need_by=st.none() | st.dates(dt.date(2026, 1, 1), dt.date(2030, 1, 1)),
)
orders = st.lists(lines, min_size=1, max_size=5).map(
    lambda some: dataclasses.replace(
        ORDER, lines=tuple(dataclasses.replace(one, line_number=at) for at, one in enumerate(some, 1))
    )
)


def x12_segments(text):
    """Segments as an independent reader sees them; any complaint of it fails."""
    reader = X12Reader(io.StringIO(text))
    found = []
    for segment in reader:
        assert reader.pop_errors() == []
        name = segment.get_seg_id()
        found.append([name, *(segment.get_value(f"{name}{at:02d}") or "" for at in range(1, len(segment) + 1))])
    reader.cleanup()
    assert reader.pop_errors() == []
    return found


@settings(deadline=None, max_examples=100)
@given(orders)
def test_an_850_passes_an_independent_reader_and_gives_the_lines_back(order):
    segments = x12_segments(write_850(order))
    kinds = [one[0] for one in segments]
    assert kinds[:4] == ["ISA", "GS", "ST", "BEG"]
    assert kinds[-4:] == ["CTT", "SE", "GE", "IEA"]
    assert segments[3][3] == order.order_number
    items = [one for one in segments if one[0] == "PO1"]
    assert [(int(one[1]), int(one[2]), one[3]) for one in items] == [
        (line.line_number, line.packs, "PK") for line in order.lines
    ]
    assert [Decimal(one[4]) if one[4] else None for one in items] == [line.pack_price for line in order.lines]
    assert [one[one.index("BP") + 1] for one in items] == [line.product_id for line in order.lines]
    told = [one[2] for one in segments if one[0] == "REF" and one[3] == "RECOMMENDATION"]
    assert told == [line.recommendation_id for line in order.lines]
    assert [one[4] for one in segments if one[:2] == ["N1", "ST"]] == [line.facility_id for line in order.lines]
    accounts = [one[2].lower() for one in segments if one[0] == "REF" and one[3] == "ACCOUNT TYPE"]
    assert accounts == [line.account_type for line in order.lines if line.account_type]
    total = sum(line.packs for line in order.lines)
    assert [one[1:] for one in segments if one[0] == "CTT"] == [[str(len(order.lines)), str(total)]]


def test_field_note_42__an_850_names_the_drug_code_by_its_kind():
    items = [one for one in x12_segments(write_850(ORDER)) if one[0] == "PO1"]
    assert items[0][6:] == ["N4", "00186077760", "BP", "ticagrelor-90"]
    assert items[1][6:] == ["UK", "05012345678900", "BP", "ticagrelor-90"]


@pytest.mark.parametrize(
    "change", [{"recommendation_id": "rec*1"}, {"product_id": "a~b"}, {"facility_id": "x" * 61}, {"product_id": "ß"}]
)
def test_a_code_that_x12_cannot_carry_is_refused_and_never_bent(change):
    with pytest.raises(InvalidRequest, match="cannot be written in X12"):
        write_850(dataclasses.replace(ORDER, lines=(dataclasses.replace(LINE, **change),)))


@settings(deadline=None, max_examples=40)
@given(orders)
def test_fhir_bundles_validate_and_give_the_lines_back(order):
    for text, model in ((write_r4b(order), BundleR4B), (write_r5(order), Bundle)):
        bundle = model.model_validate_json(text)
        requests = [entry.resource for entry in bundle.entry]
        assert [int(one.quantity.value) for one in requests] == [line.packs for line in order.lines]
        assert [one.identifier[1].value for one in requests] == [line.recommendation_id for line in order.lines]
        assert {one.status for one in requests} <= STATUS_CODES
        assert [one.deliverTo.identifier.value for one in requests] == [line.facility_id for line in order.lines]
        assert bundle.type == "transaction"
        assert len({entry.fullUrl for entry in bundle.entry}) == len(order.lines)
        sizes = [Decimal(one.parameter[0].valueQuantity.value) for one in requests]
        assert sizes == [line.pack_size for line in order.lines]


@pytest.mark.parametrize("space", ["\xa0", "\x85", "\u2028"])
def test_white_space_that_fhir_does_not_know_becomes_a_blank(space):
    line = dataclasses.replace(LINE, description=f"ticagrelor{space}90 mg")
    text = write_r5(dataclasses.replace(ORDER, lines=(line,), supplier_name=f"A{space}B"))
    request = json.loads(text)["entry"][0]["resource"]
    assert request["item"]["concept"]["text"] == "ticagrelor 90 mg"
    assert request["supplier"][0]["display"] == "A B"


def test_fhir_names_the_code_system_and_account():
    request = json.loads(write_r4b(ORDER))["entry"][0]["resource"]
    assert request["itemCodeableConcept"]["coding"][0] == {
        "system": "http://hl7.org/fhir/sid/ndc", "code": "0186-0777-60"
    }  # fmt: skip
    assert request["parameter"][2]["valueCodeableConcept"]["text"] == "340b"
    assert json.loads(write_r5(ORDER))["entry"][0]["resource"]["item"]["concept"]["coding"][0]["code"] == "0186-0777-60"


@settings(deadline=None, max_examples=100)
@given(orders)
def test_csv_gives_the_lines_back_and_no_cell_is_a_formula(order):
    read = list(csv.DictReader(io.StringIO(write_csv(order), newline="")))
    assert [(int(one["packs"]), Decimal(one["quantity"])) for one in read] == [
        (line.packs, line.quantity) for line in order.lines
    ]
    assert not [value for one in read for value in one.values() if value.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert [one["facility_name"].removeprefix("'") for one in read] == [
        line.facility_name.removeprefix("'") for line in order.lines
    ]


@pytest.mark.parametrize("kind", list(DocumentFormat))
def test_a_stored_order_comes_in_every_format_with_the_same_bytes(client, key, kind):
    headers = key("orders:write")
    client.post("/v1/order-exports", json={}, headers=headers | {"Idempotency-Key": "one"})
    path = f"/v1/orders/PGX00000001/document?format={kind.value}"
    first, second = client.get(path, headers=headers), client.get(path, headers=headers)
    assert first.status_code == 200, first.text
    assert first.content == second.content
    assert "rec-11" in first.text
    assert 'filename="PGX00000001.' in first.headers["content-disposition"]


def acknowledgement(*segments, order="PGX00000001", kind="AC", count=None, control="000000007"):
    body = [f"BAK*00*{kind}*{order}*20261123", *segments]
    head = f"ISA*00*{' ' * 10}*00*{' ' * 10}*ZZ*{'ALPHA':<15}*ZZ*{'PGXSUPPLY':<15}*261123*1000*^*00501*{control}*0*P*>"
    parts = [head, "GS*PR*ALPHA*PGXSUPPLY*20261123*1000*7*X*005010", "ST*855*0001", *body]
    parts += [f"SE*{count or len(body) + 2}*0001", "GE*1*7", "IEA*1*000000007"]
    return "~\n".join(parts) + "~\n"


@pytest.fixture
def ordered(database, clock, key):
    """A client whose key may order, after one export."""
    client = TestClient(create_app(database, clock=clock), base_url="http://localhost")
    client.headers |= key("orders:write")
    client.post("/v1/order-exports", json={}, headers={"Idempotency-Key": "one"})
    return client


def answer(client, text, media_type="application/edi-x12"):
    return client.post("/v1/x12-acknowledgements", content=text, headers={"Content-Type": media_type})


@pytest.mark.parametrize(
    ("segments", "kind", "expected"),
    [
        (["PO1*1*20*PK", "ACK*IA*20*PK*068*20261126"], "AC", ("accepted", 20, "2026-11-26")),
        (["PO1*1*20*PK", "ACK*IA"], "AC", ("accepted", 20, None)),
        (["PO1*1*20*PK", "ACK*IQ*15*PK"], "AC", ("changed", 15, None)),
        (["PO1*1*20*PK", "ACK*IA*12*PK", "ACK*IB*8*PK*068*20261201"], "AC", ("backordered", 20, "2026-12-01")),
        (["PO1*1*20*PK", "ACK*IA*12*PK", "ACK*IR*8*PK"], "AC", ("changed", 12, None)),
        (["PO1*1*20*PK", "ACK*IR*20*PK"], "AC", ("rejected", 0, None)),
        (["PO1*1*20*PK", "ACK*IS*20*PK****N4*00011122233"], "AC", ("substituted", 20, None)),
        ([], "AD", ("accepted", 20, None)),
        ([], "RJ", ("rejected", 0, None)),
        ([], "AC", (None, None, None)),
    ],
)
def test_an_855_is_read_back_onto_the_lines(ordered, segments, kind, expected):
    read = answer(ordered, acknowledgement(*segments, kind=kind))
    assert read.status_code == 200, read.text
    line = read.json()["lines"][0]
    assert (line["acknowledgement"], line["packs_confirmed"], line["expected_at"]) == expected
    if expected[0] == "substituted":
        assert "N4 00011122233" in line["acknowledgement_note"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (acknowledgement("PO1*1*20*PK", "ACK*IA*20*EA"), "the order is in packs"),
        (acknowledgement("PO1*1*20*PK", "ACK*IA*1.5*PK"), "whole packs"),
        (acknowledgement("PO1*1*20*PK", "ACK*ZZ*20*PK"), "not a line item status"),
        (acknowledgement("PO1*1*20*PK", "ACK*IA*20*PK*068*20261399"), "not a date"),
        (acknowledgement("PO1*1*20*PK", "ACK*IA", "ACK*IR"), "without saying how many"),
        (acknowledgement("PO1*1*20*PK", "ACK*IA*21*PK"), "more than was authorised"),
        (acknowledgement("PO1*9*20*PK", "ACK*IA*20*PK"), "not on this order"),
        (acknowledgement("ACK*IA*20*PK"), "before any PO1"),
        (acknowledgement(count=99), "SE count"),
        (acknowledgement(control="000000008"), "does not match"),
        ("ISA*nonsense", "not an X12 interchange"),
        ("", "not an X12 interchange"),
        (acknowledgement().replace("855", "850"), "one transaction set 855"),
    ],
)
def test_an_855_that_is_wrong_is_refused_and_changes_nothing(ordered, text, rule):
    read = answer(ordered, text)
    assert read.status_code == 422, read.text
    assert rule in read.text
    assert ordered.get("/v1/orders/PGX00000001").json()["lines"][0]["acknowledgement"] is None


def test_an_855_of_an_unknown_order_or_in_another_media_type(ordered):
    assert answer(ordered, acknowledgement(order="PGX00000099")).status_code == 404
    assert answer(ordered, acknowledgement(), "application/json").status_code == 415
    assert answer(ordered, "é".encode()).status_code == 422


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=300))
def test_no_text_breaks_the_855_reader(text):
    try:
        read_855(acknowledgement()[:106] + text)
    except InvalidRequest:
        return
    pytest.fail("an interchange without its trailer was read")
