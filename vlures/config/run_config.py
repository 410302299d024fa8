"""TOML + flags + environment → one frozen RunConfig. An unknown key is an error with a suggestion.

Flags win over the TOML file, the file over the defaults. Keys and base URLs come from the environment or `.env`
(the environment wins) and are never part of the RunConfig.
"""

from __future__ import annotations

import difflib
import os
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from dotenv import dotenv_values

from vlures.benchmarks.vlures.languages import LANGUAGES, Language, find_language
from vlures.benchmarks.vlures.samples import COLUMN_ROLES
from vlures.benchmarks.vlures.settings import Setting
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import UsageError
from vlures.files.names import name_after_model, refuse_name
from vlures.files.reading import LARGEST_TOML_BYTES, UnusableFile, parse_toml
from vlures.records import AskedModel

PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]

BackendName = Literal["openai", "gemini", "local"]
Mode = Literal["batch", "live"]
EndpointName = Literal["chat", "responses"]
SdkName = Literal["google-genai", "google-generativeai"]
ImageTransport = Literal["inline", "file", "url"]

DEFAULT_MODES: dict[str, Mode] = {"openai": "batch", "gemini": "live", "local": "live"}
DEFAULT_MODELS = {"openai": "gpt-6-luna", "gemini": "gemini-3.5-flash-lite"}
"""The cheapest vision models of each provider that were alive on 2026-11-21."""

SAMPLE_DATASETS = {code: f"data/Sample{code}" for code in LANGUAGES}
PARAMETER_KEYS = (
    "temperature",
    "top_p",
    "max_output_tokens",
    "seed",
    "image_detail",
    "media_resolution",
    "reasoning_effort",
    "thinking_level",
    "thinking_budget",
)


Group = Literal[
    "Who answers",
    "What is asked",
    "Model",
    "What is stored",
    "What is asked again",
    "Batches",
    "Live requests",
    "Running",
    "Money",
    "Rehearsal",
]
GROUPS: tuple[Group, ...] = get_args(Group)
"""The headings that options stand under, in the order in which they are shown."""


def _option(help_text: str, default: Any = None, group: Group = "What is asked") -> Any:
    metadata = {"help": help_text, "group": group}
    if isinstance(default, dict | list):
        return field(default_factory=lambda: default.copy(), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything a run depends on but the keys. A field is a key of the TOML file and a flag of the command."""

    backend: BackendName = _option("Who answers: openai, gemini or local.", "openai", group="Who answers")
    benchmark: str = _option("What is asked: vlures.", "vlures")
    mode: Mode | None = _option("batch (half price) or live; by default what suits the backend.", group="Who answers")
    model: str | None = _option("The provider's name of the model.", group="Who answers")
    name: str | None = _option("Name of the folder under outputs/; by default the model's.", group="What is stored")
    dataset: str | dict[str, str] = _option(
        "The folder of images and texts, or one per language: repeat --dataset En=DIR.", SAMPLE_DATASETS
    )
    columns: dict[str, str] = _option(
        "Which column of a dataset's table is which, where the names do not tell: file=NAME,text=NAME,language=NAME,id=NAME.",
        {},
    )
    languages: tuple[str, ...] = _option("Languages, by code or name: En,Jp,Sw,Ur.", tuple(LANGUAGES))
    text_language: dict[str, str] = _option(
        "Language of the texts, where it is not that of the prompt and the answer: En for all, or Jp=En,Ur=En.", {}
    )
    tasks: tuple[int, ...] = _option("Tasks, by number: 1-8 or 1,2,7.", tuple(TASKS))
    shots: Literal[0, 1] = _option("Worked examples in the prompt: 0 or 1.", 1)
    rationales: bool = _option("Ask for (and show) the reasons of an answer.", True)
    example_language: str | None = _option("Language of the worked example; by default the prompt's own.")
    prompts: str | None = _option("A folder with prompt packs that go before the package's own.")
    limit: PositiveInt | None = _option("Take only the first N samples of each folder.")
    samples: tuple[int, ...] = _option("Take only the samples with these IDs.", ())
    text_encoding: Literal["utf-8", "latin-1"] = _option("How the articles are encoded.", "utf-8")
    skip_problems: bool = _option("Go on without the files that `vlures check` finds wrong.", False)
    follow_links: bool = _option("Follow links in a dataset that lead out of its folder.", False)

    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = _option("Sampling temperature.", group="Model")
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = _option("Nucleus sampling.", group="Model")
    max_output_tokens: PositiveInt | None = _option("Most tokens of an answer, thinking included.", group="Model")
    seed: int | None = _option("Seed, where the provider takes one.", group="Model")
    image_detail: Literal["low", "high", "original", "auto"] | None = _option(
        "How closely OpenAI's models look at the image.", group="Model"
    )

    media_resolution: Literal["low", "medium", "high"] | None = _option(
        "How closely Gemini's models look at the image.", group="Model"
    )
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = _option(
        "How long OpenAI's models think.", group="Model"
    )
    thinking_level: Literal["minimal", "low", "medium", "high", "xhigh"] | None = _option(
        "How long Gemini's models from 3 on think.", group="Model"
    )
    thinking_budget: Annotated[int, msgspec.Meta(ge=-1)] | None = _option(
        "Most tokens that Gemini 2.5 thinks; 0: none, -1: as it likes.", group="Model"
    )
    thinking_summary: bool = _option(
        "Ask for a summary of the thinking, and store it; changes no answer.", False, group="Model"
    )
    keep_think_tags: bool = _option(
        "Leave thinking that a server puts into the text, as in <think>…</think>, there.", False, group="Model"
    )

    output: str = _option("The folder that holds the runs' folders.", "outputs", "What is stored")
    redo: tuple[Literal["truncated", "refused", "imported"], ...] = _option(
        "Ask again what was truncated, refused or imported.", (), "What is asked again"
    )
    stale: Literal["stop", "keep", "redo"] = _option(
        "What to do with answers to a question that has changed since.", "stop", "What is asked again"
    )
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=50_000)] = _option("Most lines of one batch.", 500, "Batches")
    batch_bytes: Annotated[int, msgspec.Meta(ge=1_000, le=2_000_000_000)] = _option(
        "Most bytes of one batch's file.", 190_000_000, "Batches"
    )
    max_attempts: PositiveInt = _option("How often one run sends a failing request in batches.", 3, "Batches")
    poll_s: PositiveFloat = _option("Longest time between two looks at a batch, in seconds.", 60.0, "Batches")
    concurrency: PositiveInt = _option("Most live requests in flight.", 10, "Live requests")
    rpm: PositiveFloat | None = _option("Most live requests a minute.", None, "Live requests")
    tpm: PositiveFloat | None = _option(
        "Most tokens a minute of live requests, asked and answered.", None, "Live requests"
    )
    service_tier: Literal["auto", "default", "flex", "priority"] | None = _option(
        "Live: flex is half the price and may take minutes.", None, "Who answers"
    )
    sdk: SdkName = _option(
        "What asks Gemini live: google-genai, or google-generativeai (no longer supported).",
        "google-genai",
        "Who answers",
    )
    endpoint: EndpointName = _option("Which of OpenAI's endpoints is asked: chat or responses.", "chat", "Who answers")
    image_transport: ImageTransport = _option(
        "How pictures get to OpenAI: inline, file (uploaded once, with --endpoint responses), url.",
        "inline",
        "Who answers",
    )
    image_url_template: str | None = _option(
        "Where OpenAI finds the pictures, as in https://host/{name}; also {id} {stem} {folder} {sha256}.",
        None,
        "Who answers",
    )
    timeout_s: PositiveFloat | None = _option(
        "Longest time one live request may take, in seconds; by default 300, with --service-tier flex 900. Calls about batches take 60, or less if this is.",
        None,
        "Live requests",
    )
    retry_budget_s: PositiveFloat = _option(
        "How long a run goes on without any answer from the provider, in seconds.", 1800.0, "Running"
    )
    first_contact_s: PositiveFloat = _option(
        "How long a run tries to reach the provider for the first time, in seconds.", 15.0, "Running"
    )
    doubt_patience_s: PositiveFloat = _option(
        "How long a batch whose creation is in doubt is looked for before it is created again, in seconds.",
        300.0,
        "Batches",
    )
    result_patience_s: PositiveFloat = _option(
        "How long an ended batch is looked at again whose results are not all there, in seconds.", 600.0, "Batches"
    )
    forget_lost: bool = _option(
        "Ask (and pay) again for what was in batches that the provider no longer knows or has no results of.",
        False,
        "What is asked again",
    )
    canary: bool = _option(
        "Send the first request live before the first batch, to see that all is in order.", True, "Batches"
    )
    wait: bool = _option("Batch: wait for the answers; without, send and leave them for a later run.", True, "Batches")
    finish_live: str | None = _option(
        "Answer live what batches leave without an answer, once all have ended, if it is at most so much: 2%.",
        None,
        "Batches",
    )
    stall_after_s: PositiveFloat = _option(
        "Say so when a batch stays in one state for so long, in seconds.", 14_400.0, "Batches"
    )
    delete_remote_files: bool = _option(
        "Delete a batch's files at the provider once its answers are stored.", False, "Batches"
    )

    max_cost: Annotated[float, msgspec.Meta(gt=0, le=1_000_000_000)] | None = _option(
        "A cap in USD on all that the output folder ever spends; what is in flight counts at its highest cost.",
        group="Money",
    )
    price_input: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = _option(
        "USD for a million tokens of input, as charged in the run's mode.", group="Money"
    )
    price_output: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = _option(
        "USD for a million tokens of output, as charged in the run's mode.", group="Money"
    )

    base_url: str | None = _option("The provider's address, if it is not the usual one.", None, "Who answers")
    sandbox: bool = _option("Rehearse: let a sandbox on this machine answer. Costs nothing.", False, "Rehearsal")
    fault: tuple[str, ...] = _option(
        "A fault for the sandbox to show; see `vlures sandbox --list-faults`.", (), "Rehearsal"
    )

    @property
    def run_mode(self) -> Mode:
        return self.mode or DEFAULT_MODES[self.backend]

    @property
    def run_timeout_s(self) -> float:
        """Flex answers within 15 minutes, says OpenAI's guide on it."""
        return self.timeout_s or (900.0 if self.service_tier == "flex" else 300.0)

    @property
    def run_model(self) -> str:
        if self.model:
            return self.model.removeprefix("models/") if self.backend == "gemini" else self.model
        if self.backend in DEFAULT_MODELS:
            return DEFAULT_MODELS[self.backend]
        raise UsageError(f"The backend {self.backend} needs a model; name one with --model.")

    @property
    def run_name(self) -> str:
        name = self.name or name_after_model(self.run_model)
        if name is None:
            raise UsageError(f"The model {self.run_model!r} gives its folder no name; give it one with --name.")
        return f"sandbox-{name}" if self.sandbox else name

    @property
    def setting(self) -> Setting:
        return Setting(self.shots, self.rationales)

    @property
    def run_languages(self) -> tuple[Language, ...]:
        return tuple(LANGUAGES[code] for code in self.languages)

    @property
    def parameters(self) -> dict[str, Any]:
        """The generation parameters that were set, and no others."""
        return {key: getattr(self, key) for key in PARAMETER_KEYS if getattr(self, key) is not None}

    @property
    def asked_model(self) -> AskedModel:
        return AskedModel(self.backend, self.run_model, self.parameters)

    @property
    def live_share(self) -> float | None:
        """The share of a batch run's requests that may be finished live, from 0 to 1; None if none."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", self.finish_live or "")
        return float(match[1]) / 100 if match and float(match[1]) <= 100 else None

    @property
    def output_folder(self) -> Path:
        return Path(self.output) / self.run_name

    def text_language_of(self, language: Language) -> Language:
        """The language of the texts that prompts in `language` are about."""
        return LANGUAGES[self.text_language.get(language.code, language.code)]

    def dataset_folder(self, language: Language) -> Path:
        """What prompts in `language` are about: the folder of their texts' language, or else their own."""
        if isinstance(self.dataset, str):
            return Path(self.dataset)
        texts = self.text_language_of(language).code
        return Path(self.dataset[texts if texts in self.dataset else language.code])


_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 200
"""Shows a value in a sentence, however long and deep it is."""

FIELDS = {config_field.name: config_field for config_field in fields(RunConfig)}


def load_config(file: Path | None, flags: Mapping[str, Any], *, keywords: bool = False) -> RunConfig:
    """Merge a TOML file and flags (None: not given) into a RunConfig.

    keywords: the flags were given to a function, so that a sentence calls them by their names alone.
    Raises UsageError naming the file, the key and what is allowed.
    """
    from_file = _read_toml(file) if file is not None else {}
    from_flags = {key: value for key, value in flags.items() if value is not None}
    where = {key: f"{file}: `{key}`" for key in from_file}
    where |= {key: f"`{key}`" if keywords else _flag(key) for key in from_flags}
    return _resolve(from_file | from_flags, where)


def find_origins(file: Path | None, flags: Mapping[str, Any]) -> dict[str, str]:
    """Where load_config takes each option from: the file's name or the flag. An option that is not in here has its default."""
    from_file = _read_toml(file) if file is not None else {}
    from_flags = {key: value for key, value in flags.items() if value is not None}
    return {key: str(file) for key in from_file} | {
        key: _flag(f"no_{key}" if value is False else key) for key, value in from_flags.items()
    }


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:  # a pipe too: --config <(…)
            content = parse_toml(opened.read(LARGEST_TOML_BYTES + 1))
    except OSError as error:
        raise UsageError(
            f"The configuration {file} cannot be read ({error.strerror}); name another with --config."
        ) from error
    except UnusableFile as error:
        raise UsageError(f"{file} {error}.") from error
    for key in content:
        check_key(key, f"{file}: `{key}`")
    return content


def check_key(key: str, place: str) -> None:
    """Raises UsageError, naming the place, for a key that no option has."""
    if key in FIELDS:
        return
    if re.search(r"api.?key|secret|^(access_?|auth_?)?token$", key, re.IGNORECASE):
        raise UsageError(f"{place}: a key does not belong in a configuration; put it into .env or the environment.")
    close = difflib.get_close_matches(key.replace("-", "_"), FIELDS, n=1, cutoff=0.5)
    hint = f"; did you mean `{close[0]}`?" if close else "; `vlures run --help` lists the options."
    raise UsageError(f"{place} is not an option{hint}")


def _resolve(values: dict[str, Any], where: Mapping[str, str]) -> RunConfig:
    def place(key: str) -> str:
        return where.get(key, f"`{key}`")

    if "languages" in values:
        values["languages"] = _languages(_as_list(values["languages"]), place("languages"))
    if "tasks" in values:
        values["tasks"] = _numbers(values["tasks"], place("tasks"))
        for task in values["tasks"]:
            if task not in TASKS:
                raise UsageError(f"{place('tasks')}: there is no task {task}; tasks are 1 to 8.")
    if "samples" in values:
        values["samples"] = _numbers(values["samples"], place("samples"))
    for key in ("redo", "fault"):
        if key in values:
            values[key] = [
                part
                for item in _texts(values[key], place(key))
                for part in (item.split(",") if key == "redo" else [item])
            ]
    if values.get("example_language") is not None:
        examples = _languages([values["example_language"]], place("example_language"))
        if len(examples) > 1:
            raise UsageError(f"{place('example_language')}: a worked example has one language, not {len(examples)}.")
        values["example_language"] = examples[0]
    if "dataset" in values:
        values["dataset"] = _dataset(values["dataset"], place("dataset"))
    if values.get("text_language") is not None:
        values["text_language"] = _text_language(values["text_language"], place("text_language"))
    if "columns" in values:
        values["columns"] = _columns(values["columns"], place("columns"))
    for key, value in values.items():
        try:
            msgspec.convert({key: value}, RunConfig, strict=True)
            msgspec.json.encode(value, enc_hook=str)  # as run.json will hold it
        except UnicodeEncodeError as error:
            raise UsageError(f"{place(key)} is {_shown.repr(value)}: it is not UTF-8; give it another name.") from error
        except msgspec.ValidationError as error:
            raise UsageError(f"{place(key)} is {_shown.repr(value)}: {_reason(key, error)}.") from error
    config = msgspec.convert(values, RunConfig)
    if isinstance(config.dataset, dict):
        for language in config.run_languages:
            if not {language.code, config.text_language_of(language).code}.intersection(config.dataset):
                raise UsageError(
                    f"{place('dataset')} names no folder for {language.name}; add one, or leave it out with --languages."
                )
    if not config.tasks or not config.languages:
        raise UsageError("A run needs at least one language and one task.")
    if config.finish_live is not None and config.live_share is None:
        raise UsageError(
            f"{place('finish_live')} is {config.finish_live!r}: write a share of the requests, such as 2%."
        )
    if (config.name or "").startswith("sandbox-") and not config.sandbox:
        raise UsageError(
            f"{place('name')} is {config.name!r}: names that begin with sandbox- are for rehearsals; take another."
        )
    if config.base_url is not None:
        check_address(config.base_url, place("base_url"))
    if config.fault and not config.sandbox:
        raise UsageError("--fault is for the sandbox; add --sandbox.")
    if config.name is not None and (reason := refuse_name(config.name)):
        raise UsageError(f"{place('name')} is {_shown.repr(config.name)}: {reason}.")
    return config


def _reason(key: str, error: msgspec.ValidationError) -> str:
    choices = find_choices(get_type_hints(RunConfig)[key])
    if choices:
        return f"choose from {', '.join(choices)}"
    reason = str(error).split(" - at ")[0]
    for theirs, ours in (
        ("`int`", "a whole number"),
        ("`float`", "a number"),
        ("`bool`", "true or false"),
        ("`str`", "a text"),
    ):
        reason = reason.replace(theirs, ours)
    return reason[0].lower() + reason[1:]


def find_choices(hint: Any) -> list[str]:
    """What a field of a closed set may be; empty for the others."""
    if get_origin(hint) is Literal:
        return [str(choice) for choice in get_args(hint)]
    return [choice for inner in get_args(hint) for choice in find_choices(inner)] if get_args(hint) else []


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _texts(value: Any, place: str) -> list[str]:
    """A text or a list of texts, as a list."""
    texts = _as_list(value)
    for text in texts:
        if not isinstance(text, str):
            raise UsageError(f"{place}: {text!r} must be a text in quotation marks.")
    return texts


def _languages(words: list[Any], place: str) -> list[str]:
    codes: list[str] = []
    for word in (part.strip() for item in words for part in str(item).split(",")):
        language = find_language(word)
        if language is None:
            known = ", ".join(f"{language.code} ({language.name})" for language in LANGUAGES.values())
            raise UsageError(f"{place}: {word!r} is not one of the languages {known}.")
        if language.code not in codes:
            codes.append(language.code)
    return codes


def _numbers(value: Any, place: str) -> list[int]:
    numbers: list[int] = []
    for part in (part.strip() for item in _as_list(value) for part in str(item).split(",")):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if match is None:
            raise UsageError(f"{place}: {part!r} is not a number or a range such as 1-5.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise UsageError(f"{place}: the range {part} runs backwards; write {last}-{first}.")
        if last - first > 1_000_000:
            raise UsageError(f"{place}: the range {part} is too long.")
        numbers += range(first, last + 1)
    return list(dict.fromkeys(numbers))


def _dataset(value: Any, place: str) -> str | dict[str, str]:
    """One folder, or {language code: folder} from a table or from `En=DIR` words."""
    if isinstance(value, dict):
        folders = {_languages([word], place)[0]: folder for word, folder in value.items()}
        _texts(list(folders.values()), place)
        return folders
    words = _texts(value, place)
    if len(words) == 1 and not (words[0].partition("=")[1] and find_language(words[0].partition("=")[0])):
        return words[0]
    folders = {}
    for word in words:
        language, equals, folder = word.partition("=")
        if not equals:
            raise UsageError(f"{place}: of several folders each says its language, as in En={word}.")
        folders[_languages([language], place)[0]] = folder
    return folders


def _text_language(value: Any, place: str) -> dict[str, str]:
    """{language code: language code of its texts} from a table, from `Jp=En` words, or from one language for all."""

    def one(word: Any) -> str:
        found = _languages([word], place)
        if len(found) != 1:
            raise UsageError(f"{place}: {word!r} is not one language; write one for all, or pairs such as Jp=En,Ur=En.")
        return found[0]

    if isinstance(value, dict):
        return {one(language): one(texts) for language, texts in value.items()}
    words = [word.strip() for text in _texts(value, place) for word in text.split(",")]
    if len(words) == 1 and "=" not in words[0]:
        return dict.fromkeys(LANGUAGES, one(words[0]))
    pairs = [word.partition("=") for word in words]
    return {one(language): one(texts) for language, _, texts in pairs}


def _columns(value: Any, place: str) -> dict[str, str]:
    """{role: column} from a table, or from `file=NAME,text=NAME`; an empty column is one that is not there."""
    if isinstance(value, dict):
        _texts(list(value.values()), place)
        pairs = list(value.items())
    else:
        words = [word.strip() for text in _texts(value, place) for word in text.split(",")]
        if plain := [word for word in words if "=" not in word]:
            raise UsageError(
                f"{place}: {plain[0]!r} says not what it is; write it as in text={plain[0] or 'NAME'} (a name with a comma goes into "
                'a configuration file: columns = {text = "a,b"}).'
            )
        pairs = [(role.strip(), name.strip()) for role, _, name in (word.partition("=") for word in words)]
    for role, _ in pairs:
        if role not in COLUMN_ROLES:
            raise UsageError(f"{place}: a table has no {role!r}; choose from {', '.join(COLUMN_ROLES)}.")
    if len(dict(pairs)) < len(pairs):
        raise UsageError(f"{place}: each of {', '.join(COLUMN_ROLES)} can be named once.")
    return dict(pairs)


def read_environment(directory: Path | None = None) -> dict[str, str]:
    """The environment, over the `.env` file of the directory (by default the current one)."""
    path = (directory or Path.cwd()) / ".env"
    try:
        from_file = dotenv_values(path) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}); mend or remove it.") from error
    return {**{key: value for key, value in from_file.items() if value is not None}, **os.environ}


def find_key(environment: Mapping[str, str], *names: str) -> str:
    """The first API key that is there.

    Raises UsageError, which never shows it, if there is none or it cannot be one.
    """
    for name in names:
        key = environment.get(name, "").strip()
        if key:
            if not re.fullmatch(r"[!-~]+", key):
                raise UsageError(f"{name} cannot be a key: it has blanks or letters beyond ASCII. Copy it again.")
            return key
    raise UsageError(
        f"There is no {' or '.join(names)}; put one into .env or the environment, or rehearse with --sandbox."
    )


def find_address(config: RunConfig, environment: Mapping[str, str], name: str) -> str | None:
    """The provider's address where it is not the usual one: the configuration's, or the environment's under `name`.

    Raises UsageError if it is no address.
    """
    address = config.base_url or environment.get(name) or None
    if address is not None:
        check_address(address, "The base URL" if config.base_url else name)
    return address


def check_address(address: str, place: str) -> None:
    """Raises UsageError, which shows no secret, for what is no address, or has a password or a key in it: it would be written
    into run.json, logs and errors."""
    if not _is_address(address):
        raise UsageError(f"The base URL {hide_secrets(address)!r} is no address; write it as http://host:port/path.")
    parts = urlsplit(address)
    if "@" in parts.netloc:
        raise UsageError(
            f"{place} has a user name or a password in it; leave them out, and put the server's key into .env or the environment "
            "(OPENAI_API_KEY, GOOGLE_API_KEY, HF_TOKEN)."
        )
    if "?" in address or "#" in address:
        raise UsageError(
            f"{place} has a query in it (what follows the {'?' if '?' in address else '#'}); leave it out, and put a key into .env or "
            "the environment (OPENAI_API_KEY, GOOGLE_API_KEY, HF_TOKEN)."
        )


def hide_secrets(address: str) -> str:
    """What is to be an address, without what stands before an @ and behind its path, which may be a password or a key."""
    return re.sub(r"[?#].*", "?…", re.sub(r"^(\w+://)?.*@", r"\1…@", address, flags=re.DOTALL), flags=re.DOTALL)


PROVIDER_HOSTS = (".openai.com", ".googleapis.com")


def find_other_host(address: str | None) -> str | None:
    """The host of an address that is not a provider's own."""
    host = urlsplit(address or "").hostname
    return None if host is None or f".{host}".endswith(PROVIDER_HOSTS) else host


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0 and " " not in text
    except ValueError:
        return False


def narrow(config: RunConfig, language: str | None, task: int | None, sample: int | None) -> RunConfig:
    """The same configuration for one language, task or sample, where they are given."""
    values: dict[str, Any] = {}
    if language is not None:
        values["languages"] = tuple(_languages([language], "--language"))
    if task is not None:
        if task not in TASKS:
            raise UsageError(f"--task: there is no task {task}; tasks are 1 to 8.")
        values["tasks"] = (task,)
    if sample is not None:
        values["samples"] = (sample,)
    return replace(config, **values)
