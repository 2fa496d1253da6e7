import datetime as dt

import pytest

from forecasting.demo import DemoNetwork, demo_network

AS_OF = dt.date(2026, 11, 23)


@pytest.fixture(scope="package")
def network() -> DemoNetwork:
    return demo_network(as_of=AS_OF)
