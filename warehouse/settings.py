"""Settings from the environment; `docs/operations.md` lists them and a test keeps the list complete."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

DATABASE_VARIABLE = "PGX_SUPPLY_DATABASE_URL"
HOME_VARIABLE = "PGX_SUPPLY_HOME"
DEFAULT_DATABASE_FILE = "pgx-supply.db"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where data lies. `home` is a folder for what is not in the database (the Dagster run history)."""

    database_url: str
    home: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Settings as the environment gives them, else a SQLite file and a hidden folder in the working folder."""
        return cls(
            database_url=environment.get(DATABASE_VARIABLE) or f"sqlite:///{DEFAULT_DATABASE_FILE}",
            home=Path(environment.get(HOME_VARIABLE) or ".pgx-supply"),
        )

    def redacted(self) -> dict[str, str]:
        """The settings for a log or a screen: without the database's password.

        >>> Settings("postgresql+psycopg://me:secret@db/pgx", Path(".")).redacted()["database_url"]
        'postgresql+psycopg://me:***@db/pgx'
        """
        return {
            "database_url": sa.make_url(self.database_url).render_as_string(hide_password=True),
            "home": str(self.home),
        }
