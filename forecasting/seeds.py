"""Seeds of random numbers that depend on names alone."""

import hashlib

import numpy as np


def stable_seed(*parts: object) -> np.random.SeedSequence:
    """A seed that depends on the parts alone, the same in every process.

    >>> stable_seed(1, "a").entropy == stable_seed(1, "a").entropy
    True
    """
    text = "\x1f".join(str(part) for part in parts)
    return np.random.SeedSequence(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))
