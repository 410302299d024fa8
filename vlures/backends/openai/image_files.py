"""Pictures at OpenAI: each is uploaded once and remembered in the journal, with its digest and its expiry."""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from vlures.backends import Journal
from vlures.records import Image, Request, Response

LIFETIME_S = 30 * 86_400
"""What we ask for: as long as OpenAI keeps the files of a batch."""
OUTLIVES_S = 2 * 86_400
"""A file is not used any more in its last two days: a batch may take one, and some more to be noticed."""
UPLOADS_AT_ONCE = 8
PLACEHOLDER = "file-" + 24 * "0"
"""Stands for an id that is not known yet, where only lengths matter."""

_FILE_ID = re.compile(r"file-[\w-]+")

Upload = Callable[[Image], Awaitable[tuple[str, float | None]]]
"""Uploads a picture: its id, and when it expires (seconds since the epoch) where the provider said so. Raises Retry."""

Reach = Callable[[Callable[[], Awaitable[tuple[str, float | None]]]], Awaitable[tuple[str, float | None]]]
"""Makes a call, again and again if it must be."""


class ImageFiles:
    """Which picture is which file. account: what tells one account's files from another's."""

    def __init__(self, upload: Upload, journal: Journal, account: str) -> None:
        self._upload = upload
        self._journal = journal
        self._account = account
        self._ids: dict[str, str] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._slots = asyncio.Semaphore(UPLOADS_AT_ONCE)

    def find(self, image: Image) -> str | None:
        """The id of the picture's file, if it has one that lives long enough."""
        file = self._journal.recall(self._name(image.digest))
        if not file or file["expires_at"] < time.time() + OUTLIVES_S:
            return None
        self._ids[file["file_id"]] = image.digest
        return str(file["file_id"])

    async def place_all(self, requests: Iterable[Request], reach: Reach) -> None:
        """Upload the pictures that are not there yet."""
        images = {request.image.digest: request.image for request in requests}
        async with asyncio.TaskGroup() as group:
            for image in images.values():
                if self.find(image) is None:
                    group.create_task(self.place(image, reach))

    async def place(self, image: Image, reach: Reach) -> None:
        """Upload a picture unless it is there. Whoever wants the same one meanwhile waits for it."""
        async with self._locks[image.digest], self._slots:
            if self.find(image) is None:
                file_id, expires_at = await reach(lambda: self._upload(image))
                facts = {"file_id": file_id, "expires_at": expires_at or time.time() + LIFETIME_S}
                self._journal.remember(self._name(image.digest), facts)

    def mend(self, response: Response) -> Response:
        """A failure that speaks of a file of ours: the file is gone, so it is forgotten and the request may go again."""
        error = response.error
        if error is None or error.transient:
            return response
        gone = [file_id for file_id in _FILE_ID.findall(error.message) if file_id in self._ids]
        for file_id in gone:
            self._journal.remember(self._name(self._ids.pop(file_id)), {})
        return replace(response, error=replace(error, transient=True)) if gone else response

    def _name(self, digest: str) -> str:
        return f"picture {digest} at {self._account}"
