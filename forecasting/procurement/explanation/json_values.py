"""Values of frames and arrays as JSON holds them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def json_value(value: Any) -> Any:
    """Numbers of numpy as Python's, decimals and dates as text, missing as null.

    >>> json_value(np.float64(2.0)), json_value(pd.NA)
    (2, None)
    """
    if pd.isna(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value == int(value):
        return int(value)
    return value if isinstance(value, bool | int | float | str) else str(value)


def json_record(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row of a frame with each value as JSON holds it."""
    return {str(name): json_value(value) for name, value in row.items()}
