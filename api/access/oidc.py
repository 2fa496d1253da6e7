"""Signing in through an OpenID Connect provider: code flow with PKCE, with Authlib; claims give role and sites.

What is between the two requests (state, nonce, verifier, where to go on) is in a cookie of the browser that began. A
person is known by issuer and subject; name, role and sites are the provider's at every sign-in.
"""

import base64
import dataclasses
import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

import httpx2
import sqlalchemy as sa
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from api.access.keys import stored_sites
from api.access.sign_in import open_session, random_password_hash
from api.settings import IdentityProvider
from forecasting.errors import InvalidInput
from warehouse import audit
from warehouse.audit import Actor, Event
from warehouse.roles import Role
from warehouse.schema.ledger import User

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
"""Signatures of the provider's own key; never a shared secret, never none."""
SCOPE = "openid profile email"
LEEWAY_SECONDS = 60
TIMEOUT_SECONDS = 10


class NotTrusted(Exception):
    """The provider did not state, in a way that can be trusted, who a person is and what they may do."""


@dataclasses.dataclass(frozen=True)
class Attempt:
    """What the browser that began brings back."""

    state: str
    nonce: str
    verifier: str
    path: str

    def cookie(self) -> str:
        """The attempt as a cookie's value."""
        return base64.urlsafe_b64encode(json.dumps(dataclasses.astuple(self)).encode()).decode()

    @classmethod
    def from_cookie(cls, text: str | None) -> "Attempt | None":
        """The attempt of a cookie, None when it is not one.

        >>> Attempt.from_cookie(Attempt("s", "n", "v", "/").cookie()), Attempt.from_cookie("forged")
        (Attempt(state='s', nonce='n', verifier='v', path='/'), None)
        """
        try:
            parts = json.loads(base64.urlsafe_b64decode(text or ""))
            state, nonce, verifier, path = (str(part) for part in parts)
        except (ValueError, TypeError):
            return None
        return cls(state, nonce, verifier, path)


def start(provider: IdentityProvider, path: str) -> tuple[str, Attempt]:
    """Where the browser goes, and what it has to bring back; `NotTrusted` when the provider does not answer."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    attempt = Attempt(state, nonce, verifier, path)
    with _client(provider) as client:
        address, _ = client.create_authorization_url(
            _metadata(provider)["authorization_endpoint"],
            state=attempt.state,
            nonce=attempt.nonce,
            code_verifier=attempt.verifier,
        )
    return str(address), attempt


def finish(provider: IdentityProvider, attempt: Attempt, answer: Mapping[str, str]) -> dict[str, Any]:
    """The claims about the person, from an ID token that is checked: signature, issuer, audience, times and nonce."""
    if "code" not in answer:
        raise NotTrusted(f"the provider answered {answer.get('error', 'without a code')[:100]}")
    metadata = _metadata(provider)
    try:
        with _client(provider) as client:
            token = client.fetch_token(
                metadata["token_endpoint"],
                grant_type="authorization_code",
                code=answer["code"],
                code_verifier=attempt.verifier,
            )
        jwks: Any = _fetch_json(metadata["jwks_uri"])
        keys = KeySet.import_key_set(jwks)
        decoded = jwt.decode(token["id_token"], keys, algorithms=ALGORITHMS)
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {
                "iss": {"essential": True, "value": provider.issuer},
                "aud": {"essential": True, "value": provider.client_id},
            },
            {"nonce": attempt.nonce, "client_id": provider.client_id, "access_token": token.get("access_token")},
        )
        claims.validate(leeway=LEEWAY_SECONDS)
    except (OAuthError, JoseError, httpx2.HTTPError, KeyError, ValueError) as error:
        raise NotTrusted(f"the provider's answer cannot be trusted ({type(error).__name__})") from error
    return dict(claims)


def sign_in(
    connection: sa.Connection,
    provider: IdentityProvider,
    claims: Mapping[str, Any],
    now: dt.datetime,
    request_id: str | None,
) -> str:
    """The token of a new session; who has no role, no site or was closed here raises `NotTrusted`."""
    subject = f"{provider.issuer} {claims['sub']}"
    claimed: dict[str, Any] = {
        "display_name": str(claims.get("name") or claims.get("preferred_username") or claims["sub"])[:80],
        "role": role_of(claims.get(provider.role_claim), provider),
        "facility_ids": _sites(connection, claims, provider),
    }
    query = sa.select(User.__table__).where(User.subject == subject).with_for_update()
    known = connection.execute(query).mappings().one_or_none()
    if known is not None and not known["active"]:
        raise NotTrusted("this account is closed here")
    if known is None:
        name = f"oidc-{hashlib.sha256(subject.encode()).hexdigest()[:16]}"
        row = claimed | {"name": name, "subject": subject, "password_hash": random_password_hash()}
        row |= {"active": True, "failed_sign_ins": 0, "created_at": now}
        connection.execute(sa.insert(User).values(row))
    elif any(known[name] != value for name, value in claimed.items()):
        connection.execute(sa.update(User).where(User.subject == subject).values(claimed))
    user = connection.execute(query).mappings().one()
    changed = {name: value for name, value in claimed.items() if known is None or known[name] != value}
    if changed:
        actor = Actor("provider", provider.issuer, request_id)
        before = None if known is None else {name: known[name] for name in changed}
        action = "user.add" if known is None else "user.change"
        audit.append(connection, actor, now, [Event(action, f"user:{user['user_id']}", before=before, after=changed)])
    return open_session(connection, user, now, "identity provider", request_id)


def role_of(value: Any, provider: IdentityProvider) -> str:
    """The furthest-reaching role that a claim's values map to; `NotTrusted` when there is none."""
    values = value if isinstance(value, list) else [value]
    named = {provider.roles[name] for name in values if isinstance(name, str) and name in provider.roles}
    if not named:
        raise NotTrusted("the provider names no role that is known here")
    return next(role for role in reversed(Role) if role in named)


def _sites(connection: sa.Connection, claims: Mapping[str, Any], provider: IdentityProvider) -> str | None:
    if provider.facility_claim is None:
        return None
    value = claims.get(provider.facility_claim)
    named = value if isinstance(value, list) else [value]
    if "*" in named:
        return None
    try:
        return stored_sites(connection, [name for name in named if isinstance(name, str)])
    except InvalidInput as error:
        raise NotTrusted("the provider names no site, or one that is not known here") from error


def _client(provider: IdentityProvider) -> OAuth2Client:
    return OAuth2Client(
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        scope=SCOPE,
        redirect_uri=f"{provider.public_url}/sign-in/provider/back",
        code_challenge_method="S256",
        timeout=TIMEOUT_SECONDS,
    )


def _metadata(provider: IdentityProvider) -> dict[str, Any]:
    metadata = _fetch_json(f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration")
    if metadata.get("issuer") != provider.issuer:
        raise NotTrusted("the provider calls itself by another name than the settings")
    return metadata


def _fetch_json(url: str) -> dict[str, Any]:
    try:
        answer = httpx2.get(url, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return dict(answer.json())
    except (httpx2.HTTPError, ValueError) as error:
        raise NotTrusted("the provider does not answer") from error
