"""The whole OpenAPI document against generated requests, right and wrong: no fault, no answer it does not describe."""

import contextlib

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from api.access.keys import SCOPES, create_api_key
from api.app import create_app
from tests.api.conftest import NOW, fill
from warehouse.engine import writing

CASES = 12_000
"""Per kind of database, shared out over the operations."""

OPEN = frozenset({"GET /healthz", "GET /readyz", "GET /metrics"})
EVERY = 5
"""So many requests with a key for one without."""

schemathesis.serializer.alias("application/edi-x12", "text/plain")

# what a schema cannot say (a reason goes with a kind, a line of another site) makes a well-formed request wrong
NOT_CHECKED = [positive_data_acceptance]
# in an address everything is text: "false" is a fine facility_id, and only a body can be of the wrong JSON type
NOT_CHECKED_IN_ADDRESSES = [*NOT_CHECKED, negative_data_rejection]


@pytest.fixture
def schema(new_engine, request, clock):
    """The document of an app over a filled database of the wanted kind."""
    engine = new_engine(request.param)
    fill(engine)
    found = schemathesis.openapi.from_asgi("/openapi.json", create_app(engine, clock=clock))
    with writing(engine) as connection:
        text = create_api_key(connection, name="robot", scopes=SCOPES, facility_ids=None, expires_at=None, now=NOW)
    found.headers = {"Authorization": f"Bearer {text}"}
    return found


def fuzz(schema, cases):
    """Numbers of requests by operation."""
    operations = [one.ok() for one in schema.get_all_operations()]
    asked = {}
    for operation in operations:
        for mode in GenerationMode:
            asked[operation.label] = asked.get(operation.label, 0) + _fuzz_one(
                schema, operation, mode, cases // len(operations) // 2
            )
    return asked


def _fuzz_one(schema, operation, mode, cases):
    count = 0
    excluded = NOT_CHECKED_IN_ADDRESSES if operation.method == "get" else NOT_CHECKED

    @seed(20261123)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        nonlocal count
        count += 1
        response = case.call(headers=schema.headers)
        # a body over the limit is refused before anybody reads what else is wrong with it
        too_large = [negative_data_rejection] if response.status_code == 413 else []
        case.validate_response(response, headers=schema.headers, excluded_checks=[*excluded, *too_large])
        if count % EVERY == 0 and operation.label not in OPEN:
            count += 1
            assert case.call().status_code >= 400, "let in without a key"

    with contextlib.suppress(Unsatisfiable):  # nothing can be wrong with a request that takes nothing
        ask()
    return count


@pytest.mark.parametrize("schema", ["sqlite"], indirect=True)
def test_some_generated_requests_find_no_fault(schema):
    asked = fuzz(schema, 320)
    assert len(asked) >= 20
    assert sum(asked.values()) >= 150


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("schema", ["sqlite", "postgresql"], indirect=True)
def test_twenty_thousand_generated_requests_find_no_fault(schema, capsys, request):
    asked = fuzz(schema, CASES)
    with capsys.disabled():
        told = f"{sum(asked.values()):,} requests to {len(asked)} operations"
        print(f"\n{request.node.callspec.params['schema']}: {told}")  # noqa: T201
    assert sum(asked.values()) >= 10_000
    assert min(asked.values()) >= 1
