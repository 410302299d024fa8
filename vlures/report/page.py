"""One HTML file that shows runs, without a network: a summary that prints, then all answers with their images."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from vlures.errors import UsageError, counted
from vlures.records import Image
from vlures.report.chunks import (
    Chunk,
    Texts,
    collect_texts,
    describe_index,
    pack_answers,
    pack_reasoning,
    pack_texts,
)
from vlures.report.entries import Entry, Say, Shown, read_shown
from vlures.report.html import line
from vlures.report.languages import language_of
from vlures.report.pictures import IMAGES_PER_CHUNK, Pictures, make_pictures, number_images
from vlures.report.summary import describe_left_out, describe_runs, find_banner
from vlures.results.new_file import open_new_file
from vlures.safety.inline_content import inline_policy
from vlures.store.clock import now

MEGABYTE = 1_000_000
SCRIPTS = ("unpack.js", "text.js", "entry.js", "list.js", "search.js", "page.js")
"""In the order in which they build on each other."""
NASTALIQ = "fonts/noto-nastaliq-urdu.woff2"
"""Noto Nastaliq Urdu, SIL Open Font License 1.1 (beside it), from @fontsource/noto-nastaliq-urdu 5.3.0."""
SMALLEST_SHARE = 0.02
"""Of the answers: a report that has room for fewer is refused."""

FRAME_BYTES = 6_000
"""Most that the elements around the data take."""

Originals = Literal["link"]
"""link: to the original images, relative to the report."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a report came to."""

    path: Path
    size_bytes: int
    entries: int
    answers: int
    images: int
    left_out: tuple[str, ...]
    """What is not in it, to keep it small, each a sentence."""


@dataclass(frozen=True, slots=True)
class _Data:
    """The answers as the page holds them."""

    manifest: dict[str, Any]
    chunks: tuple[Chunk, ...]
    pictures: Pictures
    left_out: tuple[str, ...]


def write_report(
    folders: Iterable[Path],
    to: Path,
    say: Say,
    *,
    max_mb: float = 25,
    with_images: bool = True,
    originals: Originals | None = None,
    force: bool = False,
) -> Written:
    """Write the report of runs, whole or not at all.

    max_mb: of a million bytes each; what does not fit is left out, and the report says so. originals: link to the
    images as they were asked about. force: replace an existing file. Raises VluresError if a folder holds no run, if
    something stored cannot be read, or if the file exists or cannot be written; UsageError if nearly nothing would fit.
    """
    tell = _once(say)
    with open_new_file(to, force=force) as file:
        shown = read_shown(folders, tell)
        head, tail = _head(shown), _tail()
        static = _static(shown, tell)
        room = int(max_mb * MEGABYTE) - sum(len(part.encode(errors="replace")) for part in (head, static, tail))
        data = _fit(shown, room, to.parent if originals else None, with_images=with_images)
        parts = [head, static, _answers(data), _data(data), tail]
        page = "".join(parts).encode(errors="replace")
        file.write(page)
    answers = sum(len(entry.answers) for entry in shown.entries)
    held = sum(1 for small in data.pictures.small if small)
    return Written(to, len(page), len(shown.entries), answers, held, data.left_out)


def _once(say: Say) -> Say:
    """The same, each sentence only once: the tables read the runs again."""
    said: set[str] = set()

    def tell(sentence: str) -> None:
        if sentence not in said:
            said.add(sentence)
            say(sentence)

    return tell


# What goes in


def _fit(shown: Shown, room_bytes: int, beside: Path | None, *, with_images: bool) -> _Data:
    """As much as fits. First the images become smaller, then reasoning goes, then texts, then answers.

    beside: the folder from which originals are linked.
    """
    entries: Sequence[Entry] = shown.entries
    said: list[str] = []
    answers, texts = tuple(pack_answers(shown, entries)), collect_texts(entries)
    reasoning, sources = tuple(pack_reasoning(shown, entries)), tuple(pack_texts(texts))
    index = _index(shown, entries, texts, beside)
    if _size(answers + reasoning + sources) + index.room_bytes > room_bytes and reasoning:
        reasoning = ()
        said.append("What models gave of their reasoning is left out.")
    if _size(answers + sources) + index.room_bytes > room_bytes and sources:
        said.append(f"The {counted(len(texts.every), 'text')} that belong to the images are left out.")
        sources = ()
    share = 1.0
    while (taken := _size(answers) + index.room_bytes) > room_bytes:
        share *= min(0.95, 0.95 * room_bytes / taken)
        fewer = _first_of_each_cell(shown.entries, share)
        if share < SMALLEST_SHARE:
            raise UsageError("Nearly no answer would fit into the report; raise --max-mb.")
        entries, texts = fewer, collect_texts(fewer)
        answers = tuple(pack_answers(shown, entries))
        index = _index(shown, entries, texts, beside)
    if share < 1:
        said.append(
            f"The answers to {counted(len(shown.entries) - len(entries), 'question')} of {len(shown.entries):,} are "
            "left out, the last ones of each part; the counts above include them."
        )
    left = room_bytes - _size(answers + reasoning + sources) - index.room_bytes
    pictures = make_pictures(index.images, left) if with_images else Pictures(index.images, (), 0, 0, 0)
    said += _describe_pictures(pictures, with_images=with_images)
    shape = {"imagesPerChunk": IMAGES_PER_CHUNK if with_images else 0, "pictures": len(pictures.small)}
    return _Data(index.manifest | shape, (index.chunk, *answers, *reasoning, *sources), pictures, tuple(said))


@dataclass(frozen=True, slots=True)
class _Index:
    """By what the page lists and filters the entries."""

    manifest: dict[str, Any]
    chunk: Chunk
    images: tuple[Image, ...]
    """Of all entries, each once."""
    room_bytes: int
    """That it takes, with what stands around the data."""


def _index(shown: Shown, entries: Sequence[Entry], texts: Texts, beside: Path | None) -> _Index:
    images, numbers = number_images(entries)
    manifest, chunk = describe_index(shown, entries, numbers, texts, _describe_images(images, beside))
    return _Index(manifest, chunk, images, _size([chunk]) + len(json.dumps(manifest)) + FRAME_BYTES)


def _size(chunks: Iterable[Chunk]) -> int:
    return sum(len(chunk.packed) + 64 for chunk in chunks)


def _first_of_each_cell(entries: Sequence[Entry], share: float) -> list[Entry]:
    totals: dict[str, int] = {}
    for entry in entries:
        totals[entry.cell] = totals.get(entry.cell, 0) + 1
    kept: dict[str, int] = {}
    chosen = []
    for entry in entries:
        kept[entry.cell] = kept.get(entry.cell, 0) + 1
        if kept[entry.cell] <= max(1, round(share * totals[entry.cell])):
            chosen.append(entry)
    return chosen


def _describe_pictures(pictures: Pictures, *, with_images: bool) -> list[str]:
    if not pictures.images:
        return []
    if not with_images:
        return ["Images are left out, as --no-images says."]
    said = [f"Images are shown with up to {pictures.side_pixels} pixels, not as the models saw them."]
    if pictures.left_out:
        said.append(
            f"{pictures.left_out:,} of {counted(len(pictures.images), 'image')} are left out, to keep the report "
            "small; raise --max-mb for more."
        )
    if pictures.gone:
        said.append(f"{counted(pictures.gone, 'image', 'can', 'can')} no longer be read.")
    return said


def _describe_images(images: Sequence[Image], beside: Path | None) -> list[list[Any]]:
    """Name, width, height, and the original's address from the report's folder where it is wanted."""
    return [
        [image.path.name, image.width, image.height, *([_address(image.path, beside)] if beside is not None else [])]
        for image in images
    ]


def _address(path: Path, beside: Path) -> str:
    return quote(os.path.relpath(path, beside), safe="/", errors="surrogateescape")


# The file


def _head(shown: Shown) -> str:
    style = _read("page.css") + (_nastaliq() if _has_urdu(shown) else "")
    policy = escape(inline_policy(style, _script()))
    title = line(", ".join(dict.fromkeys(run.name for run in shown.runs)))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{title} · vlures report</title>\n<style>{style}</style>\n</head>\n"
    )


def _static(shown: Shown, say: Say) -> str:
    banner = find_banner(shown)
    above = f'<div class="banner" role="note">{line(banner)}</div>\n' if banner else ""
    names = " and ".join(dict.fromkeys(run.name for run in shown.runs))
    answers = sum(len(entry.answers) for entry in shown.entries)
    stands = f"{counted(len(shown.entries), 'question')}, {counted(answers, 'answer')}. Written {now()}."
    sections = "\n".join(describe_runs(shown, say))
    return (
        f'<body{" class=bannered" if banner else ""}>\n{above}<main id="summary">\n<h1>{line(names)}</h1>\n'
        f'<p class="run-line faint">{line(stands)}</p>\n'
        '<nav aria-label="Parts of the report"><a href="#what">What was run</a> <a href="#counts">What came of it</a> '
        '<a href="#numbers">The numbers</a> '
        '<a href="#wording">By which words</a> <a href="#answers">The answers</a></nav>\n'
        f"{sections}\n</main>\n"
    )


def _answers(data: _Data) -> str:
    """What the script fills. Without it, a sentence says that the answers are not shown."""
    return (
        '<section id="answers" aria-label="The answers">\n<header>\n<div class="top"><h2>The answers</h2>'
        '<span id="count" role="status"></span> <button id="print-these" type="button" disabled>Print these</button>'
        '<span class="faint keys">j and k move, Enter opens</span></div>\n'
        '<p id="needs-script">The answers need JavaScript, which is turned off here, or a newer browser.</p>\n'
        f"{describe_left_out(data.left_out)}"
        '<form id="filters"></form>\n</header>\n<div id="panes">\n'
        '<div id="list" role="grid" tabindex="0" aria-label="Questions"><div id="rows" role="rowgroup"></div></div>\n'
        '<div id="detail" role="region" aria-label="Question and answers" tabindex="0">'
        '<button id="back" type="button">Back to the list</button><div id="entry"></div></div>\n'
        '</div>\n</section>\n<div id="print"></div>\n'
    )


def _data(data: _Data) -> str:
    """JSON and base64 in elements that no browser runs."""
    manifest = json.dumps(data.manifest, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    small = data.pictures.small
    images = [
        Chunk(f"images-{number}", "\n".join(small[start : start + IMAGES_PER_CHUNK]))
        for number, start in enumerate(range(0, len(small), IMAGES_PER_CHUNK))
    ]
    elements = [
        f'<script type="text/plain" id="{chunk.name}">{chunk.packed}</script>' for chunk in (*data.chunks, *images)
    ]
    return "\n".join([f'<script type="application/json" id="manifest">{manifest}</script>', *elements, ""])


def _tail() -> str:
    return f"<script>{_script()}</script>\n</body>\n</html>\n"


def _script() -> str:
    return "\n".join(_read(name) for name in SCRIPTS)


def _read(name: str) -> str:
    return files("vlures.report").joinpath(name).read_text(encoding="utf-8")


def _nastaliq() -> str:
    font = base64.b64encode(files("vlures.report").joinpath(NASTALIQ).read_bytes()).decode("ascii")
    return (
        f'@font-face{{font-family:"Nastaliq of the report";src:url(data:font/woff2;base64,{font}) format("woff2")}}\n'
    )


def _has_urdu(shown: Shown) -> bool:
    """Letters are counted only where no heading says the language, and each text once."""
    languages = {entry.heading.language for entry in shown.entries}
    if "ur" in languages:
        return True
    unsaid = [entry for entry in shown.entries if entry.heading.language is None]
    texts = {entry.text for entry in shown.entries}
    texts |= {answer.text for entry in unsaid for answer in entry.answers.values()}
    return any(language_of(text) == "ur" for text in texts)
