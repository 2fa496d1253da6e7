"""Types of arrays, and how dataclasses of arrays with one first axis are cut and joined."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Integers = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

_Arrays = TypeVar("_Arrays", bound="DataclassInstance")


def take(arrays: _Arrays, rows: Any) -> _Arrays:
    """The same dataclass of arrays, nested ones too, for some rows only (a slice, a mask, row numbers, or one)."""

    def taken(values: Any) -> Any:
        nested = dataclasses.is_dataclass(values) and not isinstance(values, type)
        return take(values, rows) if nested else values[rows]

    fields = dataclasses.fields(arrays)
    return dataclasses.replace(arrays, **{field.name: taken(getattr(arrays, field.name)) for field in fields})


def joined(parts: Sequence[_Arrays]) -> _Arrays:
    """One dataclass of arrays, nested ones too, from those of several blocks of rows."""

    def concatenated(blocks: list[Any]) -> Any:
        return joined(blocks) if dataclasses.is_dataclass(blocks[0]) else np.concatenate(blocks)

    names = [field.name for field in dataclasses.fields(parts[0])]
    return dataclasses.replace(
        parts[0], **{name: concatenated([getattr(part, name) for part in parts]) for name in names}
    )


def sum_by_index(index: Integers | Indices, values: Floats, size: int) -> Floats:
    """Sums [size, ...] of values [row, ...] by position `index` [row], added up in the order of the rows.

    >>> sum_by_index(np.array([1, 1, 0]), np.array([2.0, 3.0, 4.0]), 3).tolist()
    [4.0, 5.0, 0.0]
    """
    total = np.zeros((size, *values.shape[1:]))
    np.add.at(total, index, values)
    return total
