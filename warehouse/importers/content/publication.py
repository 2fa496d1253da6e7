"""One file's rows of one kind of reference content, before they are checked and made a release."""

import dataclasses
import re
from collections.abc import Callable, Collection
from pathlib import Path

import pandas as pd

from forecasting.errors import InvalidInput
from warehouse.importers.checking import Part
from warehouse.importers.content.releases import table_of
from warehouse.importers.files import digest
from warehouse.importers.report import RejectedRow

DATE = re.compile(r"\d{4}-\d{2}(?:-\d{2})?")


@dataclasses.dataclass
class Publication:
    """What a file publishes; `version` is "" where the file states none."""

    kind: str
    publisher: str
    version: str
    part: Part


@dataclasses.dataclass
class ContentFiles:
    """What was found, and sentences for the reader; a refused file is a path and the reason."""

    publications: list[Publication] = dataclasses.field(default_factory=list)
    refused: list[tuple[Path, str]] = dataclasses.field(default_factory=list)
    messages: list[str] = dataclasses.field(default_factory=list)

    def read(self, file: Path, reader: Callable[[Path], Publication | None], otherwise: str) -> Publication | None:
        """What the file publishes; None where it is refused, or holds nothing that is read (`otherwise` says so)."""
        try:
            published = reader(file)
        except InvalidInput as error:
            self.refused.append((file, str(error)))
            return None
        if published is None:
            self.messages.append(f"{file.name} {otherwise}")
        return published


def publication(
    path: Path,
    kind: str,
    publisher: str,
    version: str,
    frame: pd.DataFrame,
    rejected: Collection[RejectedRow] = (),
) -> Publication:
    """The publication of a frame of text that is indexed by line."""
    rows = frame.assign(release_id="new")  # the release gets its name from its checked rows
    return Publication(kind, publisher, version, Part(path.name, digest(path), table_of(kind), rows, list(rejected)))


def newest_date(values: pd.Series) -> str:
    """The latest ISO date (day or month) in the texts; "" when there is none.

    >>> newest_date(pd.Series(["2025-11-05-00-25", "v1.30.0", "2024-08-27"]))
    '2025-11-05'
    """
    dates = [match[0] for match in (DATE.search(str(value)) for value in values.unique()) if match]
    return max(dates, default="")
