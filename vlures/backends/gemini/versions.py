"""The version of Gemini's API in an address, and the older one for gateways that know no other."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

from vlures.backends.memory import Memory
from vlures.files.writing import NotWritable
from vlures.store.clock import now

V1, V1BETA = "v1", "v1beta"
NOT_FOUND, BAD_REQUEST = 404, 400
_UNKNOWN_FIELD = re.compile(r"unknown name|cannot find field", re.IGNORECASE)


def split_version(address: str | None) -> tuple[str | None, str | None]:
    """An address without the version at its end (`/v1`, `/v1beta`), and that version, if any."""
    if address is None:
        return None, None
    match = re.fullmatch(r"(.*?)(?:/(v\d+(?:alpha|beta)?))?/*", address)
    return (match[1], match[2]) if match else (address, None)


class ApiVersion:
    """The version that calls go to: the one in the base URL, else v1; v1beta once v1 turns out to be unknown."""

    def __init__(self, chosen: str | None, memory: Memory, place: str, say: Callable[[str], None]) -> None:
        """chosen: the one in the base URL. place: the server, for what is remembered."""
        self._fact = f"version of Gemini's API at {place}"
        self._memory = memory
        self._say = say
        self._is_open = chosen is None
        """Another version may still be tried."""
        self._is_proven = True
        self.current: str = chosen or memory.recall(self._fact).get("version", V1)

    def take_older(self, sent: str, status: int, message: str) -> bool:
        """Whether a call that failed is worth another try, with the version that is now current.

        sent: the version that the call had. status, message: of the error.
        """
        if status != NOT_FOUND and not (status == BAD_REQUEST and _UNKNOWN_FIELD.search(message)):
            return False  # such a creation may have made a batch, whatever the version is now
        if sent != self.current:
            return True  # another call has changed it meanwhile
        if self.current == V1 and self._is_open:
            self.current, self._is_open, self._is_proven = V1BETA, False, False
            return True
        if not self._is_proven:
            self.current, self._is_proven = V1, True  # it was not the version
        return False

    def prove(self) -> None:
        """A call has succeeded. Where the version has changed for it, that is said and remembered."""
        if self._is_proven:
            return
        self._is_proven = True
        self._say(f"The server does not know {V1} of Gemini's API; {V1BETA} is asked from now on.")
        with suppress(NotWritable):  # a later run finds it out again
            self._memory.remember(self._fact, {"version": self.current, "time": now()})
