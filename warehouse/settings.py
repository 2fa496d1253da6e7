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
    """Where data lies, what is agreed with others, how many processes plan, and how small a number of people is told.

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
            workers=_workers(environment.get(WORKERS_VARIABLE) or "1"),
            small_cell_threshold=_threshold(environment.get(THRESHOLD_VARIABLE)),
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


def _workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise InvalidInput(f"{WORKERS_VARIABLE} = {text!r} must be a whole number from 1 to {MOST_WORKERS}")
    return int(text)


def small_cell_threshold() -> int:
    """The smallest number of people that may be told: the environment's, never below the default."""
    return Settings.from_environment().small_cell_threshold


def _threshold(text: str | None) -> int:
    """The threshold that is set; one below the default raises `InvalidInput`: it protects people.

    >>> _threshold(None), _threshold("20")
    (11, 20)
    """
    if not text:
        return SMALL_CELL_THRESHOLD
    if not text.strip().isdecimal() or int(text) < SMALL_CELL_THRESHOLD:
        raise InvalidInput(f"{THRESHOLD_VARIABLE} {text!r}: must be a whole number of {SMALL_CELL_THRESHOLD} or more")
    return int(text)
