"""Those who ask a server of `pgx-supply serve`: a buyer's day, every page that links lead to, all the API reads."""

import collections
import contextlib
import html
import http.client
import itertools
import json
import os
import re
import signal
import socket
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from benchmarks.behaviour_desk import Desk

LINES = "/v1/recommendations"
PASSWORD = "correct horse battery"
SAME_SHAPE = 2
"""Pages or ids of one kind that are asked for."""

Known = dict[str, list[Any]]
"""Values that answers had, by name."""


class Caller:
    """One who asks a server; every answer is recorded whole, with its headers."""

    def __init__(self, desk: Desk, name: str, port: int, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.desk, self.name, self.port, self.sent = desk, name, port, 0
        self.headers = {"Host": "localhost", "Origin": "http://localhost", **headers}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> str:
        """The body of the answer; a form is sent as text, all else as JSON."""
        kind = "application/x-www-form-urlencoded" if isinstance(body, str) else "application/json"
        sent = body if body is None or isinstance(body, str) else json.dumps(body)
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request(method, path, sent, {"Content-Type": kind, **self.headers, **named})
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "backslashreplace")
        if given := answer.headers.get_all("Set-Cookie"):
            self.headers["Cookie"] = "; ".join(one.partition(";")[0] for one in given)
        if path == "/metrics":  # the figures are of the machine; which there are is told by their comments
            text = "\n".join(line for line in text.splitlines() if line.startswith("#"))
            del answer.headers["Content-Length"]
        self.sent += sent is not None
        place = f" ({self.sent})" if sent else ""
        self.desk.record[f"{self.desk.subject}/http/{self.name} {method} {path}{place}"] = (
            f"{answer.status}\n{answer.headers}\n{text}"
        )
        return text

    def send(self, path: str, form: dict[str, str]) -> str:
        """The answer to a page's form."""
        token = re.findall(r'csrf_token" value="([^"]*)', self.ask("GET", path))[0]
        return self.ask("POST", path, urllib.parse.urlencode({"csrf_token": token, **form}))

    def sign_in(self) -> None:
        """Go on as the person who is signed in."""
        self.send("/sign-in", {"name": "admin", "password": PASSWORD, "next": "/"})
        self.headers["X-CSRF-Token"] = json.loads(self.ask("GET", "/v1/session"))["csrf_token"]

    def follow_links(self) -> None:
        """Read the pages that can be reached from the first one, a few of each shape."""
        waiting, shapes = ["/"], collections.Counter[str]()
        for path in waiting:  # it grows while it is read
            for link in re.findall(r'(?:href|src)="(/[^"#]*)', self.ask("GET", path)):
                address = html.unescape(link)
                place, _, query = address.partition("?")
                asked = sorted(name for name, _ in urllib.parse.parse_qsl(query))
                shape = f"{re.sub(r'[^/]*[0-9][^/]*', '*', place)} {asked}"
                shapes[shape] += address not in waiting
                if address not in waiting and shapes[shape] <= SAME_SHAPE:
                    waiting.append(address)

    def read_api(self) -> None:
        """GET all that the OpenAPI document has, with each choice of a parameter, and ids out of earlier answers."""
        document = json.loads(self.ask("GET", "/openapi.json"))
        known: Known = collections.defaultdict(list)
        reads = {path: one["get"].get("parameters", []) for path, one in document["paths"].items() if "get" in one}
        for path in sorted(reads, key=lambda one: (one.count("{"), one)):
            for address in _addresses(path, reads[path], known, document):
                with contextlib.suppress(json.JSONDecodeError):
                    answer = json.loads(self.ask("GET", address))
                    _learn(answer, known)
                    if "?" not in address and isinstance(answer, dict) and answer.get("next_cursor"):
                        self.ask("GET", f"{address}?cursor={urllib.parse.quote(answer['next_cursor'])}")


def _addresses(path: str, parameters: list[Any], known: Known, document: Any) -> Iterator[str]:
    """The path with known ids, alone and with one parameter each."""
    names = re.findall(r"{(\w+)}", path)
    asked = [one for one in parameters if one["in"] == "query"]
    for ids in itertools.product(*(known[name][:SAME_SHAPE] for name in names)):
        quoted = [urllib.parse.quote(str(one), safe="") for one in ids]
        address = path.format(**dict(zip(names, quoted, strict=True)))
        if not any(one.get("required") for one in asked):
            yield address
        for one in asked:
            for choice in _choices(one["schema"], document) or known[one["name"]][:1]:
                yield f"{address}?{urllib.parse.urlencode({one['name']: choice})}"


def _choices(schema: Any, document: Any) -> list[str]:
    """The values that a parameter may have, when they are listed: wherever in its schema that is."""
    if "$ref" in schema:
        return _choices(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    below = [schema["items"]] if "items" in schema else schema.get("anyOf", [])
    own = ["true", "false"] if schema.get("type") == "boolean" else schema.get("enum", [])
    return [*own, *itertools.chain.from_iterable(_choices(one, document) for one in below)]


def _learn(answer: Any, known: Known) -> None:
    """Add the values of an answer by their names."""
    if isinstance(answer, list):
        for one in answer:
            _learn(one, known)
    for name, value in answer.items() if isinstance(answer, dict) else ():
        if isinstance(value, str | int) and value not in known[name]:
            known[name].append(value)
        _learn(value, known)


@contextlib.contextmanager
def serving(desk: Desk, key: str) -> Iterator[tuple[Caller, Caller]]:
    """A server of the desk's database, and two who ask it: a person and a system with its key."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (desk.folder / "serve.log").open("a") as log:
        process = desk.start("pgx-supply", "serve", "--port", str(port), stdout=log, stderr=log)
    person, system = Caller(desk, "person", port), Caller(desk, "key", port, {"Authorization": f"Bearer {key}"})
    try:
        while process.poll() is None:
            with contextlib.suppress(ConnectionError):
                system.ask("GET", "/healthz")
                break
            time.sleep(0.3)
        person.sign_in()
        yield person, system
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def buyers_day(person: Caller, system: Caller, site: str) -> None:
    """A person decides and overrides, a system orders and pushes; and what is refused."""
    asked = urllib.parse.urlencode({"status": "proposed", "facility_id": site, "limit": 14})
    lines = json.loads(person.ask("GET", f"{LINES}?{asked}"))["items"]
    _decide(person, lines)
    _attend(person, [f"{LINES}/{line['recommendation_id']}" for line in lines[9:]], site)
    _override(person, lines)
    _order(system)
    _push(system, {name: lines[1][name] for name in ("facility_id", "product_id")})
    for path in (f"{LINES}/none", f"{LINES}?limit=0", f"{LINES}?colour=red", "/v1/nothing", "/nothing"):
        system.ask("GET", path)
    Caller(person.desk, "nobody", person.port).ask("GET", LINES)


def _decide(person: Caller, lines: list[Any]) -> None:
    approve = {"kind": "approve"}
    modify = {"kind": "modify", "packs": 2 * lines[6]["packs"], "reason_code": "storage", "note": "a shelf is free"}
    decisions = [*zip(lines, [approve] * 6, strict=False), (lines[6], modify)]
    decisions += [(lines[7], {"kind": "reject", "reason_code": "budget"})]
    decisions += [(lines[8], approve), (lines[8], {"kind": "undo"}), (lines[8], approve), (lines[8], approve)]
    versions = collections.Counter(line["recommendation_id"] for line in lines)
    for line, decision in decisions:
        name = line["recommendation_id"]
        person.ask("POST", f"{LINES}/{name}/decision", decision | {"version": versions[name]})
        versions[name] += 1


def _attend(person: Caller, paths: list[str], site: str) -> None:
    snooze = {"kind": "snooze", "until": "2026-11-27", "reason": "ask the ward first", "past_order_by": True}
    person.ask("POST", f"{paths[0]}/worklist-action", snooze)
    person.ask("POST", f"{paths[1]}/worklist-action", {"kind": "assign", "assignee_id": 1, "reason": "knows it"})
    person.ask("POST", f"{paths[2]}/comments", {"text": "Ward 4 opens ten beds."})
    rule = {"facility_id": site, "most_cost": "60", "currency": "GBP", "most_urgency": "9", "expires_on": "2027-02-01"}
    person.send("/routine-rules", rule)
    problem = re.findall(r'name="every" value="([^"]*)', person.ask("GET", "/problems"))[0]
    person.send("/problems", {"every": problem, "state": "addressed", "note": "the pharmacy is asked"})


def _override(person: Caller, lines: list[Any]) -> None:
    dates = {"starts_on": "2026-11-30", "ends_on": "2027-01-10", "expires_on": "2027-01-31"}
    common = dates | {"facility_id": lines[0]["facility_id"], "kind": "factor", "reason_code": "new_service"}
    for target, value in (("product_id", 1.25), ("drug", 0.8), ("drug", 1.5)):
        override = common | {target: lines[0][target], "value": value}
        person.ask("POST", "/v1/overrides/preview", override)
        person.ask("POST", "/v1/overrides", override)
    person.ask("POST", "/v1/overrides/3/withdrawal", {"note": "in spring"})
    edit = {"recommendation_id": lines[12]["recommendation_id"], "quantity": 400}
    person.ask("POST", "/v1/overrides/packs-preview", edit)


def _order(system: Caller) -> None:
    for _ in range(2):
        system.ask("POST", "/v1/order-exports", {"account_type": "gpo"}, Idempotency_Key="first")
    orders = json.loads(system.ask("GET", "/v1/orders"))["items"]
    answer = {"line_number": 1, "status": "changed", "packs_confirmed": 1, "expected_at": "2026-11-27"}
    system.ask("POST", f"/v1/orders/{orders[0]['order_number']}/acknowledgement", {"lines": [answer]})


def _push(system: Caller, item: dict[str, Any]) -> None:
    count = {"counted_at": "2026-11-25T06:00:00Z", "lot": "A1", "quantity": 280, "expiry_date": "2027-08-31"}
    order = {"order_id": "A-1", "packs": 4, "ordered_at": "2026-11-23"}
    week = {"period_start": "2026-11-16", "quantity": 99, "patients": 3}
    system.ask("POST", "/v1/stock-snapshots", {"rows": [item | count | {"status": "available"}, item]})
    system.ask("POST", "/v1/dispensing", {"rows": [item | week]})
    system.ask("POST", "/v1/open-orders", {"rows": [item | order | {"expected_at": "2026-11-27"}]})
    system.ask("POST", "/v1/receipts", {"rows": [item | order | {"received_at": "2026-11-25"}]})
