"""A study as steps, each a command line that a user could type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from vlures.study.study_file import PRODUCTS, AskedModels, Options, Product, Study

Kind = Literal["run", "judge"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run's answers lie, and how it asks."""

    folder: Path
    in_batches: bool
    """It need not be waited for: the provider goes on by itself."""


Locate = Callable[[AskedModels], Place]
"""A run → its place, by its configuration. Raises UsageError for options that no run can have."""


@dataclass(frozen=True, slots=True)
class ModelStep:
    """Ask a model for all that is missing."""

    kind: Kind
    key: str
    arguments: tuple[str, ...]
    """Of the `vlures` command."""
    in_batches: bool
    run: Path
    """The folder of the run it asks, or judges."""


@dataclass(frozen=True, slots=True)
class ProductStep:
    """Make a file of what is stored."""

    product: Product
    arguments: tuple[str, ...]
    out: Path
    runs: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Steps:
    runs: tuple[ModelStep, ...]
    judges: tuple[ModelStep, ...]
    products: tuple[ProductStep, ...]

    def commands(self) -> Iterator[tuple[str, ...]]:
        """The arguments of all steps, in order."""
        models = (step.arguments for step in (*self.runs, *self.judges))
        return chain(models, (step.arguments for step in self.products))


def make_steps(study: Study, locate: Locate, is_batch_judge: Callable[[AskedModels, Path], bool]) -> Steps:
    """The steps of a study. is_batch_judge: whether a judge asks in batches about the run in this folder."""
    places = {run.key: locate(run) for run in study.runs}
    folders = tuple(place.folder for place in places.values())
    runs = tuple(
        ModelStep("run", run.key, ("run", *_model_flags(run)), places[run.key].in_batches, places[run.key].folder)
        for run in study.runs
    )
    judges = []
    for judge in study.judges:
        for judged in (places[key].folder for key in judge.of):
            arguments = ("judge", str(judged), *_model_flags(judge))
            judges.append(ModelStep("judge", judge.key, arguments, is_batch_judge(judge, judged), judged))
    return Steps(runs, tuple(judges), tuple(_products(study, folders)))


def _model_flags(asked: AskedModels) -> Iterator[str]:
    if asked.config is not None:
        yield from ("--config", str(asked.config))
    yield from write_flags(asked.options)
    yield from ("--name", asked.key)


DEFAULT_ENDINGS: Mapping[Product, str] = {"tables": ".md", "compare": "-compare.md", "report": ".html"}
"""Of the file of a product whose `out` is not given: `outputs/<study><ending>`."""


def _products(study: Study, folders: tuple[Path, ...]) -> Iterator[ProductStep]:
    for product in PRODUCTS:
        if product not in study.products:
            continue
        options = dict(study.products[product])
        if product == "score":
            for folder in folders:
                out = folder / "scores.json"
                yield ProductStep(product, (product, str(folder), *write_flags(options)), out, (folder,))
            continue
        out = Path(options.pop("out", f"outputs/{study.name}{DEFAULT_ENDINGS[product]}"))
        options.setdefault("force", True)
        arguments = (product, *map(str, folders), "--out", str(out), *write_flags(options))
        yield ProductStep(product, arguments, out, folders)


def write_flags(options: Options) -> Iterator[str]:
    """Options as flags: `limit = 10` is `--limit 10`, `wait = false` is `--no-wait`; one for each item of a list or
    table."""
    for name, value in options.items():
        flag = name.replace("_", "-")
        if value is True or value is False:
            yield f"--{flag}" if value else f"--no-{flag}"
        else:
            for item in _items(value):
                yield from (f"--{flag}", item)


def _items(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        return [f"{key}={inner}" for key, inner in value.items()]
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
