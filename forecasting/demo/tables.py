"""The demonstration's own figures, read from the CSV files beside this module."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).parent / "tables"
TEXT = {"code": "str", "rxcui": "str", "keys_1": "str", "keys_2": "str", "alternatives": "str", "allele": "str"}


@cache
def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv", dtype=TEXT, keep_default_na=False, na_values=[""])


def table(name: str) -> pd.DataFrame:
    """A fresh copy of one table, blanks as missing; `name` is the file's name without `.csv`.

    >>> table("suppliers")["supplier_id"].tolist()
    ['W1', 'W2', 'W3']
    """
    return _read(name).copy()


def stream(seed: int, number: int) -> np.random.Generator:
    """The generator of one topic of the simulation, so that a draw more in one changes no other.

    >>> bool(stream(7, 1).random() == stream(7, 1).random())
    True
    """
    return np.random.default_rng([seed, number])
