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
from importlib import import_module
from typing import TextIO, cast

import click

import vlures
from vlures.cli.console import EXIT_CANNOT, EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_USAGE, say, tell
from vlures.cli.streams import enduring, silence
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
    if not _is_static(argv):
        blot = make_blot(find_secrets(_environment(), _secret_variables()))
        sys.stdout, sys.stderr = (cast("TextIO", BlottedStream(stream, blot)) for stream in before)
    try:
        with enduring("stderr"):
            return _call(argv, debug)
    finally:
        sys.stdout, sys.stderr = before


def _is_static(argv: list[str]) -> bool:
    """Whether the answer is the same for everybody, and holds nobody's keys."""
    return argv in ([], ["--help"], ["-h"], ["--version"])


def _secret_variables() -> tuple[str, ...]:
    from vlures.backends import secret_variables

    return secret_variables()


def _environment() -> Mapping[str, str]:
    from vlures.config.environment import read_environment

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


COMMANDS = {
    "init": "Set up a folder: configurations, sample data, outputs/.",
    "fetch": "Download a dataset from the Hugging Face Hub.",
    "check": "Name everything that is wrong with the datasets and prompts.",
    "prompt": "Print exactly what would be sent for one sample.",
    "prompts": "Import prompts from a script, check packs, compare them.",
    "plan": "Show what a run would send and cost.",
    "run": "Ask for every answer that is still missing.",
    "status": "Show where runs stand.",
    "show": "Show answers and what they are about.",
    "cancel": "Cancel a run's batches and keep the answers they have.",
    "judge": "Have a model judge a run's answers, with the image in view.",
    "score": "Score answers that are right or wrong.",
    "sheets": "Have people rate a random sample of answers.",
    "tables": "Show what judges and people say of answers, in tables.",
    "compare": "Compare runs, sample by sample.",
    "report": "Show runs in one file that needs no network.",
    "study": "Carry out several runs, their judges, tables and a report.",
    "export": "Write everything that a run has stored as one table.",
    "import": "Import checkpoints of the original scripts.",
    "urban": "Street views: ask about them, make questions and metadata.",
    "config": "Look at the configuration of a run.",
    "sandbox": "Serve the providers' protocols on this machine.",
    "clean": "List rehearsals, and remove them with --yes.",
    "completion": "Print the script that completes this command in your shell.",
}
"""Each command in its own module, in the order in which a user needs them, with the beginning of its help."""


class Commands(click.Group):
    """Loads a command when it is called: `vlures --help` needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = "import_" if cmd_name == "import" else cmd_name
        command: click.Command = getattr(import_module(f"vlures.cli.{module}"), module)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    commands={name: click.Command(name) for name in COMMANDS},  # for click to suggest the nearest name
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(vlures.__version__, prog_name="vlures")
def commands() -> None:
    """A vision-language model's answers to a whole multilingual benchmark.

    \b
    Example, in an empty folder:
      vlures init && vlures run --sandbox
    """
