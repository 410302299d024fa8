"""What every command says and returns: printing, exit codes. Loads nothing heavy: `vlures --help` needs it."""

from __future__ import annotations

import click

from vlures.safety.control_characters import as_line, as_text

EXIT_CANNOT, EXIT_USAGE, EXIT_INCOMPLETE, EXIT_INTERRUPTED = 1, 2, 3, 130


def say(sentence: str) -> None:
    """Print a sentence on stderr."""
    click.echo(as_line(sentence), err=True)


def tell(text: str, *, err: bool = False) -> None:
    """Print a command's output, which may have several lines, on stdout."""
    click.echo(as_text(text), err=err)
