"""A run's whole configuration: the sections of every run, and the options of the benchmark that is asked.

It is flat for whoever writes one: a key of the TOML file, a flag of the command and an argument have one name. Rooms below take
the sections that they need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from vlures.benchmarks import BENCHMARKS, find_options
from vlures.config.environment import check_address
from vlures.config.options import Option, options_of
from vlures.config.resolve import Given, Place, check_key, gather, read_section, show, stored_section
from vlures.config.sections import (
    AgainOptions,
    BackendOptions,
    BatchOptions,
    ContactOptions,
    GenerationOptions,
    LiveOptions,
    MoneyOptions,
    ProviderOptions,
    RehearsalOptions,
    SelectionOptions,
    StorageOptions,
    Target,
    WhoOptions,
)
from vlures.errors import UsageError
from vlures.files.names import name_after_model, refuse_name

SECTIONS: dict[str, type] = {
    "who": WhoOptions,
    "provider": ProviderOptions,
    "generation": GenerationOptions,
    "selection": SelectionOptions,
    "storage": StorageOptions,
    "again": AgainOptions,
    "batches": BatchOptions,
    "live": LiveOptions,
    "contact": ContactOptions,
    "money": MoneyOptions,
    "rehearsal": RehearsalOptions,
}
"""By their names in a RunConfig. Beside them stands `benchmark_options`, those of the benchmark."""


@dataclass(frozen=True, init=False)
class RunConfig:
    """Everything a run depends on but the keys.

    Made of options by their names: RunConfig(backend="gemini", limit=10). What is given that way is taken as it is; load_config
    reads and checks what a user wrote. An option can be read by its name, too: config.limit.
    """

    who: WhoOptions
    provider: ProviderOptions
    generation: GenerationOptions
    selection: SelectionOptions
    storage: StorageOptions
    again: AgainOptions
    batches: BatchOptions
    live: LiveOptions
    contact: ContactOptions
    money: MoneyOptions
    rehearsal: RehearsalOptions
    benchmark_options: Any
    """The options of the benchmark."""

    def __init__(self, **values: Any) -> None:
        kinds = SECTIONS | {"benchmark_options": find_options(values.get("benchmark", _DEFAULT_BENCHMARK))}
        for name, kind in kinds.items():
            section = values.pop(name, None)  # as dataclasses.replace gives it
            before = _values(section) if isinstance(section, kind) else {}
            own = {key: values.pop(key) for key in options_of(kind) if key in values}
            object.__setattr__(self, name, kind(**{**before, **own}))
        if values:
            raise TypeError(f"{next(iter(values))!r} is no option of a run")

    def __getattr__(self, name: str) -> Any:
        """An option by its name."""
        if not name.startswith("_"):
            for section in self.sections():
                if name in options_of(type(section)):
                    return getattr(section, name)
        raise AttributeError(f"{name!r} is no option of this run")

    def sections(self) -> Iterator[Any]:
        return (getattr(self, field.name) for field in fields(self))

    def options(self) -> dict[str, Option]:
        """Those that this configuration has, by name."""
        return {name: found for section in self.sections() for name, found in options_of(type(section)).items()}

    def as_dict(self) -> dict[str, Any]:
        """All options by their names, as run.json holds them."""
        return {name: value for section in self.sections() for name, value in asdict(section).items()}

    def replace(self, **values: Any) -> RunConfig:
        """The same with other options."""
        mine = {name: value for section in self.sections() for name, value in _values(section).items()}
        return RunConfig(**{**mine, **values})

    @property
    def target(self) -> Target:
        """Raises UsageError where the model is not known."""
        return Target.of(self.who, self.generation)

    @property
    def backend_options(self) -> BackendOptions:
        """Raises UsageError where the model is not known."""
        return BackendOptions(
            self.target,
            self.provider,
            self.generation,
            self.batches,
            self.live,
            self.contact,
            asks_changed_again=self.again.stale == "redo",
        )

    @property
    def run_name(self) -> str:
        """The name of the run's folder. Raises UsageError where nothing gives it one."""
        model = self.target.model if self.storage.name is None else ""
        name = self.storage.name or name_after_model(model)
        if name is None:
            raise UsageError(f"The model {model!r} gives its folder no name; give it one with --name.")
        return f"sandbox-{name}" if self.rehearsal.sandbox else name

    @property
    def output_folder(self) -> Path:
        return Path(self.storage.output) / self.run_name


_DEFAULT_BENCHMARK = "vlures"


def _values(section: Any) -> dict[str, Any]:
    return {name: getattr(section, name) for name in options_of(type(section))}


@cache
def all_options() -> dict[str, Option]:
    """Every option that there is, by name: those of all benchmarks too. What several benchmarks have is the first one's."""
    found: dict[str, Option] = {}
    for kind in (*SECTIONS.values(), *map(find_options, BENCHMARKS)):
        found |= {name: declared for name, declared in options_of(kind).items() if name not in found}
    return found


def load_config(file: Path | None, flags: Mapping[str, Any], *, keywords: bool = False) -> RunConfig:
    """Merge a TOML file and flags (None: not given) into a RunConfig.

    keywords: the flags were given to a function, so that a sentence calls them by their names alone.
    Raises UsageError naming the file, the key and what is allowed.
    """
    return _resolve(gather(file, flags, all_options(), keywords=keywords))


def _resolve(given: Given) -> RunConfig:
    selection = read_section(SelectionOptions, given)
    if selection.benchmark not in BENCHMARKS:
        raise UsageError(
            f"{given.place('benchmark')} is {show(selection.benchmark)}: choose from {', '.join(BENCHMARKS)}."
        )
    _refuse_others(given, selection.benchmark)
    values: dict[str, Any] = {}
    for kind in (*SECTIONS.values(), find_options(selection.benchmark)):
        section = read_section(kind, given)
        if (check := getattr(section, "check", None)) is not None:
            check(given.place)
        values |= {name: getattr(section, name) for name in options_of(kind)}
    config = RunConfig(**values)
    _check(config, given.place)
    return config


def find_origins(file: Path | None, flags: Mapping[str, Any]) -> Mapping[str, str]:
    """Where load_config takes each option from: the file's name or the flag. An option that is not in here has its default."""
    return gather(file, flags, all_options()).origins


def narrow(config: RunConfig, flags: Mapping[str, Any]) -> RunConfig:
    """The same configuration with options that a command's own flags give, such as --language for `languages`.

    flags: by option; None: not given. Raises UsageError naming the flag.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    known = config.options()
    for name in given.keys() - known:
        raise UsageError(
            f"--{name.removesuffix('s')} is of no use with --benchmark {config.selection.benchmark}; leave it out."
        )
    places = {name: f"--{name.removesuffix('s')}" for name in given}
    return _resolve(Given(config.as_dict() | given, places, {}))


def check_name(key: str, place: str) -> None:
    """Raises UsageError, naming the place, for a key that no option has."""
    check_key(key, place, all_options())


def stored_config(stored: Mapping[str, Any]) -> RunConfig:
    """The configuration that a run.json holds; options of a later version are passed over. Raises msgspec.ValidationError."""
    questions = find_options(stored.get("benchmark", _DEFAULT_BENCHMARK))
    sections = [stored_section(kind, stored) for kind in (*SECTIONS.values(), questions)]
    return RunConfig(**{name: getattr(each, name) for each in sections for name in options_of(type(each))})


def _refuse_others(given: Given, benchmark: str) -> None:
    """Raises UsageError for an option that only another benchmark has."""
    ours = options_of(find_options(benchmark))
    for name in given.values:
        if name in ours or any(name in options_of(kind) for kind in SECTIONS.values()):
            continue
        owner = next(other for other in BENCHMARKS if name in options_of(find_options(other)))
        raise UsageError(
            f"{given.place(name)} is an option of --benchmark {owner}, not of --benchmark {benchmark}; add --benchmark {owner}, or "
            "leave it out."
        )


def _check(config: RunConfig, place: Place) -> None:
    """What does not go together, across sections."""
    storage, rehearsal, batches = config.storage, config.rehearsal, config.batches
    if batches.finish_live is not None and batches.live_share is None:
        raise UsageError(
            f"{place('finish_live')} is {batches.finish_live!r}: write a share of the requests, such as 2%."
        )
    if (storage.name or "").startswith("sandbox-") and not rehearsal.sandbox:
        raise UsageError(
            f"{place('name')} is {storage.name!r}: names that begin with sandbox- are for rehearsals; take another."
        )
    if config.who.base_url is not None:
        check_address(config.who.base_url, place("base_url"))
    if rehearsal.fault and not rehearsal.sandbox:
        raise UsageError("--fault is for the sandbox; add --sandbox.")
    if storage.name is not None and (reason := refuse_name(storage.name)):
        raise UsageError(f"{place('name')} is {show(storage.name)}: {reason}.")
