"""A language model that may write the paragraph of a recommendation, as the environment names it; none by default."""

import dataclasses
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from forecasting.errors import InvalidInput
from warehouse.settings import whole_number

URL = "PGX_SUPPLY_WRITER_URL"
MODEL = "PGX_SUPPLY_WRITER_MODEL"
API_KEY = "PGX_SUPPLY_WRITER_API_KEY"
HOSTS = "PGX_SUPPLY_WRITER_HOSTS"
TIMEOUT_SECONDS = "PGX_SUPPLY_WRITER_TIMEOUT_SECONDS"
LINES = "PGX_SUPPLY_WRITER_LINES"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclasses.dataclass(frozen=True)
class WriterSettings:
    """An OpenAI-compatible endpoint: `url` is what `/chat/completions` is put behind.

    `timeout_seconds` bounds a whole answer; only the `lines` most urgent new lines of a run are written.
    """

    url: str
    model: str
    api_key: str = dataclasses.field(default="", repr=False)
    timeout_seconds: float = 20.0
    lines: int = 50

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "WriterSettings | None":
        """The writer that the environment names, None without a URL; what cannot be used raises `InvalidInput`.

        >>> WriterSettings.from_environment({}) is None
        True
        """
        url = environment.get(URL, "").strip().rstrip("/")
        if not url:
            return None
        model = environment.get(MODEL, "").strip()
        if not model:
            raise InvalidInput(f"{URL} is set: {MODEL} must be too")
        _require_permitted(
            url, [host.strip().lower() for host in environment.get(HOSTS, "").split(",") if host.strip()]
        )
        return cls(
            url=url,
            model=model,
            api_key=environment.get(API_KEY, "").strip(),
            timeout_seconds=float(whole_number(environment, TIMEOUT_SECONDS, 20, 1, 300)),
            lines=whole_number(environment, LINES, 50, 1, 100_000),
        )


def redacted(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The writer for a screen: never its key.

    >>> redacted({})
    {'writer': 'none: paragraphs come from the template'}
    """
    settings = WriterSettings.from_environment(environment)
    if settings is None:
        return {"writer": "none: paragraphs come from the template"}
    return {"writer": f"{settings.model} at {settings.url}, {settings.lines} lines a run"}


def _require_permitted(url: str, hosts: list[str]) -> None:
    """A listed host, over https; http only to this machine."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise InvalidInput(f"{URL} {url!r}: {error}") from error
    host = parts.hostname or ""
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidInput(f"{URL}: must hold no user, password, query or fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise InvalidInput(f"{URL} {url!r}: must be https (http only to this machine)")
    if not {host, f"{host}:{port}"} & set(hosts):
        raise InvalidInput(f"{URL}: {host}:{port} is not among the hosts of {HOSTS}")
