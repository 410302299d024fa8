"""How a server is reached: through which proxy, and by which certificates it is trusted.

All HTTP clients are told both, instead of reading the environment each in its own way: one knows no SOCKS, another no
ALL_PROXY, and most send a call to this machine through a proxy.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from vlures.config.environment import hide_secrets
from vlures.errors import UsageError

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Environment variables of certificates; the first that is set wins."""


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a server."""

    proxy: str | None = None
    """Address of an HTTP proxy; None: there is none."""
    certificates: str | None = None
    """A file, or a folder, of the certificates that are trusted; None: the system's."""


def find_route(address: str, variables: tuple[str, ...] = CERTIFICATES) -> Route:
    """The way to an address, by the environment of this process. A server on this machine is reached without a proxy.

    variables: of certificates. Raises UsageError naming a variable that cannot be used.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    certificates = _find_certificates(variables) if parts.scheme == "https" else None
    if is_this_machine(host) or _is_exempt(host, parts.port):
        return Route(None, certificates)
    return Route(find_proxy(parts.scheme), certificates)


def check_surroundings(variables: tuple[str, ...] = CERTIFICATES) -> None:
    """Raises UsageError, as find_route does for any server of the web."""
    for scheme in ("https", "http"):
        find_proxy(scheme)
    _find_certificates(variables)


def is_this_machine(host: str) -> bool:
    """Whether a host's name or number is one of this machine's own, by itself."""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost")
    return number.is_loopback or number.is_unspecified


def find_proxy(scheme: str) -> str | None:
    """The proxy for addresses of a scheme. Raises UsageError for one that cannot be used."""
    from urllib.request import getproxies  # it loads HTTP, which `vlures --help` can do without

    known = getproxies()  # of the environment; on macOS and Windows else of the system
    for name in (scheme, "all"):
        if proxy := known.get(name, "").strip():
            return _check_proxy(_name_variable(f"{name}_proxy"), proxy)
    return None


def _check_proxy(name: str, proxy: str) -> str:
    address = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(address)
        is_valid = bool(parts.hostname) and (parts.port or 1) > 0 and not re.search(r"\s", address)
    except ValueError:
        is_valid = False
    shown = hide_secrets(address)
    if address.lower().startswith("socks"):
        raise UsageError(
            f"{name} is {shown}, a SOCKS proxy, and vlures speaks only to HTTP proxies; write the proxy's HTTP address "
            f"(http://host:port), or unset {name}."
        )
    if not is_valid or parts.scheme not in ("http", "https"):
        raise UsageError(
            f"{name} is {shown!r}, which is not a proxy's address; write it as http://host:port, or unset {name}."
        )
    return address


def _name_variable(name: str) -> str:
    """As the environment spells it; a lower-case one wins."""
    return next((found for found in (name, name.upper()) if os.environ.get(found)), name.upper())


def _is_exempt(host: str, port: int | None) -> bool:
    """Whether NO_PROXY names the host: by its name, by the end of it (`.lab`, `*.lab`), or by its network
    (`10.0.0.0/8`)."""
    from urllib.request import getproxies, proxy_bypass

    if proxy_bypass(host if port is None else f"{host}:{port}"):
        return True
    for entry in (entry.strip() for entry in getproxies().get("no", "").split(",")):
        if entry.startswith("*.") and host.lower().endswith(entry[1:].lower()):
            return True
        try:
            if "/" in entry and ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False


def _find_certificates(variables: tuple[str, ...], environment: Mapping[str, str] = os.environ) -> str | None:
    for name in variables:
        if value := environment.get(name, "").strip():
            if reason := _why_unusable(name, value):
                raise UsageError(f"{name} is {value}, which {reason}; correct or unset it.")
            return value
    return None


def _why_unusable(name: str, value: str) -> str | None:
    import ssl

    if name.endswith("_DIR") or Path(value).is_dir():
        return _why_unusable_folder(name, value)
    path = Path(value)
    try:
        if path.stat().st_size == 0:
            return "is empty"
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=value)
    except FileNotFoundError:
        return "does not exist"
    except ssl.SSLError:
        return "holds no certificate in PEM"
    except (OSError, ValueError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    return None


def _why_unusable_folder(name: str, value: str) -> str | None:
    """Of several, as OpenSSL takes them, one is enough."""
    if name == "SSL_CERT_FILE":
        return "is a folder; give it as SSL_CERT_DIR, or name a file"
    try:
        folders = [Path(part) for part in value.split(os.pathsep) if part and Path(part).is_dir()]
        names = [path.name for folder in folders for path in folder.iterdir()]
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not folders:
        return "is not a folder"
    if not any(re.fullmatch(r"[0-9a-f]{8}\.\d+", each) for each in names):
        return "holds no certificate under the name of its hash (`openssl rehash` gives those)"
    return None
