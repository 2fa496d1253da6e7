"""What can go wrong, as one tree.

    PgxSupplyError
    ├── InvalidInput        a person's or a file's mistake: says which value breaks which rule
    │   └── PatientData     a file that looks as if it holds people
    └── MissingContent      knowledge that is not there: unknown drug, unmapped guideline row

Everything else that is raised is a bug.
"""


class PgxSupplyError(Exception):
    """Base of all errors that are meant to be read by a user. The message is one clear sentence."""

    exit_code = 1


class InvalidInput(PgxSupplyError, ValueError):
    """A value that breaks a stated rule."""


class PatientData(InvalidInput):
    """A file with a column that looks like patient-level data; nothing of it is read."""


class MissingContent(PgxSupplyError, LookupError):
    """Reference knowledge that is needed and absent; never silently read as "no effect"."""
