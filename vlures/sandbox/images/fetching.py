"""Images that a request names by URL: fetched from servers on this machine, never from the internet."""

import time
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import quote, urlsplit

HOSTS = ("127.0.0.1", "localhost")
MAX_FETCHED_BYTES = 50_000_000
READ_TIMEOUT_S = 5.0
MAX_FETCH_S = 10.0
BLOCK_BYTES = 1 << 16
_KEPT_IN_PATHS = "/%:@!$&'()*+,;=~"


class FetchError(Exception):
    """The image cannot be fetched; the text says why."""


def is_local(url: str) -> bool:
    """Whether the sandbox would fetch this URL: `http` from 127.0.0.1 or localhost."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and parts.hostname in HOSTS and parts.port != 0
    except ValueError:
        return False


def fetch_image(url: str) -> bytes:
    """The body behind a local URL; raises FetchError for any status but 200, a large body and a slow server.

    Blocks for up to fifteen seconds, so not for the event loop. Redirects are not followed: nothing leads outside.
    """
    parts = urlsplit(url)
    target = quote(parts.path or "/", safe=_KEPT_IN_PATHS)
    if parts.query:
        target += "?" + quote(parts.query, safe=_KEPT_IN_PATHS + "?")
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=READ_TIMEOUT_S)
    try:
        connection.request("GET", target)
        return _read_all(connection.getresponse())
    except (OSError, HTTPException, ValueError) as error:
        raise FetchError(str(error) or type(error).__name__) from None
    finally:
        connection.close()


def _read_all(reply: HTTPResponse) -> bytes:
    if reply.status != 200:
        raise FetchError(f"the server answered {reply.status}")
    ends_at = time.monotonic() + MAX_FETCH_S
    data = bytearray()
    while block := reply.read1(BLOCK_BYTES):
        data += block
        if len(data) > MAX_FETCHED_BYTES:
            raise FetchError(f"the file is larger than {MAX_FETCHED_BYTES:,} bytes")
        if time.monotonic() > ends_at:
            raise FetchError(f"the file took longer than {MAX_FETCH_S:g} seconds")
    if reply.length:
        raise FetchError("the connection was closed before the end of the file")
    return bytes(data)
