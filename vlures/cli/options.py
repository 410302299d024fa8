"""What the commands share: a flag for every option of a run, and the help."""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click

from vlures.backends import BACKENDS, all_providers
from vlures.benchmarks import BENCHMARKS
from vlures.cli.suggestions import SUGGESTIONS, Suggest, suggest_configs, suggest_folders, suggest_from, suggest_list_of
from vlures.config.options import GROUPS, Group, Option, show_numbers
from vlures.errors import UsageError, VluresError
from vlures.runs.config import RunConfig, all_options, help_of, load_config


class _Number(click.ParamType[float]):
    """A number on the command line. The configuration checks whether it is allowed."""

    def __init__(self, kind: type[int] | type[float]) -> None:
        self.kind = kind
        self.name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.kind(value)
        except ValueError:
            self.fail(f"{value!r} is not a {'whole number' if self.kind is int else 'number'}.", param, ctx)


def _click_type(hint: Any) -> click.ParamType[Any]:
    """The click type of a field: click parses numbers, the configuration checks everything else."""
    if get_origin(hint) is Annotated:
        return _click_type(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return _click_type(next(inner for inner in get_args(hint) if inner is not type(None)))
    if get_origin(hint) is Literal and all(isinstance(choice, int) for choice in get_args(hint)):
        return _Number(int)
    return _Number(hint) if hint in (int, float) else click.STRING


_WIDEST = 24
"""Width of the option names in the help; longer ones have a line of their own."""


class GroupedCommand(click.Command):
    """A command whose help lists the options of a run under headings, only those of the groups that matter to it."""

    def __init__(self, *arguments: Any, groups: tuple[Group, ...] = GROUPS, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], **{group: [] for group in self.groups}}
        for param in self.get_params(ctx):
            known = all_options().get(param.name or "")
            group = known.group if known else "Options"
            if (
                isinstance(param, click.Option)
                and group in sections
                and (record := param.get_help_record(ctx)) is not None
            ):
                default = f" [default: {shown}]" if known and (shown := _show_default(known)) else ""
                sections[group].append((record[0], record[1] + default))
        width = min(_WIDEST, max(len(option) for records in sections.values() for option, _ in records))
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl([(option.ljust(width), text) for option, text in records], col_max=_WIDEST)
        if self.groups != GROUPS:
            formatter.write_paragraph()
            formatter.write_text("All other options of `vlures run` are accepted, too.")


def _show_default(declared: Option) -> str:
    """The default of an option as one writes it; "" where nothing is set."""
    if declared.name in _DEFAULTS_OF_BACKENDS:
        own = {provider.name: getattr(provider, f"default_{declared.name}") for provider in all_providers()}
        return ", ".join(f"{value} ({name})" for name, value in own.items())
    if declared.default in (None, (), {}, False):
        return ""
    match declared.default:
        case True:
            return "yes"
        case int() | float() as number:
            return f"{number:,.15g}"
        case tuple() as items if all(isinstance(item, int) for item in items):
            return show_numbers(items)
        case tuple() as items:
            return ",".join(map(str, items))
        case dict() as table:
            return ", ".join(f"{key}={value}" for key, value in table.items())
    return str(declared.default)


_DEFAULTS_OF_BACKENDS = ("mode", "model")
"""Options whose default is each provider's own."""


class FiniteRange(click.FloatRange):
    """A number within bounds: click lets nan and inf through, which compare as no number does."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def config_option(name: str, *aliases: str) -> Callable[[Any], Any]:
    """An option of a run's configuration as a flag. aliases: other flags for it."""
    declared = all_options()[name]
    flag = "--" + name.replace("_", "-")
    if declared.hint is bool:
        flags = f"{flag}/--no-{name.replace('_', '-')}"
        return click.option(flags, name, default=None, help=help_of(name))
    tables = {"benchmark": BENCHMARKS, "backend": BACKENDS}
    choices = list(tables.get(name, declared.choices))
    return click.option(
        *aliases,
        flag,
        name,
        type=str if declared.several else _click_type(declared.hint),
        multiple=declared.several,
        default=None,
        metavar=declared.metavar or ("|".join(choices) if choices else None),
        shell_complete=_suggest(declared, choices),
        help=help_of(name),
    )


def _suggest(declared: Option, choices: list[str]) -> Suggest | None:
    if declared.name in SUGGESTIONS:
        return SUGGESTIONS[declared.name]
    if declared.suggest == "folder":
        return suggest_folders
    words = declared.suggest or dict.fromkeys(choices, "")
    if not words:
        return None
    return suggest_list_of(words) if declared.several else suggest_from(words)


debug_option = click.option(
    "--debug", is_flag=True, expose_value=False, help="Show a traceback instead of one sentence."
)
"""The code that catches errors looks for it in the command line itself."""


def config_file_option(help_text: str) -> Callable[[Any], Any]:
    """`--config FILE`, given to the command as config_file."""
    return click.option(
        "-c",
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help=help_text,
        shell_complete=suggest_configs,
    )


CONFIG_ARGUMENT = "named_config"
config_argument = click.argument(
    CONFIG_ARGUMENT,
    metavar="[CONFIG]",
    required=False,
    type=click.Path(path_type=Path),
    shell_complete=suggest_configs,
)
"""A configuration without `-c`."""


def take_config_argument(config_file: Path | None, own: dict[str, Any]) -> tuple[Path | None, dict[str, Any]]:
    """The configuration, given with -c or without, and the other arguments of a command. A configuration may also stand
    in the place of a run's folder.

    Raises UsageError where two are given, or a folder.
    """
    named = [config_file, own.pop(CONFIG_ARGUMENT, None)]
    if _is_config(own.get("folder")):
        named.append(own["folder"])
        own = own | {"folder": None}
    if "folders" in own:
        named += filter(_is_config, own["folders"])
        own = own | {"folders": tuple(folder for folder in own["folders"] if not _is_config(folder))}
    configs = [Path(name) for name in named if name is not None]
    if folder := next(filter(Path.is_dir, configs), None):
        raise UsageError(f"{folder} is a folder, not a configuration; a dataset goes into --dataset {folder}.")
    if len(configs) > 1:
        raise UsageError(f"Two configurations are named, {configs[0]} and {configs[1]}; leave one of them out.")
    return next(iter(configs), None), own


def _is_config(name: str | Path | None) -> bool:
    return name is not None and Path(name).suffix == ".toml" and not Path(name).is_dir()


def all_config_options(command: Callable[..., Any], *, file: bool = True) -> Callable[..., Any]:
    """Give a command every option of a run as an argument of its own. file: `--config` and `--debug`, too."""
    for name in reversed(all_options()):
        command = config_option(name)(command)
    if file:
        for option in (debug_option, config_file_option("A TOML file with options.")):
            command = option(command)
    return command


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every option of a run and a `--config` file. The command receives one RunConfig."""

    def with_config(config_file: Path | None, **flags: Any) -> Any:
        own = {name: value for name, value in flags.items() if name not in all_options()}
        config_file, own = take_config_argument(config_file, own)
        given = {name: value for name, value in flags.items() if name in all_options() and value not in (None, ())}
        return command(load_config(config_file, given), **own)

    with_config.__name__, with_config.__doc__ = command.__name__, command.__doc__
    with_config.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    decorated = all_config_options(with_config, file=False)
    if not {"folder", "folders"}.intersection(signature(command).parameters):
        decorated = config_argument(decorated)
    for option in (debug_option, config_file_option("A TOML file with options.")):
        decorated = option(decorated)
    return decorated


def only_run(config: RunConfig) -> Path:
    """The configuration's output folder, or the only one there is."""
    from vlures.runs.overview import find_configured_runs

    folders = find_configured_runs(config)
    if not folders:
        raise VluresError(f"There is no run under {config.storage.output} yet; start one with `vlures run`.")
    if len(folders) > 1:
        raise UsageError(
            f"There are several runs under {config.storage.output}; name one: {', '.join(map(str, folders))}."
        )
    return folders[0]
