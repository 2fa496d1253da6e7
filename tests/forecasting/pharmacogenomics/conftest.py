"""Real reference data for comparison, where it lies beside the repository."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.pharmacogenomics.content import ReferenceContent, builtin_content

PGX = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "pgx"


@pytest.fixture(scope="session")
def content() -> ReferenceContent:
    return builtin_content()


@pytest.fixture(scope="session")
def published() -> Callable[[str], pd.DataFrame]:
    """Reads one published file as text; blanks stay "" because "n/a" is a key of its own."""
    if not PGX.is_dir():
        pytest.skip("the published pharmacogenomic files are not beside the repository")

    def read(path: str) -> pd.DataFrame:
        return pd.read_csv(PGX / path, dtype=str, keep_default_na=False)

    return read


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260813)
