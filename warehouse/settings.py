"""Settings from the environment; `docs/operations.md` lists them and a test keeps the list complete."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

DATABASE_VARIABLE = "PGX_SUPPLY_DATABASE_URL"
HOME_VARIABLE = "PGX_SUPPLY_HOME"
X12_SENDER_VARIABLE = "PGX_SUPPLY_X12_SENDER_ID"
DEFAULT_DATABASE_FILE = "pgx-supply.db"
DEFAULT_X12_SENDER_ID = "PGXSUPPLY"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where data lies, and what is agreed with others.

    `home` is a folder for what is not in the database (the Dagster run history); `x12_sender_id` names this pharmacy in
    X12 interchanges.
    """

    database_url: str
    home: Path
    x12_sender_id: str = DEFAULT_X12_SENDER_ID

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Settings as the environment gives them, else a SQLite file and a hidden folder in the working folder."""
        return cls(
            database_url=environment.get(DATABASE_VARIABLE) or f"sqlite:///{DEFAULT_DATABASE_FILE}",
            home=Path(environment.get(HOME_VARIABLE) or ".pgx-supply"),
            x12_sender_id=environment.get(X12_SENDER_VARIABLE) or DEFAULT_X12_SENDER_ID,
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
        }
