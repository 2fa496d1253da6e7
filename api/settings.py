"""Settings of the server from the environment; `docs/operations.md` lists them and a test keeps the list complete."""

import base64
import binascii
import contextlib
import dataclasses
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from forecasting.errors import InvalidInput
from warehouse.roles import Role

PREFIX = "PGX_SUPPLY_"
WEBHOOK_HOSTS = f"{PREFIX}WEBHOOK_HOSTS"
WEBHOOK_NETWORKS = f"{PREFIX}WEBHOOK_NETWORKS"
WEBHOOK_SECRET = f"{PREFIX}WEBHOOK_SECRET_"
SECRET_PREFIX = "whsec_"
SHORTEST_SECRET_BYTES = 24  # what Standard Webhooks asks of a symmetric key

SECOND_APPROVAL_ABOVE = f"{PREFIX}SECOND_APPROVAL_ABOVE"
OWN_CHANGE_APPROVAL_ABOVE = f"{PREFIX}OWN_CHANGE_APPROVAL_ABOVE"
REQUESTS_PER_MINUTE = f"{PREFIX}REQUESTS_PER_MINUTE"
DEFAULT_REQUESTS_PER_MINUTE = 1200
LOG_LEVEL = f"{PREFIX}LOG_LEVEL"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
PUBLIC_URL = f"{PREFIX}PUBLIC_URL"
OIDC = f"{PREFIX}OIDC_"
OIDC_NAMES = ("ISSUER", "CLIENT_ID", "CLIENT_SECRET", "ROLES", "ROLE_CLAIM", "FACILITY_CLAIM")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclasses.dataclass(frozen=True)
class ApprovalLimits:
    """Order values, in the line's own currency, above which one approval is not enough; None = no limit.

    `own_change_above` holds for a person who changed what the line is computed from.
    """

    second_above: Decimal | None = None
    own_change_above: Decimal | None = None


@dataclasses.dataclass(frozen=True)
class IdentityProvider:
    """An OpenID Connect provider at which people sign in, and how its claims are read.

    `roles` maps values of `role_claim` to roles; `facility_claim` holds facility_ids or '*', None = all sites for
    everybody. `public_url` is this server as browsers reach it.
    """

    issuer: str
    client_id: str
    client_secret: str = dataclasses.field(repr=False)
    public_url: str
    roles: Mapping[str, str]
    role_claim: str = "roles"
    facility_claim: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "IdentityProvider | None":
        """The provider, None when no issuer is set; what is missing or not https raises `InvalidInput`."""
        values = {name: environment.get(f"{OIDC}{name}", "").strip() for name in OIDC_NAMES}
        if not values["ISSUER"]:
            return None
        public_url = environment.get(PUBLIC_URL, "").rstrip("/")
        needed = {f"{OIDC}{name}": values[name] for name in ("CLIENT_ID", "CLIENT_SECRET", "ROLES")}
        missing = [name for name, value in (needed | {PUBLIC_URL: public_url}).items() if not value]
        if missing:
            raise InvalidInput(f"{OIDC}ISSUER is set: {', '.join(missing)} must be too")
        for name, url in ((f"{OIDC}ISSUER", values["ISSUER"]), (PUBLIC_URL, public_url)):
            if not re.match(r"https://|http://(localhost|127\.0\.0\.1)(:\d+)?(/|$)", url):
                raise InvalidInput(f"{name} {url!r}: must be https (http only on this machine)")
        return cls(
            issuer=values["ISSUER"],
            client_id=values["CLIENT_ID"],
            client_secret=values["CLIENT_SECRET"],
            public_url=public_url,
            roles=_roles(values["ROLES"]),
            role_claim=values["ROLE_CLAIM"] or "roles",
            facility_claim=values["FACILITY_CLAIM"] or None,
        )


def _roles(text: str) -> dict[str, str]:
    """Value of the claim -> role, from `pgx-buyers=buyer,pgx-leads=approver`."""
    pairs = [part.rpartition("=")[::2] for part in text.split(",") if part.strip()]
    roles = {value.strip(): role.strip() for value, role in pairs}
    if not all(value and role in tuple(Role) for value, role in roles.items()):
        raise InvalidInput(f"{OIDC}ROLES {text!r}: must be CLAIM-VALUE=ROLE by comma, a role one of {', '.join(Role)}")
    return roles


@dataclasses.dataclass(frozen=True)
class ServerSettings:
    """What the server may do beyond its database.

    `webhook_hosts` are the hosts (or host:port) that webhooks may call, none by default; `webhook_networks` the private
    networks in which they may lie; `webhook_secrets` the signing secrets by name, several of one name while it is
    being replaced. `requests_per_minute` bounds each key and each address, 0 = no bound.
    """

    approvals: ApprovalLimits = ApprovalLimits()
    requests_per_minute: int = 0
    identity_provider: IdentityProvider | None = None
    log_level: str = "INFO"

    webhook_hosts: frozenset[str] = frozenset()
    webhook_networks: tuple[Network, ...] = ()
    webhook_secrets: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "ServerSettings":
        """The settings as the environment gives them; a value that cannot be read raises `InvalidInput`."""
        return cls(
            approvals=ApprovalLimits(
                _amount(environment, SECOND_APPROVAL_ABOVE), _amount(environment, OWN_CHANGE_APPROVAL_ABOVE)
            ),
            requests_per_minute=_whole(environment, REQUESTS_PER_MINUTE, DEFAULT_REQUESTS_PER_MINUTE),
            identity_provider=IdentityProvider.from_environment(environment),
            log_level=_log_level(environment),
            webhook_hosts=frozenset(host.lower() for host in _listed(environment, WEBHOOK_HOSTS)),
            webhook_networks=tuple(
                _parsed(WEBHOOK_NETWORKS, text, ipaddress.ip_network) for text in _listed(environment, WEBHOOK_NETWORKS)
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
            "second_approval_above": _limit_text(self.approvals.second_above),
            "own_change_approval_above": _limit_text(self.approvals.own_change_above),
            "requests_per_minute": str(self.requests_per_minute or "no limit"),
            "log_level": self.log_level,
            "identity_provider": self.identity_provider.issuer if self.identity_provider else "none",
            "webhook_hosts": ", ".join(sorted(self.webhook_hosts)),
            "webhook_networks": ", ".join(map(str, self.webhook_networks)),
            "webhook_secrets": ", ".join(sorted(self.webhook_secrets)),
        }


def _limit_text(limit: Decimal | None) -> str:
    return "no limit" if limit is None else str(limit)


def _amount(environment: Mapping[str, str], name: str) -> Decimal | None:
    """An amount of money that is 0 or more, None when it is not set."""
    text = environment.get(name)
    if not text:
        return None
    with contextlib.suppress(InvalidOperation):
        amount = Decimal(text)
        if amount.is_finite() and amount >= 0:
            return amount
    raise InvalidInput(f"{name} {text!r}: must be an amount of 0 or more")


def _log_level(environment: Mapping[str, str]) -> str:
    level = (environment.get(LOG_LEVEL) or "INFO").upper()
    if level not in LOG_LEVELS:
        raise InvalidInput(f"{LOG_LEVEL} {level!r}: must be one of {', '.join(LOG_LEVELS)}")
    return level


def _whole(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal():
        raise InvalidInput(f"{name} {text!r}: must be a whole number, 0 or more")
    return int(text)


def _listed(environment: Mapping[str, str], name: str) -> list[str]:
    """The parts of a comma-separated variable."""
    return [part.strip() for part in environment.get(name, "").split(",") if part.strip()]


def _parsed(name: str, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise InvalidInput(f"{name} {text!r}: {error}") from error


def _secrets(name: str, text: str) -> tuple[str, ...]:
    """Secrets separated by blanks; an error never holds the value."""
    secrets = tuple(text.split())
    for secret in secrets:
        try:
            key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if not secret.startswith(SECRET_PREFIX) or len(key) < SHORTEST_SECRET_BYTES:
            raise InvalidInput(f"{name}: must be {SECRET_PREFIX} and {SHORTEST_SECRET_BYTES} bytes or more in base64")
    return secrets
