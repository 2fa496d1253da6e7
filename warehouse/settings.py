"""Settings from the environment; `docs/operations.md` lists them and a test keeps the list complete."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

from forecasting.errors import InvalidInput
from forecasting.terms import SMALL_CELL_THRESHOLD

DATABASE_VARIABLE = "PGX_SUPPLY_DATABASE_URL"
HOME_VARIABLE = "PGX_SUPPLY_HOME"
THRESHOLD_VARIABLE = "PGX_SUPPLY_SMALL_CELL_THRESHOLD"
X12_SENDER_VARIABLE = "PGX_SUPPLY_X12_SENDER_ID"
WORKERS_VARIABLE = "PGX_SUPPLY_WORKERS"
MOST_WORKERS = 1024
DEFAULT_DATABASE_FILE = "pgx-supply.db"
DEFAULT_X12_SENDER_ID = "PGXSUPPLY"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where data lies, what is agreed with others, number of processes, and the smallest count of people to show.

    `home` is a folder for what is not in the database (the Dagster run history); `x12_sender_id` names this pharmacy in
    X12 interchanges.
    """

    database_url: str
    home: Path
    x12_sender_id: str = DEFAULT_X12_SENDER_ID
    workers: int = 1
    small_cell_threshold: int = SMALL_CELL_THRESHOLD

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Settings as the environment gives them, else a SQLite file and a hidden folder in the working folder.

        Raises `InvalidInput` for a number of workers that is none, and for a threshold below the default.
        """
        return cls(
            database_url=environment.get(DATABASE_VARIABLE) or f"sqlite:///{DEFAULT_DATABASE_FILE}",
            home=Path(environment.get(HOME_VARIABLE) or ".pgx-supply"),
            x12_sender_id=environment.get(X12_SENDER_VARIABLE) or DEFAULT_X12_SENDER_ID,
            workers=whole_number(environment, WORKERS_VARIABLE, 1, 1, MOST_WORKERS),
            small_cell_threshold=whole_number(
                environment, THRESHOLD_VARIABLE, SMALL_CELL_THRESHOLD, SMALL_CELL_THRESHOLD
            ),
        )

    def redacted(self) -> dict[str, str]:
        """The settings for a log or a screen: without the database's password.

        >>> Settings("postgresql+psycopg://me:secret@db/pgx", Path(".")).redacted()["database_url"]
        'postgresql+psycopg://me:***@db/pgx'
        """
        return {
            "database_url": sa.make_url(self.database_url).render_as_string(hide_password=True),
            "home": str(self.home),
            "x12_sender_id": self.x12_sender_id,
            "workers": str(self.workers),
            "small_cell_threshold": str(self.small_cell_threshold),
        }


def small_cell_threshold() -> int:
    """The smallest number of people that may be shown: the environment's, never below the default."""
    return Settings.from_environment().small_cell_threshold


def whole_number(environment: Mapping[str, str], name: str, default: int, least: int, most: int | None = None) -> int:
    """A setting that is a whole number from `least` to `most`; blank is the default, another text `InvalidInput`.

    >>> whole_number({"A": "20"}, "A", 11, 11), whole_number({}, "A", 11, 11)
    (20, 11)
    """
    text = environment.get(name, "").strip() or str(default)
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        span = f"of {least} or more" if most is None else f"from {least} to {most}"
        raise InvalidInput(f"{name} = {text!r} must be a whole number {span}")
    return int(text)
