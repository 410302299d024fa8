"""The door for programs and notebooks: run, run_async and load.

A run goes on in a thread and a loop of its own. So a caller's loop is never held up, and an interruption, which Python raises
wherever the main thread happens to be, never falls between an answer's arrival and its place in the store.
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

from vlures.errors import UsageError, VluresError
from vlures.runs.config import RunConfig, check_name, load_config
from vlures.runs.event_loop import RunningTimeLoop
from vlures.runs.interrupt import Stopper
from vlures.runs.session import Outcome, carry_out

if TYPE_CHECKING:
    import pandas

    from vlures.results.load import Outputs

LOOK_EVERY_S = 0.5
"""Whoever waits hears of an interruption only when it looks up: a signal alone wakes no loop, and no thread that is blocked
where the system gave the signal to another one."""

Config = RunConfig | str | os.PathLike[str]


def run(config: Config | None = None, /, **options: Any) -> Outcome:
    """Ask for every answer that is still missing, as the command `vlures run` does, and wait for it.

    config: a RunConfig or the path of a TOML file; options, by the names that they have in it, win over it. Works in a
    notebook too, where a loop is running: the loop's other tasks go on meanwhile.

    An interruption (Ctrl-C, the notebook's stop button) loses nothing that was received. Live, it ends the sending and waits for
    the answers in flight, which are paid; a second one leaves them. Batches live on at the provider. Then KeyboardInterrupt is
    raised. The same call again goes on.

    Raises UsageError for a wrong option, Incomplete where the run stopped early but can go on, VluresError where it cannot.
    """
    work = _Work(_read_config(config, options))
    wait_for_end = _wait_in(_running_loop())
    try:
        work.start()
        wait_for_end(work.ended)
    except KeyboardInterrupt:
        work.stop()
        try:
            wait_for_end(work.ended)
        except KeyboardInterrupt:
            work.stop()
            wait_for_end(work.ended)
        work.tell_error()
        raise
    return work.outcome()


async def run_async(config: Config | None = None, /, **options: Any) -> Outcome:
    """What run does, to be awaited. The loop is free meanwhile, also while data are read and requests built.

    When its task is cancelled, it does what run does when it is interrupted, and then raises asyncio.CancelledError.
    """
    work = _Work(_read_config(config, options))
    cancelled: asyncio.CancelledError | None = None
    work.start()
    ended = asyncio.wrap_future(work.ended)
    while not ended.done():
        try:
            await asyncio.wait([ended], timeout=LOOK_EVERY_S)
        except asyncio.CancelledError as error:
            cancelled = error
            work.stop()
    if cancelled is not None:
        work.tell_error()
        raise cancelled
    return work.outcome()


class _Work:
    """A run in a thread and a loop of its own."""

    def __init__(self, config: RunConfig) -> None:
        self.ended: Future[None] = Future()
        self._config = config
        self._stopper = Stopper(live=config.run_mode == "live", how="Interrupt")
        self._outcome: Outcome | None = None
        self._error: BaseException | None = None

    def start(self) -> None:
        # In the caller's context, so that a notebook shows what is said under the cell that runs.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._carry_out,), name="vlures run").start()

    def stop(self) -> None:
        """Interrupt it, as the Stopper says."""
        self._stopper.stop_from_outside()

    def tell_error(self) -> None:
        """Say what went wrong after an interruption, which is raised all the same."""
        if isinstance(self._error, VluresError):
            _say(str(self._error))

    def outcome(self) -> Outcome:
        """What came of it, once it has ended. Raises what it raised."""
        if self._error is not None:
            raise self._error
        assert self._outcome is not None
        return self._outcome

    def _carry_out(self) -> None:
        try:
            self._outcome = carry_out(self._config, self._stopper, self._watch, _say)
        except BaseException as error:  # noqa: BLE001 (handed over to whoever waits)
            self._error = error
        finally:
            self.ended.set_result(None)

    def _watch(self, work: Coroutine[Any, Any, None], say: Callable[[str], None]) -> None:
        # asyncio.run would be another's where nest_asyncio2 has been applied.
        with asyncio.Runner(loop_factory=RunningTimeLoop) as runner:
            runner.run(self._stopper.watch(work, say))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _wait_in(loop: asyncio.AbstractEventLoop | None) -> Callable[[Future[None]], object]:
    """How to wait for something in this thread, whose loop is running, if there is one.

    Raises UsageError for a loop that cannot go on while it is waited in.
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
            f"vlures.run cannot wait inside a running loop of the kind {kind}; write `await vlures.run_async(…)` instead."
        ) from error
    return lambda ended: loop.run_until_complete(_end_or_cancel(ended, task))


def _wait_for(ended: Future[None]) -> None:
    while not ended.done():
        wait([ended], timeout=LOOK_EVERY_S)


async def _end_or_cancel(ended: Future[None], task: asyncio.Task[Any] | None) -> None:
    """Wait for the end. Raises KeyboardInterrupt once the task that waits is cancelled: so loops pass on a Ctrl-C, and the
    task itself, being in the middle of a call, would hear of it when all is over."""
    before = task.cancelling() if task else 0
    end = asyncio.wrap_future(ended)
    while not end.done():
        await asyncio.wait([end], timeout=LOOK_EVERY_S)
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
            f"{config!r} is no configuration; give a RunConfig, the path of a TOML file, or options by their names."
        )
    return load_config(Path(config) if config is not None else None, given, keywords=True)


def _plain(value: Any) -> Any:
    """A value as a TOML file would have it: also of a path, a range, an array of numpy's."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | range | set | frozenset):
        return [_plain(inner) for inner in (sorted(value, key=repr) if isinstance(value, set | frozenset) else value)]
    return value.tolist() if hasattr(value, "tolist") else value


def load(output: Outputs) -> pandas.DataFrame:
    """All stored answers of a run as a table, a row each, whatever its status.

    output: the run's folder, a pattern such as outputs/*, a RunConfig, or several of these. The columns are those of `vlures
    export`, with the run's folder before them, the article's file and the cost behind: USD by today's prices, empty where a
    price or the usage is not known.

    Raises VluresError if a folder holds no run, a stored line cannot be read, or pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise VluresError(
            "vlures.load needs the package pandas; get it with `pip install 'vlures[pandas]'`, or write a table with `vlures export`."
        ) from error
    from vlures.results.load import find_runs, find_table_columns, read_answers

    runs = find_runs(output)
    kinds = find_table_columns(runs)
    columns: dict[str, list[Any]] = {name: [] for name in kinds}
    for answer in read_answers(runs, _say):
        for name, values in columns.items():
            values.append(answer.row.get(name))
    # Types that know an empty place, so that a number of tokens stays a whole one.
    types: dict[type, Any] = {str: "string", int: "Int64", float: "Float64", bool: "boolean"}
    table = pandas.DataFrame({name: pandas.Series(columns[name], dtype=types[kind]) for name, kind in kinds.items()})
    # What is no time, as somebody's editor may leave it, is an empty place.
    table["time"] = pandas.to_datetime(table["time"], utc=True, format="ISO8601", errors="coerce")
    return table


def _say(sentence: str) -> None:
    from vlures.runs.progress import find_screen, find_stream
    from vlures.safety.control_characters import as_line

    print(as_line(sentence), file=find_stream(find_screen()), flush=True)
