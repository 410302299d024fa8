"""Which questions are computed together. It depends on images and questions alone, never on what is due, so that a
continued run computes the same groups again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from vlures.records import Request


@dataclass(frozen=True, slots=True)
class AskedTogether:
    """Questions that are computed together."""

    images: tuple[tuple[Request, ...], ...]
    """Of each image, its questions. Neighbours without an image count as one image's."""

    @property
    def requests(self) -> Iterator[Request]:
        return (request for image in self.images for request in image)


def group(requests: Iterable[Request], most_rows: int) -> Iterator[AskedTogether]:
    """Groups of neighbouring images with at least most_rows questions among them, or the last. An image with more than
    that is a group, or several, of its own."""
    waiting: list[tuple[Request, ...]] = []
    rows = 0
    for _, same in groupby(requests, key=lambda request: request.image and request.image.digest):
        image = tuple(same)
        if waiting and rows + len(image) > most_rows:
            yield AskedTogether(tuple(waiting))
            waiting, rows = [], 0
        while len(image) > most_rows:
            yield AskedTogether((image[:most_rows],))
            image = image[most_rows:]
        if image:
            waiting.append(image)
            rows += len(image)
    if waiting:
        yield AskedTogether(tuple(waiting))


def with_due(groups: Iterable[AskedTogether], due: Iterable[Request]) -> Iterator[tuple[AskedTogether, frozenset[str]]]:
    """Groups in which something is due, and the keys of what is. Both in the same order; `due` is read as the groups
    are taken. What is due and in no group comes at the end."""
    unread = iter(due)
    waiting = next(unread, None)
    for together in groups:
        keys = set()
        for request in together.requests:
            if waiting is not None and request.key == waiting.key:
                keys.add(request.key)
                waiting = next(unread, None)
        if keys:
            yield together, frozenset(keys)
        if waiting is None:
            return
    rest = () if waiting is None else (waiting, *unread)
    for request in rest:
        yield AskedTogether(((request,),)), frozenset({request.key})
