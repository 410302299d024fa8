"""Images as files at OpenAI: each is uploaded once and remembered in the journal, by its digest, with its expiry."""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from vlures.backends import Journal
from vlures.files.writing import NotWritable
from vlures.records import Image, Request, Response
from vlures.store.clock import now

LIFETIME_S = 30 * 86_400
"""The lifetime that we ask for: as long as OpenAI keeps the files of a batch."""
OUTLIVES_S = 2 * 86_400
"""A file is not used in its last two days: a batch may take one, and some time may pass before it is collected. Where
files live shorter than that, it is not used in the second half of its life."""
UPLOADS_AT_ONCE = 8
PLACEHOLDER = "file-" + 24 * "0"
"""Stands for an id that is still unknown, where only lengths matter."""

_FILE_ID = re.compile(r"file-[\w-]+")
_IS_GONE = re.compile(r"no such|not[ _]found|(not|n't|no longer) exist|expired|deleted|cannot find", re.IGNORECASE)

Upload = Callable[[Image], Awaitable[tuple[str, float | None]]]
"""Uploads an image; returns its id and, if known, when it expires (seconds since the epoch). Raises Retry."""

Reach = Callable[[Callable[[], Awaitable[tuple[str, float | None]]]], Awaitable[tuple[str, float | None]]]
"""Makes a call, with retries."""


class ImageFiles:
    """Which image is which file. account: tells one account's files from another's."""

    def __init__(self, upload: Upload, journal: Journal, account: str) -> None:
        self._upload = upload
        self._journal = journal
        self._account = account
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._slots = asyncio.Semaphore(UPLOADS_AT_ONCE)

    def find(self, image: Image) -> str | None:
        """The id of the image's file, if it has one that lives long enough."""
        return find_file(self._journal, self._account, image)

    async def place_all(self, requests: Iterable[Request], reach: Reach) -> None:
        """Upload the images that have no file yet."""
        images = {request.image.digest: request.image for request in requests if request.image is not None}
        async with asyncio.TaskGroup() as group:
            for image in images.values():
                if self.find(image) is None:
                    group.create_task(self.place(image, reach))

    async def place(self, image: Image, reach: Reach) -> None:
        """Upload an image unless it has a file. A second call for the same image waits for the first."""
        async with self._locks[image.digest], self._slots:
            if self.find(image) is None:
                file_id, expires_at = await reach(lambda: self._upload(image))
                expires_at = expires_at or time.time() + LIFETIME_S
                facts = {"file_id": file_id, "expires_at": expires_at, "lifetime_s": expires_at - time.time()}
                with suppress(NotWritable):  # remembered for this run; a later one uploads the image again
                    self._journal.remember(_name(image.digest, self._account), facts)

    def forget_gone(self, response: Response, image: Image | None = None) -> Response:
        """The response; one that failed because a file is gone becomes transient, and that file is not named again. An
        earlier run may have uploaded it. image: the one that the request named, where that is known."""
        error = response.error
        said = f"{error.code} {error.message}" if error else ""
        if error is None or not _IS_GONE.search(said):
            return response
        gone = _FILE_ID.findall(error.message)
        if not gone and image is not None and "file" in said.lower():
            gone = [file_id for file_id in [self.find(image)] if file_id]
        for file_id in gone:
            with suppress(NotWritable):
                self._journal.remember(_gone(file_id, self._account), {"time": now()})
        return replace(response, error=replace(error, transient=True)) if gone else response


def find_file(journal: Journal, account: str, image: Image) -> str | None:
    """The id of the image's file at this account, if it has one that lives long enough."""
    file = journal.recall(_name(image.digest, account))
    if not file or journal.recall(_gone(file["file_id"], account)):
        return None
    outlives_s = min(OUTLIVES_S, file["lifetime_s"] / 2)
    return str(file["file_id"]) if file["expires_at"] - time.time() > outlives_s else None


def _name(digest: str, account: str) -> str:
    return f"picture {digest} at {account}"


def _gone(file_id: str, account: str) -> str:
    return f"{file_id} is gone at {account}"
