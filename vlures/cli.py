"""The commands: parse → call → print → exit code. Nothing else prints or exits.

Exit codes: 0 complete · 1 cannot go on · 2 usage · 3 incomplete, run again · 130 interrupted.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import click

import vlures
from vlures.config import FIELDS, RunConfig, load_config, read_environment
from vlures.errors import Incomplete, UsageError, VluresError

if TYPE_CHECKING:
    from vlures.records import Dataset
    from vlures.run import Tally
    from vlures.store import CheckpointStore

EXIT_CANNOT, EXIT_USAGE, EXIT_INCOMPLETE, EXIT_INTERRUPTED = 1, 2, 3, 130


def main(argv: list[str] | None = None) -> None:
    """The `vlures` command. Ends the process with an exit code."""
    sys.exit(call(sys.argv[1:] if argv is None else argv))


def call(argv: list[str]) -> int:
    """Run a command line; returns its exit code. One sentence on stderr for anything foreseen."""
    debug = "--debug" in argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show Urdu shows its code points
            stream.reconfigure(errors="backslashreplace")
    try:
        code = commands.main(argv, prog_name="vlures", standalone_mode=False)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # Whoever read our output has heard enough (to that click answers by exiting); let nothing try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except VluresError as error:
        if debug:
            raise
        click.echo(f"vlures: {error}", err=True)
        return (
            EXIT_USAGE
            if isinstance(error, UsageError)
            else EXIT_INCOMPLETE
            if isinstance(error, Incomplete)
            else EXIT_CANNOT
        )
    except Exception as error:
        if debug:
            raise
        click.echo(f"vlures: {_describe_fault(error)}", err=True)
        return EXIT_CANNOT
    return code if isinstance(code, int) else 0


def _describe_fault(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be used ({error.strerror}); mend that and run again."
    return (
        f"A fault of vlures itself ({type(error).__name__}: {error}); everything received is stored. Run again; if it comes "
        "again, --debug shows where."
    )


# Options: one for every field of RunConfig


def _click_type(hint: Any) -> Any:
    """The click type of a field: its numbers are read by click, everything else is judged by the configuration."""
    if get_origin(hint) is Annotated:
        return _click_type(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return _click_type(next(inner for inner in get_args(hint) if inner is not type(None)))
    if get_origin(hint) is Literal and all(isinstance(choice, int) for choice in get_args(hint)):
        return int
    return hint if hint in (int, float) else str


_HINTS = get_type_hints(RunConfig, include_extras=True)


def _config_option(name: str) -> Callable[[Any], Any]:
    field = FIELDS[name]
    hint = _HINTS[name]
    flag = "--" + name.replace("_", "-")
    if hint is bool:
        flags = f"{flag}/--no-{name.replace('_', '-')}"
        return click.option(flags, name, default=None, help=field.metadata["help"])
    several = get_origin(hint) is tuple or name == "dataset"
    kind = str if several else _click_type(hint)
    return click.option(flag, name, type=kind, multiple=several, default=None, help=field.metadata["help"])


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every option of a run, and a `--config` file. It receives one RunConfig."""

    def with_config(config_file: Path | None, debug: bool, **flags: Any) -> Any:  # noqa: ARG001
        own = {name: value for name, value in flags.items() if name not in FIELDS}
        given = {name: value for name, value in flags.items() if name in FIELDS and value not in (None, ())}
        return command(load_config(config_file, given), **own)

    with_config.__name__, with_config.__doc__ = command.__name__, command.__doc__
    with_config.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    decorated: Callable[..., Any] = with_config
    for name in reversed(FIELDS):
        decorated = _config_option(name)(decorated)
    decorated = click.option("--debug", is_flag=True, help="Show a traceback instead of one sentence.")(decorated)
    return click.option(
        "-c",
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A TOML file with options.",
    )(decorated)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(vlures.__version__, prog_name="vlures")
def commands() -> None:
    """A vision-language model's answers to a whole multilingual benchmark."""


# run


@commands.command()
@config_options
def run(config: RunConfig) -> int:
    """Ask for every answer that is still missing. The same command again goes on where this one stopped.

    Example: vlures run -c configs/openai.toml --limit 10
    """
    import asyncio
    from dataclasses import replace
    from functools import partial

    from vlures.backends import Setup, connect, find_backend
    from vlures.benchmark import describe_run, load_benchmark
    from vlures.costs import find_prices
    from vlures.forecast import describe_plan
    from vlures.plan import (
        check_addresses,
        check_plan,
        count_due,
        drop_unbegun,
        end_redo,
        make_plan,
        mark_asked_again,
        needs_canary,
        prepare_spending,
    )
    from vlures.progress import Progress
    from vlures.results import write_results
    from vlures.run import Tally, send_canary
    from vlures.run import run as run_benchmark
    from vlures.sandbox import parse_fault
    from vlures.store import CheckpointStore

    find_backend(config)
    if not config.wait and config.run_mode == "live":
        raise UsageError("--no-wait is for batches, which live on by themselves; leave it out, or add --mode batch.")
    _judge_model(config)
    for fault in config.fault:
        parse_fault(fault)
    with ExitStack() as stack:
        benchmark = load_benchmark(config)
        check_addresses(benchmark)
        stack.enter_context(_lock(config.output_folder))
        store = CheckpointStore(config.output_folder, config.setting, say=_say)
        stack.callback(store.close)
        prices = find_prices(config)
        plan = make_plan(benchmark, store)
        check_plan(benchmark, store, plan)
        drop_unbegun(config, store)
        _say(describe_plan(config, plan, prices))
        spending = prepare_spending(benchmark, store, prices)
        tally, stopper = Tally(), _Stopper(config)
        if plan.total("due") or store.open_jobs():
            sandbox_url = stack.enter_context(_sandbox(config)) if config.sandbox else None
            with closing(Progress(plan.selected, plan.total("answered"))) as progress:
                setup = Setup(config, read_environment(), sandbox_url, store, progress, stopper.keep_going)
                live_setup = replace(setup, config=replace(config, mode="live"))
                backend = connect(setup)
                store.write_json("run.json", describe_run(benchmark))
                mark_asked_again(store, plan)

                async def work() -> None:
                    if needs_canary(config, store, plan):
                        await send_canary(benchmark, store, connect(live_setup), progress, tally, spending)
                    finish = partial(connect, live_setup) if config.live_share is not None else None
                    await run_benchmark(
                        benchmark, store, backend, progress, tally, spending, stopper.keep_going, finish
                    )

                try:
                    asyncio.run(stopper.watch(work(), progress.say))
                finally:
                    progress.close()
                    summary = write_results(config.output_folder, config.run_name, store, prices)
                    _print_outcome(config, store, summary, tally)
        else:
            _print_outcome(config, store, write_results(config.output_folder, config.run_name, store, prices), tally)
        if stopper.interrupted:
            return EXIT_INTERRUPTED
        if count_due(benchmark, store) or store.open_jobs():
            return EXIT_INCOMPLETE
        end_redo(store)
        if plan.changed_in_flight and config.stale == "stop" and make_plan(benchmark, store).stale:
            _say(
                "Answers that were in flight are to a question that has changed since; the next run asks what to do with them."
            )
            return EXIT_INCOMPLETE
        return 0


def _judge_model(config: RunConfig) -> None:
    from datetime import UTC, datetime

    from vlures.models import check_model

    if note := check_model(config, datetime.now(UTC).date()):
        _say(note)


class _Stopper:
    """Ctrl-C. Live: the first stops sending and waits for the answers in flight, which are paid; the second leaves
    them. Batch: batches live on at the provider, so the first ends the run."""

    def __init__(self, config: RunConfig) -> None:
        self._live = config.run_mode == "live"
        self.interrupted = False

    def keep_going(self) -> bool:
        return not self.interrupted

    async def watch(self, work: Any, say: Callable[[str], None]) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)

        def stop() -> None:
            if self._live and not self.interrupted:
                say("Stopping: waiting for the answers in flight, which are paid. Press Ctrl-C again to leave them.")
            else:
                task.cancel()
            self.interrupted = True

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        try:
            await task
        except asyncio.CancelledError:
            if not self.interrupted:
                raise
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


@contextmanager
def _lock(output_folder: Path) -> Iterator[None]:
    """Hold an output folder. Raises VluresError saying who holds it already."""
    from filelock import FileLock, Timeout

    try:
        output_folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(output_folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        holder = output_folder / ".lock-holder"
        who = holder.read_text(encoding="utf-8").strip() if holder.is_file() else "another process"
        raise VluresError(
            f"{output_folder} is in use by {who}; wait for it, or give this run another --name."
        ) from error
    except OSError as error:
        raise VluresError(
            f"The folder {output_folder} cannot be written ({error.strerror}); mend its rights or name another with --output."
        ) from error
    try:
        import socket

        from vlures.store import now, write_whole

        write_whole(output_folder / ".lock-holder", f"process {os.getpid()} on {socket.gethostname()} since {now()}\n")
        yield
    finally:
        lock.release()


def _sandbox(config: RunConfig) -> Any:
    from vlures.sandbox.child import running_sandbox

    return running_sandbox(config.output_folder / "sandbox", config.fault)


def _print_outcome(config: RunConfig, store: CheckpointStore, summary: dict[str, Any], tally: Tally) -> None:
    from vlures.pricing import format_usd
    from vlures.results import results_folder

    for reason, count in tally.failures.most_common(5):
        _say(f"  {count} failed: {reason}")
    states = [job.state for job in store.open_jobs()]
    if created := states.count("created"):
        _say(f"{created} batch(es) live on at the provider; run the same command again to collect them.")
    if creating := states.count("creating"):
        _say(f"{creating} batch(es) may have been created; run the same command again to find out.")
    counts = ", ".join(f"{count:,} {status}" for status, count in summary["status"].items()) or "no answers yet"
    spent = summary["cost_usd"]
    money = f" {format_usd(spent)} spent in all, by today's prices." if spent else ""
    click.echo(f"Results in {results_folder(config.output_folder, store.setting)}: {counts}.{money}")


# check, prompt, plan, status, cancel, export, sandbox


@commands.command()
@config_options
def check(config: RunConfig) -> int:
    """Look at the datasets and prompt packs, and name everything that is wrong with them.

    Example: vlures check --dataset data/SampleEn
    """
    from tabulate import tabulate

    from vlures.benchmark import load_datasets, load_prompts

    load_prompts(config)
    datasets: dict[Path, tuple[list[str], Dataset]] = {}
    for code, dataset in load_datasets(config).items():
        datasets.setdefault(dataset.folder, ([], dataset))[0].append(code)
    rows = []
    for folder, (codes, dataset) in datasets.items():
        with_text = sum(sample.text is not None for sample in dataset.samples)
        samples = len(dataset.samples)
        rows.append([str(folder), " ".join(codes), samples, with_text, samples - with_text, len(dataset.errors)])
    headers = ["folder", "languages", "samples", "with text", "only tasks 1-5", "errors"]
    click.echo(tabulate(rows, headers, tablefmt="simple"))
    for folder, (_, dataset) in datasets.items():
        for problem in dataset.problems:
            click.echo(f"{problem.severity}: {folder}: {', '.join(problem.files)}: {problem.reason}")
    return EXIT_CANNOT if any(dataset.errors for _, dataset in datasets.values()) else 0


@commands.command()
@click.option("--language", "one_language", help="The language, by code or name.")
@click.option("--task", "one_task", type=int, help="The task, 1 to 8.")
@click.option("--sample", "one_sample", type=int, help="The sample's ID.")
@config_options
def prompt(config: RunConfig, one_language: str | None, one_task: int | None, one_sample: int | None) -> int:
    """Print exactly what would be sent for one sample in one cell.

    Example: vlures prompt --language Sw --task 7 --sample 3
    """
    from vlures.benchmark import load_benchmark
    from vlures.config import narrow

    config = narrow(config, one_language, one_task, one_sample)
    benchmark = load_benchmark(config)
    request = next(benchmark.requests(), None)
    if request is None:
        cell = config.cells[0]
        raise VluresError(f"{cell} has nothing to ask: no sample selected has the text that the task needs.")
    image = request.image
    click.echo(f"── {request.key} ── {request.model}")
    for name, value in request.parameters.items():
        click.echo(f"{name} = {value}")
    click.echo(f"── system ──\n{request.prompt.system}")
    click.echo(f"── user: text ──\n{request.prompt.user}")
    click.echo(
        f"── user: image ──\n{image.path} ({image.mime_type}, {image.width} × {image.height} pixels, {image.size_bytes:,} bytes)"
    )
    return 0


@commands.command()
@config_options
def plan(config: RunConfig) -> int:
    """Say what a run would do: cells, due requests, bytes, batches. Sends nothing.

    Example: vlures plan -c configs/openai.toml
    """
    from vlures.backends import find_backend
    from vlures.benchmark import load_benchmark
    from vlures.costs import find_prices
    from vlures.forecast import describe_costs, describe_plan, tabulate_plan
    from vlures.plan import check_addresses, make_plan
    from vlures.store import CheckpointStore

    find_backend(config)
    _judge_model(config)
    benchmark = load_benchmark(config)
    check_addresses(benchmark)
    store = CheckpointStore(config.output_folder, config.setting, writable=False, say=_say)
    made = make_plan(benchmark, store)
    prices = find_prices(config)
    click.echo(tabulate_plan(made, prices))
    if made.stale and config.stale == "stop":
        click.echo(f"{made.stale} stored answers are to a question that has changed since; see --stale.")
    click.echo(describe_plan(config, made, prices))
    for note in describe_costs(config, made, prices):
        click.echo(note)
    return 0


@commands.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@config_options
def status(config: RunConfig, folder: Path | None) -> int:
    """Say where runs stand: of one output folder, of the configuration's, or of all under outputs/.

    Example: vlures status outputs/gpt-6-luna
    """
    from vlures.status import find_runs, report

    folders = [folder] if folder else find_runs(config)
    if not folders:
        raise VluresError(f"There is no run under {config.output} yet; begin one with `vlures run`.")
    for number, output_folder in enumerate(folders):
        for text in report(output_folder, _say):
            click.echo(("\n" if number else "") + text)
    return 0


@commands.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@config_options
def cancel(config: RunConfig, folder: Path | None) -> int:
    """Cancel the batches of a run at the provider, keep what they have answered, send nothing.

    The folder is the run's, or the configuration's, or the only one under outputs/. What its batches left unanswered is due: a
    later run asks it.

    Example: vlures cancel outputs/gpt-6-luna
    """
    from vlures.records import SETTINGS
    from vlures.store import CheckpointStore

    folder = folder or _only_run(config)
    settings = [setting for setting in SETTINGS if (folder / f"checkpoints_{setting.label}").is_dir()]
    if not settings:
        raise VluresError(f"{folder} holds no run; see the runs with `vlures status`.")
    codes = []
    with _lock(folder):
        for setting in settings:
            with closing(CheckpointStore(folder, setting, say=_say)) as store:
                codes.append(_cancel_jobs(config, folder, store))
    return max(codes)


def _cancel_jobs(today: RunConfig, folder: Path, store: CheckpointStore) -> int:
    """Cancel the jobs of one setting, say what has come of them, return the exit code."""
    import asyncio
    from collections import Counter

    from vlures.backends import Setup, connect_batch
    from vlures.cancel import cancel as cancel_jobs
    from vlures.cancel import config_of_run
    from vlures.costs import find_prices
    from vlures.progress import Progress
    from vlures.results import write_results
    from vlures.sandbox.child import running_sandbox

    jobs = store.open_jobs()
    if not jobs:
        click.echo(f"{store.folder} has no batch under way.")
        return 0
    config = config_of_run(store, today)
    stopper = _Stopper(config)
    with ExitStack() as stack:
        sandbox_url = stack.enter_context(running_sandbox(folder / "sandbox", ())) if config.sandbox else None
        progress = stack.enter_context(closing(Progress(sum(len(job.requests) for job in jobs), 0)))
        backend = connect_batch(Setup(config, read_environment(), sandbox_url, store, progress, stopper.keep_going))
        stored: Counter[str] = Counter()
        try:
            asyncio.run(stopper.watch(cancel_jobs(store, backend, progress, stored), progress.say))
        finally:
            progress.close()
            write_results(folder, config.run_name, store, find_prices(config))
            tags = {job.tag for job in jobs}
            left = sum(job.tag in tags for job in store.open_jobs())
            click.echo(
                f"{store.folder}: {len(jobs) - left} of {len(jobs)} batch(es) ended, {stored.total()} answer(s) of theirs stored; what "
                "they left unanswered is due. Nothing was sent."
            )
    if stopper.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_INCOMPLETE if store.open_jobs() else 0


@commands.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--format",
    "wanted_format",
    type=click.Choice(["jsonl", "parquet", "csv"]),
    help="By default what --out ends in, or jsonl.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="The file to write, or - for standard output; by default <folder>/<name>.<format>.",
)
@click.option("--with-images", is_flag=True, help="Put the pictures themselves into the table.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("-c", "--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), help="The run's own.")
@_config_option("name")
@_config_option("model")
@_config_option("output")
@_config_option("sandbox")
@click.option("--debug", is_flag=True, help="Show a traceback instead of one sentence.")
def export(
    folder: Path | None,
    wanted_format: str | None,
    out: Path | None,
    with_images: bool,
    force: bool,
    config_file: Path | None,
    debug: bool,  # noqa: ARG001
    **flags: Any,
) -> int:
    """Write all that a run has stored as one table, for pandas, polars or Hugging Face datasets.

    Example: vlures export outputs/gpt-6-luna --format parquet --with-images
    """
    from vlures.export import check_format, choose_format, export_run

    to_stdout = str(out) == "-"
    form = choose_format(wanted_format, out)
    check_format(form, with_images=with_images, to_stdout=to_stdout)
    folder = folder or _only_run(load_config(config_file, flags))
    path = out or folder / f"{folder.resolve().name}.{form}"
    to = sys.stdout.buffer if to_stdout else path
    exported = export_run(folder, form, to, with_images=with_images, force=force, say=_say)
    rows = ", ".join(f"{count:,} {status}" for status, count in exported.statuses.items()) or "no rows"
    due = f"{exported.due:,} request(s) still due" if exported.due else "nothing is due"
    click.echo(f"Wrote {'standard output' if to_stdout else path}: {rows}; {due}.", err=to_stdout)
    return 0


def _only_run(config: RunConfig) -> Path:
    """The configuration's output folder, or the only one there is."""
    from vlures.status import find_runs

    folders = find_runs(config)
    if not folders:
        raise VluresError(f"There is no run under {config.output} yet; begin one with `vlures run`.")
    if len(folders) > 1:
        raise UsageError(f"There are several runs under {config.output}; name one: {', '.join(map(str, folders))}.")
    return folders[0]


@commands.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}, add_help_option=False
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> int:
    """Serve OpenAI's and Gemini's protocols on this machine, with synthetic answers and faults on request.

    Example: vlures sandbox --port 8080 --fault 429@gemini:rate=0.1
    """
    from vlures.sandbox.__main__ import main as serve

    return serve(list(arguments))


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
