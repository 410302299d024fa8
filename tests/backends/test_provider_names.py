"""A provider's name, models and addresses stand in its own folder: a new one is a folder and a line in the table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import vlures
from vlures.backends import PROVIDERS, all_providers, find_provider

ROOT = Path(vlures.__file__).parent
OWN_ROOMS = (*(f"backends/{name}/" for name in PROVIDERS), "sandbox/")
"""The providers' folders; the sandbox, which plays their servers."""

ALLOWED = {
    "backends/__init__.py": re.compile("|".join((*PROVIDERS, *map(re.escape, PROVIDERS.values())))),
    "config/sections.py": re.compile("openai"),
    **dict.fromkeys(
        ("results/load.py", "cli/judge.py", "judge/benchmark.py"), re.compile(r".*such as outputs/gpt-6-luna.*")
    ),
    "judge/families.py": re.compile(r"Gemini|\(.*"),
}
"""Module → texts that it may hold: the table of providers; the backend by default; a run's folder as an example; the
families of models, whoever serves them, by which judges and judged are compared."""

NAME = re.compile(r"openai|gemini|googleapis|google_api|google-gen|\bgpt-\d|chatgpt", re.IGNORECASE)


def find_names(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of identifiers and strings that name a provider. Comments and docstrings may: they cite sources."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) in prose:
            continue
        for field in ("value", "id", "attr", "name", "module", "arg", "asname"):
            text = getattr(node, field, None)
            if isinstance(text, str) and NAME.search(text):
                yield getattr(node, "lineno", 0), text


def test_only_a_providers_own_room_names_it() -> None:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        module = path.relative_to(ROOT).as_posix()
        if module.startswith(OWN_ROOMS):
            continue
        allowed = ALLOWED.get(module, re.compile("(?!)"))
        found += [f"{module}:{line}: {text}" for line, text in find_names(path) if not allowed.fullmatch(text)]
    assert found == []


def test_the_table_names_each_provider_as_it_names_itself() -> None:
    assert [provider.name for provider in all_providers()] == list(PROVIDERS)
    assert [provider.title.lower() for provider in all_providers()] == list(PROVIDERS)
    assert find_provider("azure") is None
