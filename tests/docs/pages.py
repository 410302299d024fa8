"""The Markdown pages of the repository, as the tests of this folder read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.conftest import REPOSITORY

README = REPOSITORY / "README.md"
NOTEBOOK = REPOSITORY / "docs/notebook.ipynb"
PAGES = (README, *sorted((REPOSITORY / "docs").glob("*.md")))
"""The pages with commands, in the order in which they are tested."""
PROSE = (
    *PAGES,
    REPOSITORY / "CHANGELOG.md",
    *(path for name in ("data", "tests") for path in sorted((REPOSITORY / name).glob("**/*.md"))),
)

MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    line: int
    """Line of the opening fence, from 1."""
    language: str
    """The first word of the info string, such as `console`."""
    markers: frozenset[str]
    """Its other words, such as `no-test`."""
    text: str


def page_id(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def parse(page: Path) -> list[Token]:
    return MARKDOWN.parse(page.read_text(encoding="utf-8"))


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, from top to bottom."""
    for token in parse(page):
        if token.type == "fence":
            assert token.map is not None
            language, *markers = token.info.split() or [""]
            yield Block(token.map[0] + 1, language, frozenset(markers), token.content)


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Line number and text of each line that stands neither in a fenced block nor in a table."""
    lines = page.read_text(encoding="utf-8").splitlines()
    apart: set[int] = set()
    for token in parse(page):
        if token.type in ("fence", "code_block", "table_open") and token.map is not None:
            apart.update(range(*token.map))
    return ((number, line) for number, line in enumerate(lines, 1) if number - 1 not in apart)


def notebook_prose() -> Iterator[tuple[int, str]]:
    """The same of the notebook's Markdown cells; the numbers count their lines."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    lines = [line for cell in cells if cell["cell_type"] == "markdown" for line in cell["source"]]
    return ((number, line.rstrip("\n")) for number, line in enumerate(lines, 1))


def inline(page: Path, kind: str) -> Iterator[Token]:
    """The tokens of a kind, such as `link_open` or `code_inline`, in a page's running text, headings and tables."""
    for token in parse(page):
        yield from (child for child in token.children or () if child.type == kind)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    tokens = parse(page)
    found: set[str] = set()
    for token, content in pairwise(tokens):
        if token.type == "heading_open":
            text = "".join(child.content for child in content.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            repeated = (f"{slug}-{number}" for number in range(1, 100))
            found.add(slug if slug not in found else next(each for each in repeated if each not in found))
    return found
