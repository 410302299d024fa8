"""The commands: parse → call → print → exit code. Nothing else prints or exits. One file per command.

Exit codes: 0 complete · 1 cannot continue · 2 usage · 3 incomplete, run again · 130 interrupted.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from typing import TextIO, cast

import click

import vlures
from vlures.backends import secret_variables
from vlures.cli.cancel import cancel
from vlures.cli.check import check
from vlures.cli.clean import clean
from vlures.cli.completion import completion
from vlures.cli.config import config
from vlures.cli.export import export
from vlures.cli.fetch import fetch
from vlures.cli.import_ import import_
from vlures.cli.init import init
from vlures.cli.options import EXIT_CANNOT, EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_USAGE, say, tell
from vlures.cli.plan import plan
from vlures.cli.prompt import prompt
from vlures.cli.prompts import prompts
from vlures.cli.run import run
from vlures.cli.sandbox import sandbox
from vlures.cli.score import score
from vlures.cli.show import show
from vlures.cli.status import status
from vlures.cli.streams import enduring, silence
from vlures.cli.urban import urban
from vlures.config.environment import read_environment
from vlures.errors import Incomplete, UsageError, VluresError
from vlures.safety.redaction import BlottedStream, find_secrets, make_blot


def main(argv: list[str] | None = None) -> None:
    """The `vlures` command. Ends the process with an exit code."""
    try:
        code = call(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:  # another one, while the command was ending
        code = EXIT_INTERRUPTED
    # From now on a Ctrl-C ends the process without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def call(argv: list[str]) -> int:
    """Run a command line; returns its exit code. Expected errors are one sentence on stderr."""
    debug = "--debug" in argv
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show Urdu shows its code points
            stream.reconfigure(errors="backslashreplace")
    blot = make_blot(find_secrets(_environment(), secret_variables()))
    sys.stdout, sys.stderr = (cast("TextIO", BlottedStream(stream, blot)) for stream in before)
    try:
        with enduring("stderr"):
            return _call(argv, debug)
    finally:
        sys.stdout, sys.stderr = before


def _environment() -> Mapping[str, str]:
    try:
        return read_environment()
    except UsageError:  # an unreadable .env: a command that needs it reports it
        return os.environ


def _call(argv: list[str], debug: bool) -> int:
    try:
        code = commands.main(argv, prog_name="vlures", standalone_mode=False)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        tell(said.getvalue().rstrip("\n"), err=True)
        return EXIT_USAGE
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The reader of our output closed it (click then exits); discard the rest.
        silence(sys.stdout)
        return 0
    except VluresError as error:
        _tell_error(str(error), debug)
        return (
            EXIT_USAGE
            if isinstance(error, UsageError)
            else EXIT_INCOMPLETE
            if isinstance(error, Incomplete)
            else EXIT_CANNOT
        )
    except Exception as error:  # noqa: BLE001 (the last place that can turn it into a sentence)
        _tell_error(_describe_fault(error), debug)
        return EXIT_CANNOT
    return code if isinstance(code, int) else 0


def _tell_error(sentence: str, debug: bool) -> None:
    if debug:
        tell(traceback.format_exc(), err=True)
    else:
        say(f"vlures: {sentence}")


def _describe_fault(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be used ({error.strerror}); fix that and run again."
    return (
        f"An internal error of vlures ({type(error).__name__}: {error}). Run again, which continues from here; if it "
        "happens again, --debug shows where."
    )


class InOrder(click.Group):
    """A group whose help lists its commands in the order in which a user needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(vlures.__version__, prog_name="vlures")
def commands() -> None:
    """A vision-language model's answers to a whole multilingual benchmark.

    \b
    Example, in an empty folder:
      vlures init && vlures run --sandbox
    """


for command in (
    init,
    fetch,
    check,
    prompt,
    prompts,
    plan,
    run,
    status,
    show,
    cancel,
    score,
    export,
    import_,
    urban,
    config,
    sandbox,
    clean,
    completion,
):
    commands.add_command(command)
