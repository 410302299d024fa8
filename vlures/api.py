"""The API for programs and notebooks: run, run_async, load and score.

A run works in a thread and an event loop of its own. So the caller's loop is never blocked, and an interruption, which
Python raises wherever the main thread happens to be, never strikes between an answer's arrival and its storage.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlures.backends import is_paid
from vlures.errors import UsageError, VluresError
from vlures.runs.carry_out import carry_out
from vlures.runs.config import RunConfig, check_name, load_config
from vlures.runs.event_loop import RunningTimeLoop
from vlures.runs.interrupt import Interruption
from vlures.runs.session import Outcome

if TYPE_CHECKING:
    import pandas

    from vlures.benchmarks import Parser
    from vlures.results.load import Outputs

CHECK_EVERY_S = 0.5
"""How often a waiting thread checks for an interruption: a signal alone wakes no loop, nor a blocked thread where the
system delivered it to another one."""

Config = RunConfig | str | os.PathLike[str]


def run(config: Config | None = None, /, **options: Any) -> Outcome:
    """Ask for every answer that is still missing, as the command `vlures run` does, and wait for it.

    config: a RunConfig or the path of a TOML file; options, named as in that file, override it. Works in a notebook
    too, where a loop is running: the loop's other tasks continue meanwhile.

    An interruption (Ctrl-C, the notebook's stop button) loses nothing that was received. Live, it stops sending and
    waits for the answers in flight, which are paid; a second one abandons them. Batches continue at the provider. Then
    KeyboardInterrupt is raised. The same call again continues the run.

    Raises UsageError for a wrong option, Incomplete where the run stopped early but can continue, VluresError where it
    cannot.
    """
    running = _BackgroundRun(_read_config(config, options))
    wait_for_end = _wait_in(_running_loop())
    try:
        running.start()
        wait_for_end(running.ended)
    except KeyboardInterrupt:
        running.stop()
        try:
            wait_for_end(running.ended)
        except KeyboardInterrupt:
            running.stop()
            wait_for_end(running.ended)
        running.report_error()
        raise
    return running.outcome()


async def run_async(config: Config | None = None, /, **options: Any) -> Outcome:
    """Like run, but awaitable. The loop stays free, also while data are read and requests are built.

    When its task is cancelled, it does what run does when interrupted, and then raises asyncio.CancelledError.
    """
    running = _BackgroundRun(_read_config(config, options))
    cancelled: asyncio.CancelledError | None = None
    running.start()
    ended = asyncio.wrap_future(running.ended)
    while not ended.done():
        try:
            await asyncio.wait([ended], timeout=CHECK_EVERY_S)
        except asyncio.CancelledError as error:
            cancelled = error
            running.stop()
    if cancelled is not None:
        running.report_error()
        raise cancelled
    return running.outcome()


class _BackgroundRun:
    """A run in a thread and a loop of its own."""

    def __init__(self, config: RunConfig) -> None:
        self.ended: Future[None] = Future()
        self._config = config
        self._interruption = Interruption(
            live=config.run_mode == "live", how="Interrupt", paid=is_paid(config.who.backend)
        )
        self._outcome: Outcome | None = None
        self._error: BaseException | None = None

    def start(self) -> None:
        # In the caller's context, so that a notebook shows the output under the running cell.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._carry_out,), name="vlures run").start()

    def stop(self) -> None:
        """Interrupt the run; see Interruption."""
        self._interruption.stop_threadsafe()

    def report_error(self) -> None:
        """Print what went wrong after an interruption, which is raised in any case."""
        if isinstance(self._error, VluresError):
            _say(str(self._error))

    def outcome(self) -> Outcome:
        """The outcome, once the run has ended. Raises what the run raised."""
        if self._error is not None:
            raise self._error
        assert self._outcome is not None
        return self._outcome

    def _carry_out(self) -> None:
        try:
            self._outcome = carry_out(self._config, self._interruption, self._watch, _say)
        except BaseException as error:  # noqa: BLE001 (raised again in the waiting thread)
            self._error = error
        finally:
            self.ended.set_result(None)

    def _watch(self, begin: Callable[[], Coroutine[Any, Any, None]], say: Callable[[str], None]) -> None:
        # nest_asyncio2 replaces asyncio.run where it has been applied.
        with asyncio.Runner(loop_factory=RunningTimeLoop) as runner:
            runner.run(self._interruption.watch(begin, say))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _wait_in(loop: asyncio.AbstractEventLoop | None) -> Callable[[Future[None]], object]:
    """How to wait in this thread for something to end. loop: the thread's running loop, if any.

    Raises UsageError for a loop that cannot run nested.
    """
    if loop is None:
        return _wait_for
    import nest_asyncio2  # type: ignore[import-untyped]

    task = asyncio.current_task(loop)
    try:
        nest_asyncio2.apply(loop)
    except ValueError as error:
        kind = f"{type(loop).__module__}.{type(loop).__qualname__}"
        raise UsageError(
            f"vlures.run cannot wait inside a running loop of the kind {kind}; write `await vlures.run_async(…)` "
            "instead."
        ) from error
    return lambda ended: loop.run_until_complete(_end_or_cancel(ended, task))


def _wait_for(ended: Future[None]) -> None:
    while not ended.done():
        wait([ended], timeout=CHECK_EVERY_S)


async def _end_or_cancel(ended: Future[None], task: asyncio.Task[Any] | None) -> None:
    """Wait for the end. Raises KeyboardInterrupt once the waiting task is cancelled: that is how loops pass on a
    Ctrl-C, and the task itself, in the middle of a call, would learn of it only after the end."""
    before = task.cancelling() if task else 0
    end = asyncio.wrap_future(ended)
    while not end.done():
        await asyncio.wait([end], timeout=CHECK_EVERY_S)
        if task and task.cancelling() > before:
            raise KeyboardInterrupt


def _read_config(config: Config | None, options: Mapping[str, Any]) -> RunConfig:
    for key in options:
        check_name(key, f"`{key}`")
    given = {key: _plain(value) for key, value in options.items()}
    if isinstance(config, RunConfig):
        return load_config(None, config.as_dict() | given, keywords=True)
    if config is not None and not isinstance(config, str | os.PathLike):
        raise UsageError(
            f"{config!r} is not a configuration; give a RunConfig, the path of a TOML file, or options by name."
        )
    return load_config(Path(config) if config is not None else None, given, keywords=True)


def _plain(value: Any) -> Any:
    """A value as a TOML file would have it: also for a path, a range or a numpy array."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | range | set | frozenset):
        return [_plain(inner) for inner in (sorted(value, key=repr) if isinstance(value, set | frozenset) else value)]
    return value.tolist() if hasattr(value, "tolist") else value


def load(output: Outputs) -> pandas.DataFrame:
    """All stored answers of a run as a table, one row each, whatever their status.

    output: the run's folder, a pattern such as outputs/*, a RunConfig, or several of these. The columns are the run's
    folder, those of `vlures export`, the article's file and the cost in USD by today's prices, empty where a price or
    the usage is unknown.

    Raises VluresError if a folder holds no run, a stored line is unreadable, or pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise VluresError(
            "vlures.load needs the package pandas; get it with `pip install 'vlures[pandas]'`, or write a table with "
            "`vlures export`."
        ) from error
    from vlures.benchmarks.columns import fit
    from vlures.results.load import find_runs, find_table_columns, read_answers

    runs = find_runs(output)
    kinds = find_table_columns(runs)
    columns: dict[str, list[Any]] = {name: [] for name in kinds}
    for answer in read_answers(runs, _say):
        for name, values in columns.items():
            values.append(fit(answer.row.get(name), kinds[name]))
    # Nullable types, so that token counts stay whole numbers.
    types: dict[type, Any] = {str: "string", int: "Int64", float: "Float64", bool: "boolean"}
    table = pandas.DataFrame({name: pandas.Series(columns[name], dtype=types[kind]) for name, kind in kinds.items()})
    # An unreadable time, as a text editor may leave it, becomes an empty value.
    table["time"] = pandas.to_datetime(table["time"], utc=True, format="ISO8601", errors="coerce")
    return table


def score(output: str | os.PathLike[str], parser: Parser = "strict") -> list[dict[str, Any]]:
    """The scores of a run, as its scores.json has them: an entry for each way in which its questions were asked. Writes
    the files that `vlures score` writes.

    output: the run's folder. parser: `legacy` reads answers as the benchmark's original evaluation does.

    Raises VluresError if the folder holds no run that can be scored, if its questions cannot be read, or if a package
    is missing.
    """
    from vlures.results.scores import describe_command, score_run

    folder = Path(output).expanduser()
    return [dict(each.scores.content) for each in score_run(folder, parser, describe_command(folder, parser), _say)]


def _say(sentence: str) -> None:
    from vlures.runs.screen import find_screen, find_stream
    from vlures.safety.control_characters import as_line

    print(as_line(sentence), file=find_stream(find_screen()), flush=True)
