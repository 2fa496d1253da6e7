"""What is written straight from rows is what the model would write."""

import json
from decimal import Decimal

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from api.http.units import RECOMMENDATION_UNITS
from api.recommendations.models import RecommendationPage
from api.routes.recommendations import LINES, WRITER
from tests.api.conftest import NOW
from warehouse.queries.lines import recommendations_query
from warehouse.schema.results import Recommendation

AMOUNTS = st.decimals(0, 10**12, places=6) | st.integers(0, 10**12).map(Decimal)
FLOATS = st.floats(0, 1e9) | st.sampled_from([1e-7, 5e-324, 1e16, 0.1 + 0.2])
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=20)
MOMENTS = st.datetimes(min_value=NOW.replace(year=1990), max_value=NOW.replace(year=2100))

CHANGES = st.fixed_dictionaries(
    {
        "quantity": AMOUNTS,
        "cost": st.none() | AMOUNTS,
        "supplier_id": st.none() | st.just("alpha"),
        "need_by": st.none() | st.just(NOW.date()),
        "expected_waste": FLOATS,
        "days_on_hand_before": st.none() | FLOATS,
        "thin_evidence": st.none() | TEXT,
        "updated_at": MOMENTS,
    }
)


def test_the_bytes_say_what_the_model_says(each_database):
    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    @given(CHANGES)
    def check(values):
        with each_database.connect() as connection:
            transaction = connection.begin()
            change = sa.update(Recommendation).where(Recommendation.recommendation_id.in_(["rec-01", "rec-05"]))
            connection.execute(change.values(values))
            rows = connection.execute(LINES.order_by(Recommendation.recommendation_id)).all()
            whole = connection.execute(recommendations_query(None).order_by(Recommendation.recommendation_id))
            told = {"items": [dict(row) for row in whole.mappings()], "next_cursor": "c", "units": RECOMMENDATION_UNITS}
            model = json.loads(RecommendationPage.model_validate(told).model_dump_json())
            transaction.rollback()
        written = json.loads(WRITER.write(rows, "c", RECOMMENDATION_UNITS))
        assert written == model
        assert [*written["items"][0]] == [*model["items"][0]]
        assert len(written["items"]) >= 9

    check()
