"""What the shell suggests when Tab is pressed: values of options, configurations, output folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import click
from click.shell_completion import CompletionItem

Suggest = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


def suggest_from(values: Iterable[str]) -> Suggest:
    """Suggest values of a closed set."""
    words = list(values)

    def suggest(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem[str]]:  # noqa: ARG001
        return [CompletionItem(word) for word in words if word.startswith(begun)]

    return suggest


def suggest_list_of(values: Mapping[str, str]) -> Suggest:
    """Suggest the next item of a comma-separated list. values: each with its meaning."""

    def suggest(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem[str]]:  # noqa: ARG001
        before, comma, part = begun.rpartition(",")
        named = before.split(",")
        return [
            CompletionItem(before + comma + value, help=meaning)
            for value, meaning in values.items()
            if value.lower().startswith(part.lower()) and value not in named
        ]

    return suggest


def suggest_folders(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem[str]]:  # noqa: ARG001
    return [CompletionItem(begun, type="dir")]


def suggest_configs(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem[str]]:  # noqa: ARG001
    """The TOML files of configs/; any file once the user has typed something else."""
    found = [str(path) for path in sorted(Path("configs").glob("*.toml")) if str(path).startswith(begun)]
    return [CompletionItem(path) for path in found] or [CompletionItem(begun, type="file")]


def suggest_runs(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem[str]]:  # noqa: ARG001
    """The folders under outputs/, or --output, that hold runs; any folder once the user has typed something else."""
    root = Path(ctx.params.get("output") or "outputs")
    found = sorted({str(path.parent) for path in root.glob("*/checkpoints_*")})
    matching = [folder for folder in found if folder.startswith(begun)]
    return [CompletionItem(folder) for folder in matching] or [CompletionItem(begun, type="dir")]


def _suggest_faults(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem[str]]:
    from vlures.sandbox import FAULT_KINDS

    return suggest_from(FAULT_KINDS)(ctx, param, begun)


SUGGESTIONS: dict[str, Suggest] = {
    "fault": _suggest_faults,
}
"""By option; all other options declare their suggestions themselves."""
