"""The options of VLURes: which images, articles, languages and tasks, and how the prompts are built."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vlures.benchmarks.vlures.languages import LANGUAGES, Language, find_language
from vlures.benchmarks.vlures.samples import COLUMN_ROLES
from vlures.benchmarks.vlures.settings import Setting, parse_cell
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.config.options import as_list, option, read_columns, read_numbers, read_texts, read_words
from vlures.config.sections import PositiveInt
from vlures.errors import UsageError
from vlures.records import Cell

SAMPLE_DATASETS = {code: f"data/Sample{code}" for code in LANGUAGES}
_NUMBERS = {task.code: number for number, task in TASKS.items()}
_NAMES = {code: language.name for code, language in LANGUAGES.items()}


def _read_languages(words: Any, place: str) -> list[str]:
    """Codes, each once."""
    codes: list[str] = []
    for word in (part.strip() for item in as_list(words) for part in str(item).split(",")):
        language = find_language(word)
        if language is None:
            known = ", ".join(f"{language.code} ({language.name})" for language in LANGUAGES.values())
            commas = "; separate several by commas" if len(word.split()) > 1 else ""
            raise UsageError(f"{place}: {word!r} is not one of the languages {known}{commas}.")
        if language.code not in codes:
            codes.append(language.code)
    return codes


def _read_tasks(value: Any, place: str) -> list[int]:
    """Numbers, each once, from numbers, ranges and codes."""
    words = [part.strip() for item in as_list(value) for part in str(item).split(",")]
    if unknown := [word for word in words if word and not word[0].isdigit() and word.upper() not in _NUMBERS]:
        raise UsageError(
            f"{place}: {unknown[0]!r} is not a number, a range such as 1-5 or one of the codes {', '.join(_NUMBERS)}."
        )
    numbers = read_numbers([_NUMBERS.get(word.upper(), word) for word in words], place)
    for number in numbers:
        if number not in TASKS:
            raise UsageError(f"{place}: there is no task {number}; tasks are 1 to 8.")
    return numbers


def _read_example_language(value: Any, place: str) -> str:
    codes = _read_languages([value], place)
    if len(codes) > 1:
        raise UsageError(f"{place}: a worked example has one language, not {len(codes)}.")
    return codes[0]


def _read_dataset(value: Any, place: str) -> str | dict[str, str]:
    """One folder, or {language code: folder} from a table or from `En=DIR` words."""
    if isinstance(value, dict):
        folders = {_read_languages([word], place)[0]: folder for word, folder in value.items()}
        _require_names(read_texts(list(folders.values()), place), place)
        return folders
    words = read_texts(value, place)
    _require_names(words, place)
    if len(words) == 1 and not (words[0].partition("=")[1] and find_language(words[0].partition("=")[0])):
        return words[0]
    folders = {}
    for word in words:
        language, equals, folder = word.partition("=")
        if not equals:
            raise UsageError(f"{place}: with several folders each needs its language, as in En={word}.")
        if re.search(r",\w+=", folder):
            raise UsageError(f"{place}: {word!r} names several folders; give each a --dataset of its own.")
        folders[_read_languages([language], place)[0]] = folder
    _require_names(list(folders.values()), place)
    return folders


def _require_names(folders: Sequence[str], place: str) -> None:
    """An empty name would be the folder that the command runs in."""
    if not all(folder.strip() for folder in folders):
        raise UsageError(f"{place}: a folder's name is empty; name the folder, or leave the option out.")


def _read_text_language(value: Any, place: str) -> dict[str, str]:
    """{language code: code of its texts' language} from a TOML table, from `Jp=En` words, or from one language for
    all."""

    def one(word: Any) -> str:
        found = _read_languages([word], place)
        if len(found) != 1:
            raise UsageError(f"{place}: {word!r} is not one language; write one for all, or pairs such as Jp=En,Ur=En.")
        return found[0]

    if isinstance(value, dict):
        return {one(language): one(texts) for language, texts in value.items()}
    words = [word.strip() for word in read_words(value, place)]
    if len(words) == 1 and "=" not in words[0]:
        return dict.fromkeys(LANGUAGES, one(words[0]))
    pairs = [word.partition("=") for word in words]
    return {one(language): one(texts) for language, _, texts in pairs}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which part of VLURes is asked, and how."""

    dataset: str | dict[str, str] = option(
        "The folder of images and texts, or one per language: repeat --dataset En=DIR.",
        SAMPLE_DATASETS,
        metavar="[LANGUAGE=]FOLDER",
        read=_read_dataset,
        suggest="folder",
        several=True,
        beside=True,
    )
    columns: dict[str, str] = option(
        "Which column of a dataset's table is which, where names are unclear: "
        "file=NAME,text=NAME,language=NAME,id=NAME.",
        {},
        metavar="ROLE=COLUMN",
        read=read_columns(COLUMN_ROLES),
    )
    languages: tuple[str, ...] = option(
        "Languages, by code or name: En,Jp,Sw,Ur.",
        tuple(LANGUAGES),
        metavar="CODES",
        read=_read_languages,
        suggest=_NAMES,
    )
    text_language: dict[str, str] = option(
        "Language of the texts, where it is not that of the prompt and the answer: En for all, or Jp=En,Ur=En.",
        {},
        metavar="[LANGUAGE=]LANGUAGE",
        read=_read_text_language,
    )
    tasks: tuple[int, ...] = option(
        "Tasks, by number or code: 1-8 or 1,IC,VQA.",
        tuple(TASKS),
        metavar="NUMBERS",
        read=_read_tasks,
        suggest={str(number): task.name for number, task in TASKS.items()},
    )
    shots: Literal[0, 1] = option("Worked examples in the prompt: 0 or 1.", 1)
    rationales: bool = option("Ask for (and show) the reasons of an answer.", True)
    example_language: str | None = option(
        "Language of the worked example; by default the prompt's own.",
        metavar="LANGUAGE",
        read=_read_example_language,
        suggest=_NAMES,
    )
    prompts: str | None = option(
        "A folder with prompt packs that override the package's own.",
        metavar="FOLDER",
        suggest="folder",
        beside=True,
    )
    limit: PositiveInt | None = option("Take only the first N samples of each folder.")
    samples: tuple[int, ...] = option("Take only the samples with these IDs.", (), metavar="NUMBERS", read=read_numbers)
    text_encoding: Literal["utf-8", "latin-1"] = option("How the articles are encoded.", "utf-8")
    follow_links: bool = option("Follow links in a dataset that lead out of its folder.", False)

    @property
    def setting(self) -> Setting:
        return Setting(self.shots, self.rationales)

    @property
    def run_languages(self) -> tuple[Language, ...]:
        return tuple(LANGUAGES[code] for code in self.languages)

    def text_language_of(self, language: Language) -> Language:
        """The language of the texts that prompts in this language are about."""
        return LANGUAGES[self.text_language.get(language.code, language.code)]

    def dataset_folder(self, language: Language) -> Path:
        """The dataset that prompts in this language are about: that of their texts' language, or else their own."""
        if isinstance(self.dataset, str):
            return Path(self.dataset)
        texts = self.text_language_of(language).code
        return Path(self.dataset[texts if texts in self.dataset else language.code])

    def completed(self, given: Collection[str]) -> Options:
        """The same, with the languages that the dataset has folders for if the user named folders but no languages.

        given: names of the options that the user gave.
        """
        if "dataset" not in given or "languages" in given or not isinstance(self.dataset, dict):
            return self
        has = [code for code, language in LANGUAGES.items() if self._has_folder(language)]
        return replace(self, languages=tuple(has))

    def _has_folder(self, language: Language) -> bool:
        folders = self.dataset if isinstance(self.dataset, dict) else LANGUAGES
        return not {language.code, self.text_language_of(language).code}.isdisjoint(folders)

    def check(self, place: Callable[[str], str]) -> None:
        """Raises UsageError for contradictory options. place: where an option was given."""
        for language in self.run_languages:
            if not self._has_folder(language):
                raise UsageError(
                    f"{place('dataset')} names no folder for {language.name}; add one, or leave it out with "
                    "--languages."
                )
        if not self.tasks or not self.languages:
            raise UsageError("A run needs at least one language and one task.")


SELECTS = ("languages", "tasks")
"""The options that read_selection takes."""


def read_selection(selection: Mapping[str, Any]) -> Callable[[Cell], bool]:
    """A test of whether a cell is in the selected languages and tasks. Raises UsageError."""
    if unknown := selection.keys() - set(SELECTS):
        raise UsageError(f"`{min(unknown)}` selects nothing; name languages or tasks.")
    codes = _read_languages(selection["languages"], "`languages`") if "languages" in selection else None
    tasks = _read_tasks(selection["tasks"], "`tasks`") if "tasks" in selection else None

    def is_chosen(cell: Cell) -> bool:
        code, task = parse_cell(cell)
        return (codes is None or code in codes) and (tasks is None or task in tasks)

    return is_chosen
