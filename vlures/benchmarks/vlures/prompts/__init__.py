"""Prompts per language, task and setting, from one TOML pack per language.

A pack's texts are templates with placeholders in braces. Values are inserted once and never parsed again, so braces in
an article are harmless. An incomplete pack lists at `[has]` what it has, and a run that asks for more is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from vlures.benchmarks.vlures.languages import LANGUAGES, Language
from vlures.benchmarks.vlures.prompts.packs import Pack, read_pack
from vlures.benchmarks.vlures.settings import SETTINGS, Setting
from vlures.benchmarks.vlures.tasks import Task
from vlures.errors import VluresError
from vlures.files.reading import LARGEST_TOML_BYTES, UnusableFile, read_file
from vlures.records import Prompt

__all__ = ["SETTINGS", "CellPrompt", "Pack", "build_cell_prompt", "load_pack", "read_pack"]


def load_pack(language: Language, directory: Path | None = None) -> Pack:
    """The language's pack from `directory` if it has one there, else the package's own.

    Raises VluresError naming the file and the key of whatever is missing, unknown or of the wrong kind.
    """
    name = f"{language.name}.toml"
    if directory is not None:
        if not directory.is_dir():
            raise VluresError(f"The prompts folder {directory} does not exist; name one that holds packs like {name}.")
        path = directory / name
        if path.is_file():
            try:
                data = read_file(path, LARGEST_TOML_BYTES)
            except UnusableFile as error:
                raise VluresError(f"The pack {path} {error}.") from error
            return read_pack(data, str(path), language)
        if not any((directory / f"{other.name}.toml").is_file() for other in LANGUAGES.values()):
            raise VluresError(f"The prompts folder {directory} holds no pack; a pack is a file such as {name}.")
    return read_pack(
        (resources.files(__name__) / name).read_bytes(), f"vlures/benchmarks/vlures/prompts/{name}", language
    )


@dataclass(frozen=True, slots=True)
class CellPrompt:
    """A cell's prompt without an article: the user's turn before and after it."""

    system: str
    before: str
    after: str | None
    """None where the task takes no article."""

    def fill(self, article: str | None) -> Prompt:
        """The prompt for one sample. Samples share the strings of their cell."""
        if self.after is None:
            return Prompt(self.system, (self.before,))
        if article is None:
            raise ValueError("this task needs an article")
        return Prompt(self.system, (self.before, article, self.after))


def build_cell_prompt(pack: Pack, example_pack: Pack, task: Task, setting: Setting) -> CellPrompt:
    """The prompt of every sample in a cell. The worked example comes from `example_pack`.

    Raises VluresError for a setting or a task that a pack lacks, and for an example that the templates cannot show.
    """
    _check_has(pack, task, setting)
    values: dict[str, str] = {"task": pack.tasks[task.number]}
    if setting.shots:
        values |= _example_parts(pack, example_pack, task)
    before, after = "", None
    for literal, placeholder in pack.templates[task.number, setting.label]:
        piece = literal
        if placeholder is not None and placeholder != "article":
            piece += values[placeholder]
        if after is None:
            before += piece
        else:
            after += piece
        if placeholder == "article":
            after = ""
    return CellPrompt(pack.system, before, after)


def _check_has(pack: Pack, task: Task, setting: Setting) -> None:
    if setting.label not in pack.has.settings:
        raise VluresError(
            f"{pack.source} has no prompts for {setting.label}, only for {', '.join(pack.has.settings)}; choose with "
            "--shots and --rationales, or add the templates."
        )
    if task.number not in pack.has.tasks:
        there = ", ".join(map(str, pack.has.tasks))
        raise VluresError(
            f"{pack.source} has no task {task.number}, only {there}; choose with --tasks, or add what is missing."
        )


def _example_parts(pack: Pack, example_pack: Pack, task: Task) -> dict[str, str]:
    """The example's texts by placeholder. An example is shown completely or not at all."""
    if example_pack.has.example != pack.has.example:
        raise VluresError(
            f"The templates of {pack.source} show {_listed(pack.has.example)} of an example, but those of "
            f"{example_pack.source} have {_listed(example_pack.has.example)}; take packs of one kind, or another "
            "--example-language."
        )
    if task.number not in example_pack.examples:
        raise VluresError(
            f"{example_pack.source} has no example for task {task.number}; add it, or leave the task out."
        )
    example = example_pack.examples[task.number]
    return {key: getattr(example, key) for key in pack.has.example}


def _listed(words: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:]))) or "nothing"
