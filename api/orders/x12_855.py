"""An X12 855 purchase order acknowledgement, read with pyx12, as an order number and answers to its lines."""

import dataclasses
import datetime as dt
import io
from typing import Any

from pyx12.errors import X12Error
from pyx12.x12file import X12Reader

from api.http.errors import InvalidRequest
from api.orders.models import AcknowledgedLine
from api.orders.x12_850 import UNIT
from forecasting.terms import AcknowledgementStatus

_A = AcknowledgementStatus

STATUSES = {
    # X12 element 668; what is on hold may still come, and says so in its note
    **dict.fromkeys(("IA", "AA", "AC", "AR", "DR", "IE", "IP", "SP"), _A.ACCEPTED),
    **dict.fromkeys(("IC", "IQ"), _A.CHANGED),
    **dict.fromkeys(("IB", "BP", "IF", "IH", "IW"), _A.BACKORDERED),
    "IS": _A.SUBSTITUTED,
    **dict.fromkeys(("ID", "IR", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8"), _A.REJECTED),
}
WHOLE_ORDER = {"AD": _A.ACCEPTED, "AK": _A.ACCEPTED, "AT": _A.ACCEPTED, "RJ": _A.REJECTED}
"""BAK02: the answer to lines that have none of their own."""


@dataclasses.dataclass(frozen=True)
class Acknowledgement:
    """Order number, answers to lines, and the answer to all other lines (None = they stay as they are)."""

    order_number: str
    lines: list[AcknowledgedLine]
    other_lines: AcknowledgementStatus | None


def read_855(text: str) -> Acknowledgement:
    """The acknowledgement; `InvalidRequest` names what is wrong with the envelope, its counts or a line."""
    segments = _segments(text)
    transactions = [segment for segment in segments if segment[0] == "ST"]
    if [segment[1] for segment in transactions] != ["855"]:
        raise InvalidRequest.field("body", "must hold one transaction set 855")
    beginnings = [segment for segment in segments if segment[0] == "BAK"]
    if len(beginnings) != 1 or len(beginnings[0]) < 4:
        raise InvalidRequest.field("BAK", "must be there once, with the purchase order number in BAK03")
    _, _, whole_order, order_number, *_ = beginnings[0]
    return Acknowledgement(order_number, _lines(segments), WHOLE_ORDER.get(whole_order))


def answers_for(acknowledgement: Acknowledgement, packs: dict[int, int]) -> list[AcknowledgedLine]:
    """The answers to an order with so many packs by line: less than was ordered is a change, whatever it is called."""
    answers = []
    for answer in acknowledgement.lines:
        ordered = packs.get(answer.line_number)
        less = answer.status is _A.ACCEPTED and answer.packs_confirmed not in (None, ordered)
        answers.append(answer.model_copy(update={"status": _A.CHANGED}) if less else answer)
    if acknowledgement.other_lines is not None:
        named = {answer.line_number for answer in acknowledgement.lines}
        rest = sorted(set(packs) - named)
        answers += [
            AcknowledgedLine.model_validate({"line_number": number, "status": acknowledgement.other_lines})
            for number in rest
        ]
    return answers


def _segments(text: str) -> list[list[str]]:
    try:
        reader = X12Reader(io.StringIO(text))
        segments, errors = [], []
        for segment in reader:
            errors += reader.pop_errors()
            ends = len(segment)
            name = segment.get_seg_id()
            segments.append([name, *(segment.get_value(f"{name}{at:02d}") or "" for at in range(1, ends + 1))])
        reader.cleanup()
        errors += reader.pop_errors()
    except (X12Error, UnicodeError, IndexError, TypeError, ValueError) as error:
        raise InvalidRequest.field("body", f"is not an X12 interchange: {error}") from error
    if errors:
        problems = [{"field": "body", "reason": f"X12: {error[2]}"} for error in errors[:100]]
        raise InvalidRequest(problems[0]["reason"], errors=problems)
    return segments


def _lines(segments: list[list[str]]) -> list[AcknowledgedLine]:
    answers: list[tuple[str, list[list[str]]]] = []
    for segment in segments:
        if segment[0] == "PO1":
            answers.append((_element(segment, 1), []))
        elif segment[0] == "ACK":
            if not answers:
                raise InvalidRequest.field("ACK", "comes before any PO1")
            answers[-1][1].append(segment)
    return [_answer(number, acks) for number, acks in answers if acks]


def _answer(number: str, acks: list[list[str]]) -> AcknowledgedLine:
    """One answer from the line's ACK segments: what is accepted and what is backordered comes; the rest does not."""
    if not number.isdigit() or not 1 <= int(number) <= 10_000:
        raise InvalidRequest.field("PO101", f"{number!r} is not a line number of the order")
    parts = [(_status(number, ack), _packs(number, ack)) for ack in acks]
    statuses = {status for status, _ in parts}
    coming = [packs for status, packs in parts if status is not _A.REJECTED]
    confirmed = None if None in coming or not coming else sum(packs for packs in coming if packs is not None)
    order = (_A.SUBSTITUTED, _A.BACKORDERED, _A.CHANGED, _A.ACCEPTED, _A.REJECTED)
    status = next(candidate for candidate in order if candidate in statuses)
    if _A.REJECTED in statuses and len(statuses) > 1 and confirmed is None:
        raise InvalidRequest.field(
            "ACK02", f"line {number}: accepted and rejected in part, without saying how many packs"
        )
    dates = [_date(ack) for ack in acks]
    return AcknowledgedLine.model_validate(
        {
            "line_number": int(number),
            "status": status,
            "packs_confirmed": confirmed,
            "expected_at": max((day.isoformat() for day in dates if day), default=None),
            "note": ", ".join(_summary(ack) for ack in acks)[:1000],
        }
    )


def _status(number: str, ack: list[str]) -> AcknowledgementStatus:
    code = _element(ack, 1)
    if code not in STATUSES:
        raise InvalidRequest.field("ACK01", f"line {number}: {code!r} is not a line item status that is understood")
    return STATUSES[code]


def _packs(number: str, ack: list[str]) -> int | None:
    quantity, unit = _element(ack, 2), _element(ack, 3)
    if not quantity:
        return None
    if unit != UNIT:
        raise InvalidRequest.field("ACK03", f"line {number}: the order is in packs ({UNIT}), the answer in {unit!r}")
    if not quantity.isdigit() or len(quantity) > 7:
        raise InvalidRequest.field("ACK02", f"line {number}: {quantity!r} is not a number of whole packs")
    return int(quantity)


def _date(ack: list[str]) -> dt.date | None:
    text = _element(ack, 5)
    if not text:
        return None
    try:
        if len(text) != 8:
            raise ValueError("not eight digits")
        return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError as error:
        raise InvalidRequest.field("ACK05", f"{text!r} is not a date (CCYYMMDD)") from error


def _summary(ack: list[str]) -> str:
    """The segment in short: status, quantity, and another product's code where one is named."""
    other = f" {_element(ack, 7)} {_element(ack, 8)}".rstrip()
    return " ".join(part for part in (f"X12 {_element(ack, 1)}", _element(ack, 2)) if part) + other


def _element(segment: list[Any], place: int) -> str:
    return str(segment[place]).strip() if place < len(segment) else ""
