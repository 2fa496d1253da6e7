"""Settings of the server from the environment; `docs/operations.md` lists them and a test keeps the list complete."""

import base64
import binascii
import dataclasses
import ipaddress
import os
from collections.abc import Callable, Mapping
from typing import Any

from forecasting.errors import InvalidInput

PREFIX = "PGX_SUPPLY_"
WEBHOOK_HOSTS = f"{PREFIX}WEBHOOK_HOSTS"
WEBHOOK_NETWORKS = f"{PREFIX}WEBHOOK_NETWORKS"
WEBHOOK_SECRET = f"{PREFIX}WEBHOOK_SECRET_"
SECRET_PREFIX = "whsec_"
SHORTEST_SECRET_BYTES = 24  # what Standard Webhooks asks of a symmetric key

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclasses.dataclass(frozen=True)
class ServerSettings:
    """What the server may do beyond its database.

    `webhook_hosts` are the hosts (or host:port) that webhooks may call, none by default; `webhook_networks` the private
    networks in which they may lie; `webhook_secrets` the signing secrets by name, several of one name while it is
    being replaced.
    """

    webhook_hosts: frozenset[str] = frozenset()
    webhook_networks: tuple[Network, ...] = ()
    webhook_secrets: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "ServerSettings":
        """The settings as the environment gives them; a value that cannot be read raises `InvalidInput`."""
        return cls(
            webhook_hosts=frozenset(one.lower() for one in _listed(environment, WEBHOOK_HOSTS)),
            webhook_networks=tuple(
                _read(WEBHOOK_NETWORKS, one, ipaddress.ip_network) for one in _listed(environment, WEBHOOK_NETWORKS)
            ),
            webhook_secrets={
                name.removeprefix(WEBHOOK_SECRET).lower(): _secrets(name, text)
                for name, text in environment.items()
                if name.startswith(WEBHOOK_SECRET) and text
            },
        )

    def redacted(self) -> dict[str, str]:
        """The settings for a screen: of secrets only the names.

        >>> ServerSettings(webhook_secrets={"stores": ("whsec_c2VjcmV0",)}).redacted()["webhook_secrets"]
        'stores'
        """
        return {
            "webhook_hosts": ", ".join(sorted(self.webhook_hosts)),
            "webhook_networks": ", ".join(map(str, self.webhook_networks)),
            "webhook_secrets": ", ".join(sorted(self.webhook_secrets)),
        }


def _listed(environment: Mapping[str, str], name: str) -> list[str]:
    """The parts of a comma-separated variable."""
    return [part.strip() for part in environment.get(name, "").split(",") if part.strip()]


def _read(name: str, text: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidInput(f"{name} {text!r}: {error}") from error


def _secrets(name: str, text: str) -> tuple[str, ...]:
    """Secrets separated by blanks; an error never tells the value."""
    found = tuple(text.split())
    for one in found:
        try:
            key = base64.b64decode(one.removeprefix(SECRET_PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if not one.startswith(SECRET_PREFIX) or len(key) < SHORTEST_SECRET_BYTES:
            raise InvalidInput(f"{name}: must be {SECRET_PREFIX} and {SHORTEST_SECRET_BYTES} bytes or more in base64")
    return found
