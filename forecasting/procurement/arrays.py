"""Arrays over items: their types, and how dataclasses of such arrays are cut and joined."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

_Arrays = TypeVar("_Arrays", bound="DataclassInstance")


def take(arrays: _Arrays, rows: Any) -> _Arrays:
    """The same dataclass of arrays, nested ones too, for some items only (a slice, a mask, item numbers, or one)."""

    def taken(values: Any) -> Any:
        nested = dataclasses.is_dataclass(values) and not isinstance(values, type)
        return take(values, rows) if nested else values[rows]

    fields = dataclasses.fields(arrays)
    return dataclasses.replace(arrays, **{field.name: taken(getattr(arrays, field.name)) for field in fields})


def joined(parts: Sequence[_Arrays]) -> _Arrays:
    """One dataclass of arrays, nested ones too, from those of several blocks of items."""

    def concatenated(blocks: list[Any]) -> Any:
        return joined(blocks) if dataclasses.is_dataclass(blocks[0]) else np.concatenate(blocks)

    names = [field.name for field in dataclasses.fields(parts[0])]
    return dataclasses.replace(
        parts[0], **{name: concatenated([getattr(part, name) for part in parts]) for name in names}
    )
