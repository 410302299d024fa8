"""A study's file: which runs, which judges, and what is made of them.

```toml
name = "two-models"

[runs.gpt]              # any option of `vlures run`; the run is named after its key
config = "openai.toml"  # a configuration that the options complete, beside this file

[judges.gemini]         # any option of `vlures judge`
backend = "gemini"
of = ["gpt"]            # by default all runs

[tables]                # any option of `vlures tables`; the same for [score], [compare] and [report]
out = "outputs/two-models.md"
```
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from vlures.config.resolve import check_key
from vlures.errors import UsageError
from vlures.files.reading import LARGEST_TOML_BYTES, UnusableFile, parse_toml
from vlures.runs.config import all_options

Product = Literal["score", "tables", "compare", "report"]
"""What is made of the answers, without asking a model. In this order."""
PRODUCTS: tuple[Product, ...] = get_args(Product)

_KEY = re.compile(r"[\w.-]+")
_TABLES = ("name", "runs", "judges", *PRODUCTS)
Options = Mapping[str, Any]
"""Option, as in a configuration → value."""


@dataclass(frozen=True, slots=True)
class AskedModels:
    """One table of [runs] or [judges]."""

    key: str
    config: Path | None
    """The configuration that the options complete."""
    options: Options
    of: tuple[str, ...] = ()
    """Of a judge: the keys of the runs whose answers it judges."""


@dataclass(frozen=True, slots=True)
class Study:
    name: str
    runs: tuple[AskedModels, ...]
    judges: tuple[AskedModels, ...]
    products: Mapping[Product, Options]


def read_study(file: Path) -> Study:
    """Read a study. Raises UsageError, naming the file and the key, for what no study has."""
    content = _read_toml(file)
    for key in content:
        _check_key(key, _TABLES, f"{file}: `{key}`")
    name = content.get("name", file.stem)
    if not isinstance(name, str) or not _KEY.fullmatch(name):
        raise UsageError(f"{file}: `name` is {name!r}; name the study in letters, digits, dots and hyphens.")
    runs = tuple(_read_models(file, "runs", content.get("runs", {})))
    if not runs:
        raise UsageError(f"{file} names no run; add a table such as [runs.gpt] with the options of `vlures run`.")
    keys = [run.key for run in runs]
    judges = tuple(_read_models(file, "judges", content.get("judges", {}), keys))
    products = {product: _table(file, product, content[product]) for product in PRODUCTS if product in content}
    return Study(name, runs, judges, products)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            return parse_toml(opened.read(LARGEST_TOML_BYTES + 1))
    except OSError as error:
        raise UsageError(f"The study {file} cannot be read ({error.strerror}); name another file.") from error
    except UnusableFile as error:
        raise UsageError(f"{file} {error}.") from error


def _table(file: Path, name: str, content: object) -> Options:
    if not isinstance(content, dict):
        raise UsageError(f"{file}: `{name}` is {content!r}, not a table; write [{name}] and options below it.")
    return content


def _read_models(file: Path, kind: str, content: object, runs: Iterable[str] = ()) -> Iterable[AskedModels]:
    for key, value in _table(file, kind, content).items():
        place = f"{kind}.{key}"
        options = dict(_table(file, place, value))
        if not _KEY.fullmatch(key):
            raise UsageError(f"{file}: [{place}]: name it in letters, digits, dots and hyphens.")
        if "name" in options:
            raise UsageError(f"{file}: [{place}]: it is named {key} after its key; leave `name` out.")
        config = options.pop("config", None)
        of = options.pop("of", list(runs)) if kind == "judges" else []
        for name in options:
            check_key(name, f"{file}: [{place}]: `{name}`", all_options())
        yield AskedModels(key, _find_config(file, place, config), options, _read_of(file, place, of, list(runs)))


def _find_config(file: Path, place: str, config: object) -> Path | None:
    if config is None:
        return None
    if not isinstance(config, str):
        raise UsageError(f"{file}: [{place}]: `config` is {config!r}, not the path of a file.")
    beside = file.parent / config
    return beside if beside.exists() else Path(config)


def _read_of(file: Path, place: str, of: object, runs: list[str]) -> tuple[str, ...]:
    if not isinstance(of, list) or (not of and runs):
        raise UsageError(f"{file}: [{place}]: `of` is {of!r}; list keys of runs, or leave it out for all.")
    for key in of:
        if key not in runs:
            raise UsageError(f"{file}: [{place}]: `of` names {key!r}, but the runs are {', '.join(runs)}.")
    return tuple(of)


def _check_key(key: str, known: Iterable[str], place: str) -> None:
    names = list(known)
    if key not in names:
        close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
        hint = f"did you mean `{close[0]}`?" if close else f"it has {', '.join(names)}."
        raise UsageError(f"{place} is unknown in a study; {hint}")
