"""The pages hold together: lines end, links lead somewhere, and what they name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from tests.conftest import REPOSITORY
from tests.docs.pages import PAGES, PROSE, README, anchors, blocks, inline, notebook_prose, page_id, prose
from vlures.cli import call, commands

LONGEST_LINE = 120
LONGEST_README = 200
LINK_TARGET = re.compile(r"\]\([^)]*\)|<https?://[^>]*>|https?://\S+")
ROOM = re.compile(r"^  (\w+)/", re.MULTILINE)
INNER_ROOM = re.compile(r"^    (\w+)/", re.MULTILINE)
FLAT = re.compile(r"^  (\w+\.py) ", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9_-]*\w")
PATH = re.compile(r"(?:vlures|tests|docs|configs|data)/[\w./-]*\w")
OF_OTHERS = {"--no-deps", "--no-cache", "--only", "--quick", "--size"}
"""Options of pip, lint-imports and `make bench`."""
OF_OTHERS |= {"--nproc-per-node", "--num_processes", "--enable-lora", "--lora-modules"}
"""Options of torchrun, accelerate and vLLM."""
LAID_OUT = ("configs/mine", "configs/prompts", "configs/original", "data/ImagesText", "data/VLURes", "data/Published")
"""What a reader has, or what commands of the pages make."""


@pytest.mark.parametrize("page", PROSE, ids=page_id)
def test_prose_ends_at_120_columns(page: Path) -> None:
    assert _too_long(prose(page)) == []


def test_the_notebooks_prose_ends_at_120_columns() -> None:
    assert _too_long(notebook_prose()) == []


def _too_long(lines: Iterator[tuple[int, str]]) -> list[str]:
    return [f"{number}: {line}" for number, line in lines if len(LINK_TARGET.sub("", line)) > LONGEST_LINE]


def test_the_readme_is_a_door() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LONGEST_README


@pytest.mark.parametrize("page", PROSE, ids=page_id)
def test_relative_links_and_anchors_lead_somewhere(page: Path) -> None:
    for link in inline(page, "link_open"):
        target = str(link.attrGet("href"))
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = unquote(target).partition("#")
        leads_to = (page.parent / path).resolve() if path else page
        assert leads_to.exists(), f"{target} leads nowhere"
        assert not anchor or anchor in anchors(leads_to), f"{target}: no such heading, only {sorted(anchors(leads_to))}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached = {(README.parent / str(link.attrGet("href"))).resolve() for link in inline(README, "link_open")}
    assert set(PAGES) - {README} <= reached


def test_the_map_has_a_line_for_every_room_provider_and_benchmark() -> None:
    [the_map] = [block.text for block in blocks(README) if "vlures/\n" in block.text]
    here = the_map.split("vlures/\n")[1]
    vlures = REPOSITORY / "vlures"
    assert set(ROOM.findall(here)) == _packages(vlures)
    assert set(INNER_ROOM.findall(here)) == _packages(vlures / "backends") | _packages(vlures / "benchmarks")
    assert {path.name for path in vlures.glob("*.py")} - {"__init__.py"} == set(FLAT.findall(here))


def _packages(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("*/__init__.py")}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_option_that_a_page_names_exists(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(["sandbox", "--help"])
    known = {*_options(commands), *OPTION.findall(capsys.readouterr().out), *OF_OTHERS}
    named = {option for text in _code(page) for option in OPTION.findall(text)}
    assert named - known == set()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = {path for token in inline(page, "code_inline") for path in PATH.findall(token.content)}
    missing = {path for path in named if not (REPOSITORY / path).exists() and "NAME" not in path}
    assert {path for path in missing if not path.startswith(LAID_OUT)} == set()


def _code(page: Path) -> Iterator[str]:
    yield from (block.text for block in blocks(page))
    yield from (token.content for token in inline(page, "code_inline"))


def _options(command: click.Command) -> Iterator[str]:
    """The options of a command and of those below it."""
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    yield from ("--help", "--version")
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _options(below)
