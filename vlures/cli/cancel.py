"""`vlures cancel`"""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlures.cli.console import EXIT_INCOMPLETE, EXIT_INTERRUPTED, say, tell
from vlures.cli.options import GroupedCommand, config_options, only_run
from vlures.cli.signals import run_until_signal
from vlures.cli.streams import enduring
from vlures.cli.suggestions import suggest_runs
from vlures.config.environment import read_environment
from vlures.errors import LockLost, VluresError, counted
from vlures.files.writing import NotWritable
from vlures.runs.config import RunConfig

if TYPE_CHECKING:
    from vlures.benchmarks import BenchmarkPackage
    from vlures.runs.run_log import RunLog
    from vlures.store.checkpoints import CheckpointStore

ADVICE = "stop it first (Ctrl-C leaves its batches alive), then cancel them"


@click.command(cls=GroupedCommand, groups=("Who answers", "What is stored", "Running"))
@click.argument("folder", required=False, type=click.Path(path_type=Path), shell_complete=suggest_runs)
@config_options
def cancel(config: RunConfig, folder: Path | None) -> int:
    """Cancel a run's batches and keep the answers they have.

    Sends nothing. FOLDER is the run's; by default the configuration's, or the only one under outputs/. Requests that
    the batches left unanswered are due: a later run sends them.

    \b
    Example:
      vlures cancel outputs/gpt-6-luna
    """
    from vlures.benchmarks import require_stored_variants
    from vlures.runs.run_log import RunLog
    from vlures.store.checkpoints import CheckpointStore
    from vlures.store.lock import hold_folder

    folder = folder or only_run(config)
    stored_variants = require_stored_variants(folder)
    codes = []
    with enduring("stdout"), hold_folder(folder, ADVICE, say) as held, closing(RunLog.of_environment()) as log:
        log.open(folder)
        for package, variant in stored_variants:
            with closing(CheckpointStore(folder, variant, say=log.tee(say), guard=held.check)) as store:
                codes.append(_cancel_jobs(config, folder, package, store, log))
    return max(codes)


def _cancel_jobs(today: RunConfig, folder: Path, package: BenchmarkPackage, store: CheckpointStore, log: RunLog) -> int:
    """Cancel the jobs of one variant, print the outcome, return the exit code."""
    from collections import Counter

    from vlures.backends import Setup, connect_batch
    from vlures.results.files import write_results
    from vlures.runs.cancel import cancel as cancel_jobs
    from vlures.runs.interrupt import Interruption
    from vlures.runs.prepare import prepare_cancel
    from vlures.runs.progress import Progress
    from vlures.runs.rehearsal_files import STATE_FOLDER
    from vlures.sandbox.child import running_sandbox

    jobs, find_fault = store.open_jobs(), package.find_fault(store.variant)
    if not jobs:
        tell(f"{folder} has no batch under way.")
        return 0
    interruption = Interruption(live=False)
    with ExitStack() as stack:
        prepared = prepare_cancel(store, today, say)
        config, prices = prepared.config, prepared.prices
        spending = stack.enter_context(closing(prepared.spending))
        sandbox_url = (
            stack.enter_context(running_sandbox(folder / STATE_FOLDER, ())) if config.rehearsal.sandbox else None
        )
        progress = stack.enter_context(closing(Progress(sum(len(job.requests) for job in jobs), 0, log=log.write)))
        backend = connect_batch(
            Setup(config.backend_options, read_environment(), sandbox_url, store, progress, interruption.keep_going)
        )
        stored: Counter[str] = Counter()
        failed = True
        try:
            run_until_signal(
                interruption,
                lambda: cancel_jobs(store, backend, progress, stored, spending, find_fault),
                progress.say,
            )
            failed = False
        finally:
            progress.close()
            try:
                write_results(folder, config.run_name, store, prices, find_fault)
                _conclude(package, store)
            except (LockLost, NotWritable) as fault:
                if not failed:
                    raise
                say(str(fault))  # the reason that ended the work matters more
            tags = {job.tag for job in jobs}
            left = sum(job.tag in tags for job in store.open_jobs())
            tell(
                f"{folder}: {len(jobs) - left} of {counted(len(jobs), 'batch')} ended, "
                f"{counted(stored.total(), 'answer')} stored; what was left unanswered is due. Nothing was sent."
            )
    if interruption.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_INCOMPLETE if store.open_jobs() else 0


def _conclude(package: BenchmarkPackage, store: CheckpointStore) -> None:
    """Write what is derived from the answers. What it takes may be gone; batches are cancelled all the same."""
    try:
        package.conclude(store.read_json("run.json"), store)
    except (LockLost, NotWritable):
        raise
    except VluresError as error:
        say(f"{error} What is derived from its replies stays as it was; `vlures judge` writes it again.")
