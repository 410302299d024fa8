"""A configuration in full: every option with its value and where it came from, as a table or as TOML."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

from vlures.backends import all_providers, find_provider
from vlures.benchmarks import find_package
from vlures.config.environment import find_address, find_value
from vlures.config.options import GROUPS, show_numbers
from vlures.runs.config import RunConfig, all_options
from vlures.safety.control_characters import as_line

_ADDRESS_OPTIONS = ("base_url", "image_url_template")
VALUE_WIDTH, ORIGIN_WIDTH = 40, 36
_NAME_WIDTH = max(map(len, all_options()))
"""The widths of the table's columns: together below 100."""


def tabulate_config(config: RunConfig, origins: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """Every option in its group, what follows from them, and which keys are set. No key or password is shown.

    origins: as find_origins gives them. environment: as read_environment gives it.
    """
    rows: list[list[str]] = []
    for group in GROUPS:
        rows += [["", "", ""], [group.upper(), "", ""]]
        rows += [[name, *_describe(config, name, origins, environment)] for name in _names_of(config, group)]
    keys = [name for provider in all_providers() for name in provider.key_variables]
    rows += [["", "", ""], ["WHAT FOLLOWS", "", ""], *_consequences(config)]
    rows += [["", "", ""], ["KEYS", "", ""], *([name, *_describe_key(name, environment)] for name in keys)]
    head = [["option", "value", "from"], ["-" * _NAME_WIDTH, "-" * VALUE_WIDTH, "-" * ORIGIN_WIDTH]]
    return "\n".join(_write_row(*row) for row in head + rows)


def write_toml(config: RunConfig, origins: Mapping[str, str]) -> str:
    """The configuration as a TOML file that reads back as the same configuration.

    Options that are not set are comments, and so is an address with a password or a query, which may be a secret.
    """
    blocks, tables = [], []
    derived = _derived(config)
    for group in GROUPS:
        lines = [f"# ── {group} ──"]
        for name in _names_of(config, group):
            value, comment = getattr(config, name), f"# {config.options()[name].help}"
            if name in _ADDRESS_OPTIONS and value is not None and _hide(value) != value:
                lines += [comment, f"# {name} may hold a secret, so it is left out; {_other_places(config, name)}."]
            elif value is None:
                meaning = f", which means {derived[name][0]}" if name in derived else ""
                lines += [comment, f"# {name} is not set{meaning}."]
            elif isinstance(value, dict):
                tables.append(f"{comment} ({_origin(name, origins)})\n{_write_toml_line(name, value)}")
            else:
                lines += [comment, f"{_write_toml_line(name, value)}  # {_origin(name, origins)}"]
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, *tables]) + "\n"


def _write_toml_line(name: str, value: Any) -> str:
    import tomli_w

    if value and _are_numbers(value):
        value = _show(value)
    if isinstance(value, tuple):
        items = (_write_toml_line("", item).partition("= ")[2] for item in value)
        return f"{name} = [{', '.join(items)}]"
    return tomli_w.dumps({name: value}).rstrip("\n")


def _write_row(name: str, value: str, origin: str) -> str:
    """A row of the table; text too wide for its column continues on the next line."""
    lines = zip_longest([name], _wrap(value, VALUE_WIDTH), _wrap(origin, ORIGIN_WIDTH), fillvalue="")
    return "\n".join(f"{one:{_NAME_WIDTH}}  {two:{VALUE_WIDTH}}  {three}".rstrip() for one, two, three in lines)


def _wrap(text: str, width: int) -> list[str]:
    return [part for line in text.splitlines() for part in textwrap.wrap(line, width)]


def _names_of(config: RunConfig, group: str) -> Iterator[str]:
    return (name for name, option in config.options().items() if option.group == group)


def _origin(name: str, origins: Mapping[str, str]) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", "?", origins.get(name, "default"))


def _describe(
    config: RunConfig, name: str, origins: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[str, str]:
    """An option's value and where it came from, in words."""
    value = getattr(config, name)
    if name == "base_url":
        return _describe_address(config, origins, environment)
    if value is None and name in (derived := _derived(config)):
        return derived[name]
    if name in _ADDRESS_OPTIONS and value is not None:
        value = _hide(value)
    return _show(value), _origin(name, origins)


def _derived(config: RunConfig) -> dict[str, tuple[str, str]]:
    """The effective value of an option that is not set, and its reason."""
    found = {
        "mode": (config.run_mode, f"default of {config.who.backend}"),
        "timeout_s": (_show(config.live.find_timeout_s(config.who.service_tier)), "default"),
    }
    if find_provider(config.who.backend) is not None:
        found["model"] = (config.model_name, f"default of {config.who.backend}")
    return found


def _describe_address(config: RunConfig, origins: Mapping[str, str], environment: Mapping[str, str]) -> tuple[str, str]:
    if config.rehearsal.sandbox:
        return "the sandbox's", _origin("sandbox", origins)
    variable = _address_variable(config) or ""
    address = find_address(config.who.base_url, environment, variable)
    if address is None:
        return "the provider's own" if variable else "this machine", "default"
    return _hide(address), origins.get("base_url") or f"{variable}, {_place(variable)}"


def _address_variable(config: RunConfig) -> str | None:
    provider = find_provider(config.who.backend)
    return None if provider is None else provider.address_variable


def _hide(address: str) -> str:
    """An address without what may be secret: user and password, and everything after the path."""
    shown = re.sub(r"//[^/?#]*@", "//…@", address)
    return re.sub(r"([?#]).+", r"\1…", shown, count=1, flags=re.DOTALL)


def _other_places(config: RunConfig, name: str) -> str:
    """Where an address can be given that must not be in a file."""
    flag = f"give it with --{name.replace('_', '-')}"
    variable = _address_variable(config) if name == "base_url" else None
    return f"{flag}, or as {variable} in the environment or in .env" if variable else flag


def _describe_key(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    return ("set", _place(name)) if find_value(environment, name) else ("not set", "")


def _place(variable: str) -> str:
    return "in the environment" if os.environ.get(variable, "").strip() else "in .env"


def _consequences(config: RunConfig) -> Iterable[list[str]]:
    if find_provider(config.who.backend) is not None or config.who.model:
        yield ["output folder", str(config.output_folder), ""]
    variant = find_package(config.selection.benchmark).choose_variant(config.benchmark_options)
    yield ["variant", variant.label, ""]


def _show(value: Any) -> str:
    if value is None or value in ((), {}):
        return "–"
    if _are_numbers(value):
        return show_numbers(value)
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:,.15g}"
        case int():
            return f"{value:,}"
        case dict():
            return "\n".join(as_line(f"{key} = {_show(inner)}") for key, inner in value.items())
        case tuple() | list():
            return as_line(", ".join(str(item) for item in value))
    return as_line(value)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, int) for item in value)
