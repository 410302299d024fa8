"""A run's whole configuration: the sections that every run has, and the options of its benchmark.

It is flat for users: a key of the TOML file, a flag of the command and an argument have one name. Rooms below take only
the sections they need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from vlures.backends import BACKENDS, PROVIDERS, describe_own_servers, find_provider
from vlures.backends import find_options as find_provider_options
from vlures.benchmarks import BENCHMARKS, find_options
from vlures.config.environment import check_address
from vlures.config.options import Option, options_of, set_parameters
from vlures.config.resolve import Given, Place, check_key, gather, read_section, show, stored_section
from vlures.config.sections import (
    AgainOptions,
    BackendOptions,
    BatchOptions,
    ContactOptions,
    GenerationOptions,
    LiveOptions,
    Mode,
    MoneyOptions,
    NoticeOptions,
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
    "generation": GenerationOptions,
    "selection": SelectionOptions,
    "storage": StorageOptions,
    "again": AgainOptions,
    "batches": BatchOptions,
    "live": LiveOptions,
    "contact": ContactOptions,
    "notice": NoticeOptions,
    "money": MoneyOptions,
    "rehearsal": RehearsalOptions,
}
"""By their names in a RunConfig. The benchmark and each provider add options of their own."""


@dataclass(frozen=True, init=False)
class RunConfig:
    """Everything a run depends on except the API keys.

    Built from options by name: RunConfig(backend="gemini", limit=10). Values given that way are not checked;
    load_config reads and checks what a user wrote. Options can be read by name, too: config.limit.
    """

    who: WhoOptions
    generation: GenerationOptions
    selection: SelectionOptions
    storage: StorageOptions
    again: AgainOptions
    batches: BatchOptions
    live: LiveOptions
    contact: ContactOptions
    notice: NoticeOptions
    money: MoneyOptions
    rehearsal: RehearsalOptions
    benchmark_options: Any
    """The own options of the benchmark."""
    provider_options: Mapping[str, Any]
    """The options that each provider adds, by its name."""

    def __init__(self, **values: Any) -> None:
        selection = values.get("selection", SelectionOptions())
        kinds = SECTIONS | {"benchmark_options": find_options(values.get("benchmark", selection.benchmark))}
        before = values.pop("provider_options", {})  # as dataclasses.replace gives it, like the sections
        for name, kind in kinds.items():
            object.__setattr__(self, name, _make(kind, values.pop(name, None), values))
        own = {name: _make(kind, before.get(name), values) for name, kind in provider_sections().items()}
        object.__setattr__(self, "provider_options", own)
        if values:
            raise TypeError(f"{next(iter(values))!r} is not an option of a run")

    def __getattr__(self, name: str) -> Any:
        """An option by its name."""
        if not name.startswith("_"):
            for section in self.sections():
                if name in options_of(type(section)):
                    return getattr(section, name)
        raise AttributeError(f"{name!r} is not an option of this run")

    def sections(self) -> Iterator[Any]:
        yield from (getattr(self, name) for name in SECTIONS)
        yield from self.provider_options.values()
        yield self.benchmark_options

    def options(self) -> dict[str, Option]:
        """The options of this configuration, by name."""
        return {name: found for section in self.sections() for name, found in options_of(type(section)).items()}

    def as_dict(self) -> dict[str, Any]:
        """All options by their names, as run.json holds them."""
        return {name: value for section in self.sections() for name, value in asdict(section).items()}

    def replace(self, **values: Any) -> RunConfig:
        """A copy with these options changed."""
        return replace(self, **values)

    @cached_property
    def target(self) -> Target:
        """Raises UsageError for an unknown model, VluresError for one that cannot be read."""
        who, provider, model = self.who, find_provider(self.who.backend), self.model_name
        parameters = self.parameters
        if provider is not None:
            implied = provider.implied_parameters(model, self.provider_options[provider.name], parameters)
            parameters = {**parameters, **implied}
        return Target(who.backend, self.run_mode, model, parameters, who.service_tier, who.base_url)

    @property
    def model_name(self) -> str:
        """The chosen model, or the backend's default. Raises UsageError if there is none."""
        provider = find_provider(self.who.backend)
        model = self.who.model or (provider.default_model if provider else None)
        if model is None:
            raise UsageError(f"The backend {self.who.backend} needs a model; name one with --model.")
        return model if provider is None else provider.plain_model(model)

    @property
    def run_mode(self) -> Mode:
        """The chosen mode, or the backend's default."""
        provider = find_provider(self.who.backend)
        return self.who.mode or (provider.default_mode if provider else "live")

    @property
    def parameters(self) -> dict[str, Any]:
        """The generation parameters that were set, and no others."""
        return {name: value for section in self.sections() for name, value in set_parameters(section).items()}

    @cached_property
    def backend_options(self) -> BackendOptions:
        """Raises UsageError for an unknown model."""
        return BackendOptions(
            self.target,
            self.provider_options,
            self.generation,
            self.batches,
            self.live,
            self.contact,
            asks_changed_again=self.again.stale == "redo",
        )

    @property
    def run_name(self) -> str:
        """The name of the run's folder. Raises UsageError if there is none."""
        model = self.model_name if self.storage.name is None else ""
        name = self.storage.name or name_after_model(model)
        if name is None:
            raise UsageError(f"The model {model!r} cannot name a folder; name it with --name.")
        return f"sandbox-{name}" if self.rehearsal.sandbox else name

    @property
    def output_folder(self) -> Path:
        return Path(self.storage.output) / self.run_name


_DEFAULT_BENCHMARK = "vlures"


def _make(kind: type, before: Any, values: dict[str, Any]) -> Any:
    """A section of options taken out of `values`; missing ones come from `before`, if it is of the same kind."""
    own = {key: values.pop(key) for key in options_of(kind) if key in values}
    return kind(**{**(_values(before) if isinstance(before, kind) else {}), **own})


def provider_sections() -> dict[str, type]:
    """The options that each provider adds, by its name."""
    return {name: find_provider_options(name) for name in PROVIDERS}


def _kinds(benchmark: str) -> tuple[type, ...]:
    """All sections of a run of a benchmark."""
    return (*SECTIONS.values(), *provider_sections().values(), find_options(benchmark))


def _values(section: Any) -> dict[str, Any]:
    return {name: getattr(section, name) for name in options_of(type(section))}


@cache
def all_options() -> dict[str, Option]:
    """Every option by name, those of all benchmarks included. Where several benchmarks have one, the first declares
    it."""
    found: dict[str, Option] = {}
    for kind in (*SECTIONS.values(), *provider_sections().values(), *map(find_options, BENCHMARKS)):
        found |= {name: declared for name, declared in options_of(kind).items() if name not in found}
    return found


def help_of(name: str) -> str:
    """What an option means, with each benchmark's own meaning where several have it."""
    declared = all_options()[name]
    said = {declared.help: ""}
    for benchmark in BENCHMARKS:
        if (own := options_of(find_options(benchmark)).get(name)) is not None:
            said.setdefault(own.help, f"Benchmark {benchmark}: ")
    return " ".join(start + text for text, start in said.items())


def load_config(file: Path | None, flags: Mapping[str, Any], *, keywords: bool = False) -> RunConfig:
    """Merge a TOML file and flags (None: not given) into a RunConfig.

    keywords: the flags are a function's arguments, so messages call them by name, without dashes.
    Raises UsageError naming the file, the key and what is allowed.
    """
    return _resolve(gather(file, flags, all_options(), keywords=keywords))


def _resolve(given: Given) -> RunConfig:
    selection = read_section(SelectionOptions, given)
    if selection.benchmark not in BENCHMARKS:
        raise UsageError(
            f"{given.place('benchmark')} is {show(selection.benchmark)}: choose from {', '.join(BENCHMARKS)}."
        )
    if (backend := given.values.get("backend")) is not None and backend not in BACKENDS:
        raise UsageError(
            f"{given.place('backend')} is {show(backend)}: choose from {', '.join(BACKENDS)}.{describe_own_servers()}"
        )
    _refuse_others(given, selection.benchmark)
    values: dict[str, Any] = {}
    for kind in _kinds(selection.benchmark):
        section = read_section(kind, given)
        if (completed := getattr(section, "completed", None)) is not None:
            section = completed(given.values.keys())
        if (check := getattr(section, "check", None)) is not None:
            check(given.place)
        values |= {name: getattr(section, name) for name in options_of(kind)}
    config = RunConfig(**values)
    _check(config, given.place)
    return config


def find_origins(file: Path | None, flags: Mapping[str, Any]) -> Mapping[str, str]:
    """Where load_config takes each option from: the file's name or the flag. All other options have their defaults."""
    return gather(file, flags, all_options()).origins


def narrow(config: RunConfig, flags: Mapping[str, Any]) -> RunConfig:
    """The same configuration with options that a command's own flags give, such as --language for `languages`.

    flags: by option; None: not given. Raises UsageError naming the flag.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    known = config.options()
    for name in given.keys() - known:
        raise UsageError(
            f"--{name.removesuffix('s')} does not apply to --benchmark {config.selection.benchmark}; leave it out."
        )
    places = {name: f"--{name.removesuffix('s')}" for name in given}
    return _resolve(Given(config.as_dict() | given, places, {}))


def check_name(key: str, place: str) -> None:
    """Raises UsageError, naming the place, for a key that no option has."""
    check_key(key, place, all_options())


def stored_config(stored: Mapping[str, Any]) -> RunConfig:
    """The configuration in a run.json; options of a later version are ignored. Raises msgspec.ValidationError."""
    sections = [stored_section(kind, stored) for kind in _kinds(stored.get("benchmark", _DEFAULT_BENCHMARK))]
    return RunConfig(**{name: getattr(each, name) for each in sections for name in options_of(type(each))})


def _refuse_others(given: Given, benchmark: str) -> None:
    """Raises UsageError for an option that only another benchmark has."""
    ours = options_of(find_options(benchmark))
    for name in given.values:
        if name in ours or any(name in options_of(kind) for kind in _kinds(benchmark)):
            continue
        owner = next(other for other in BENCHMARKS if name in options_of(find_options(other)))
        raise UsageError(
            f"{given.place(name)} is an option of --benchmark {owner}, not of --benchmark {benchmark}; add --benchmark "
            f"{owner}, or leave it out."
        )


def _check(config: RunConfig, place: Place) -> None:
    """Refuse options of different sections that contradict each other."""
    storage, rehearsal, batches = config.storage, config.rehearsal, config.batches
    if batches.finish_live is not None and batches.live_share is None:
        raise UsageError(
            f"{place('finish_live')} is {batches.finish_live!r}: write a share of the requests, such as 2%."
        )
    if (storage.name or "").startswith("sandbox-") and not rehearsal.sandbox:
        raise UsageError(
            f"{place('name')} is {storage.name!r}: names that begin with sandbox- are for --sandbox; choose another."
        )
    if config.who.base_url is not None:
        check_address(config.who.base_url, place("base_url"))
    if rehearsal.fault and not rehearsal.sandbox:
        raise UsageError("--fault is for the sandbox; add --sandbox.")
    if storage.name is not None and (reason := refuse_name(storage.name)):
        raise UsageError(f"{place('name')} is {show(storage.name)}: {reason}.")
