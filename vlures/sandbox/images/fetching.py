"""Pictures that a request names by a URL: fetched from this machine's own servers, never from the internet."""

import time
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import quote, urlsplit

HOSTS = ("127.0.0.1", "localhost")
LARGEST_BYTES = 50_000_000
SILENCE_S = 5.0
LONGEST_S = 10.0
BLOCK_BYTES = 1 << 16
_KEPT_IN_PATHS = "/%:@!$&'()*+,;=~"


class NotFetched(Exception):
    """There is no picture to be had; the text says why."""


def is_local(url: str) -> bool:
    """Whether the sandbox would fetch this URL: `http` from 127.0.0.1 or localhost."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and parts.hostname in HOSTS and parts.port != 0
    except ValueError:
        return False


def fetch_picture(url: str) -> bytes:
    """The body behind a local URL; raises NotFetched for another answer than 200, a large body and a slow server.

    Blocks for up to fifteen seconds: not for the event loop. A redirection is not followed, so nothing leads outside.
    """
    parts = urlsplit(url)
    target = quote(parts.path or "/", safe=_KEPT_IN_PATHS)
    if parts.query:
        target += "?" + quote(parts.query, safe=_KEPT_IN_PATHS + "?")
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=SILENCE_S)
    try:
        connection.request("GET", target)
        return _read_all(connection.getresponse())
    except (OSError, HTTPException, ValueError) as error:
        raise NotFetched(str(error) or type(error).__name__) from None
    finally:
        connection.close()


def _read_all(reply: HTTPResponse) -> bytes:
    if reply.status != 200:
        raise NotFetched(f"the server answered {reply.status}")
    ends_at = time.monotonic() + LONGEST_S
    data = bytearray()
    while block := reply.read1(BLOCK_BYTES):
        data += block
        if len(data) > LARGEST_BYTES:
            raise NotFetched(f"the file is larger than {LARGEST_BYTES:,} bytes")
        if time.monotonic() > ends_at:
            raise NotFetched(f"the file took longer than {LONGEST_S:g} seconds")
    if reply.length:
        raise NotFetched("the connection was closed before the end of the file")
    return bytes(data)
