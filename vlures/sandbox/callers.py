"""Who may call the sandbox: programs on this machine, but no web page of another site.

A browser lets any page send requests to loopback, with the page's `Origin`. With DNS rebinding even the page's own name
resolves to loopback, and only the `Host` header shows it: https://en.wikipedia.org/wiki/DNS_rebinding
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?")
_OWN_SITES = frozenset({"same-origin", "none"})
"""`Sec-Fetch-Site` of a request from the sandbox's own pages, or to an address that a person typed:
https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site"""


@dataclass(frozen=True)
class Refusal:
    """Why a caller is not served."""

    status: int
    """HTTP status."""
    reason: str
    """One sentence."""


def check_caller(hosts: Sequence[str], target: str, headers: Mapping[str, str]) -> Refusal | None:
    """Why this caller is refused; None if it is served.

    hosts: every `Host` header of the request. target: the second word of its first line, perhaps a whole URL with a
    host of its own. headers: the request's, by name in any case.
    """
    if "://" in target:
        hosts = (*hosts, urlsplit(target).netloc)
    if not hosts or not all(is_loopback(host) for host in hosts):
        named = ", ".join(repr(host) for host in hosts) or "no host at all"
        return Refusal(421, f"The sandbox serves this machine only, as 127.0.0.1, localhost or [::1], not as {named}.")
    origin = headers.get("Origin")
    if origin is not None and origin.lower() != f"http://{hosts[0]}".lower():
        return Refusal(403, f"The sandbox refuses requests from a web page of another site ({origin!r}).")
    site = headers.get("Sec-Fetch-Site")
    if site is not None and site not in _OWN_SITES:
        return Refusal(403, f"The sandbox refuses requests from a web page of another site (Sec-Fetch-Site: {site!r}).")
    return None


def is_loopback(host: str) -> bool:
    """Whether a `Host` header names loopback: `127.0.0.0/8`, `localhost` or `[::1]`, with or without a port."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match["name"].lower()
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return address.is_loopback if address.version == 4 else address == ipaddress.IPv6Address("::1")
