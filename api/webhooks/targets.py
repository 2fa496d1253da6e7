"""Where a webhook may lead: hosts that the environment lists, and no address inside the network unless listed too.

A subscription is checked when it is made and again at every try; the name is resolved once a try and the connection
goes to exactly the address that was checked, so that a name cannot change its address in between.
"""

import asyncio
import ipaddress
import socket

import httpx2

from api.settings import ServerSettings
from forecasting.errors import InvalidInput

LOOPBACK = ("localhost", "127.0.0.1", "::1")
LONGEST_URL = 500

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ForbiddenTarget(InvalidInput):
    """The address is not one that webhooks may call."""


def checked_url(url: str, server: ServerSettings) -> httpx2.URL:
    """The parsed URL of a permitted target; `ForbiddenTarget` says which rule it breaks.

    >>> checked_url("https://stores.example/hook", ServerSettings(webhook_hosts=frozenset({"stores.example"}))).host
    'stores.example'
    """
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or "\\" in url or " " in url:
        raise ForbiddenTarget(f"must be at most {LONGEST_URL} printable ASCII characters without blanks or backslashes")
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ForbiddenTarget(f"is not a URL: {error}") from error
    if parsed.userinfo or parsed.fragment:
        raise ForbiddenTarget("must hold no user, password or fragment")
    local = parsed.host in LOOPBACK
    if parsed.scheme != "https" and not (parsed.scheme == "http" and local):
        raise ForbiddenTarget("must be https (http only to this machine)")
    names = {f"{parsed.host}:{port_of(parsed)}"} | ({parsed.host} if local or port_of(parsed) == 443 else set())
    if not names & server.webhook_hosts:
        raise ForbiddenTarget(f"{parsed.host}:{port_of(parsed)} is not among the hosts that webhooks may call")
    return parsed


def port_of(url: httpx2.URL) -> int:
    """The port, stated or the scheme's."""
    return url.port or (443 if url.scheme == "https" else 80)


async def permitted_address(url: httpx2.URL, server: ServerSettings) -> str:
    """An address of the host; `ForbiddenTarget` when any of its addresses is one that must not be called."""
    loop = asyncio.get_running_loop()
    answers = await loop.getaddrinfo(url.host, port_of(url), type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(sockaddr[0]) for *_, sockaddr in answers]
    for address in addresses:
        if not _permitted(address, url.host, server):
            raise ForbiddenTarget(f"{url.host} is at {address}, which webhooks may not call")
    return str(addresses[0])


def _permitted(address: Address, host: str, server: ServerSettings) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    plain: Address = mapped or address
    if plain.is_loopback:
        return host in LOOPBACK
    listed = any(plain.version == net.version and plain in net for net in server.webhook_networks)
    return listed or (plain.is_global and not plain.is_multicast)
