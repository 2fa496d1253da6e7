"""What the importers of prescribing data share: files known by their header, and the three tables they fill.

Sites and products that a publisher's file names are made only where they are missing: what a bundle said stays. Their
population is not in these files and is stored as 0; the pack is not either: one dose unit a pack, price blank.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd

from forecasting.errors import InvalidInput
from warehouse.importers.checking import FileParts, Part
from warehouse.importers.files import header, is_table
from warehouse.importers.report import RejectedRow
from warehouse.schema import Base

FACILITIES = Base.metadata.tables["facilities"]
PRODUCTS = Base.metadata.tables["products"]
DISPENSING = Base.metadata.tables["dispensing"]

UNKNOWN_POPULATION = "population is not in this format: stored as 0"
UNKNOWN_PACK = "packs are not in this format: one dose unit a pack, price unknown"

ProductRow = dict[str, str]
"""Text values by column of `products`."""


def sort_files(
    paths: Iterable[Path],
    kinds: Mapping[str, Callable[[set[str]], bool]],
    data_kinds: set[str],
    publisher: FileParts,
) -> dict[str, list[Path]]:
    """The files by kind, known by their header; beside a named file, its folder is searched for what is not data.

    A named file that is of no kind is refused; others in a folder are passed over.
    """
    sorted_files: dict[str, list[Path]] = {kind: [] for kind in kinds}
    named: dict[Path, bool] = {}
    for path in paths:
        candidates = sorted(path.iterdir()) if path.is_dir() else [path, *sorted(path.parent.iterdir())]
        for candidate in candidates:
            named[candidate] = named.get(candidate, False) or candidate == path or path.is_dir()
    for file, wanted in named.items():
        if not (is_table(file) or (wanted and file in set(paths))):
            continue
        kind = _kind(file, kinds, wanted and file in set(paths), publisher)
        if kind is not None and (wanted or kind not in data_kinds):
            sorted_files[kind].append(file)
    if not any(sorted_files[kind] for kind in data_kinds) and not publisher.refused:
        raise InvalidInput(f"{', '.join(path.name for path in paths)}: no file of this format here")
    return sorted_files


def _kind(
    file: Path, kinds: Mapping[str, Callable[[set[str]], bool]], by_name: bool, publisher: FileParts
) -> str | None:
    try:
        names = set(header(file))
        kind = next((kind for kind, is_kind in kinds.items() if is_kind(names)), None)
        if kind is None and by_name:
            raise InvalidInput(f"{file.name}: the header is of no known layout of this format")
    except InvalidInput as error:
        if by_name:
            publisher.refuse(file, error, DISPENSING.name)
        return None
    return kind


def facility_part(
    path: Path, sha256: str, ids: pd.Series, names: Mapping[str, str], closed_on: Mapping[str, str]
) -> Part:
    """The sites that the file names, each at the line it first stands on."""
    first = ids[ids.str.strip() != ""].drop_duplicates()
    frame = pd.DataFrame(
        {
            "facility_id": first,
            "name": first.map(lambda name: names.get(name) or name),
            "population": "0",
            "closed_on": first.map(lambda name: closed_on.get(name) or ""),
        },
        dtype="str",
    )
    notes = [UNKNOWN_POPULATION]
    return Part(path.name, sha256, FACILITIES, frame, notes=notes, keep_existing=True)


def product_part(path: Path, sha256: str, ids: pd.Series, products: Mapping[str, ProductRow]) -> Part:
    """The products of the file whose strength is known, each at the line it first stands on."""
    first = ids[ids.isin(list(products))].drop_duplicates()
    columns = ["product_id", "drug", "strength_value", "strength_unit", "dose_form", "pack_size", "code_system", "code"]
    rows = [
        {"pack_size": "1", "strength_unit": "mg", **products[product_id], "product_id": product_id}
        for product_id in first
    ]
    frame = pd.DataFrame(rows, index=first.index, columns=columns, dtype="str")
    notes = [UNKNOWN_PACK] if (frame["pack_size"] == "1").any() else []
    return Part(path.name, sha256, PRODUCTS, frame, notes=notes, keep_existing=True)


def dispensing_part(
    path: Path,
    sha256: str,
    frame: pd.DataFrame,
    reasons: Mapping[str, str],
    shown: pd.Series,
    column: str,
) -> Part:
    """The rows as dispensing; those whose product has a reason against it are rejected with what the file `shown`."""
    without = frame["product_id"].isin(list(reasons))
    rejected = [
        RejectedRow(path.name, line, column, value, reasons[product])
        for line, product, value in zip(
            frame.index[without].tolist(), frame.loc[without, "product_id"], shown[without], strict=True
        )
    ]
    part = Part(path.name, sha256, DISPENSING, frame[~without], rejected)
    absurd = _returned_more_than_issued(part.frame)
    part.notes += [f"line {line}: more was returned than was ever issued ({value})" for line, value in absurd]
    return part


def _returned_more_than_issued(frame: pd.DataFrame) -> list[tuple[int, str]]:
    numbers = pd.to_numeric(frame["quantity"], errors="coerce").fillna(0.0)
    issued = numbers.clip(lower=0).groupby([frame["facility_id"], frame["product_id"]]).transform("sum")
    absurd = (numbers < 0) & (-numbers > issued) & (issued > 0)
    return [
        (line, str(value))
        for line, value in zip(frame.loc[absurd, "quantity"].index.tolist(), frame.loc[absurd, "quantity"], strict=True)
    ]
