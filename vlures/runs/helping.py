"""A process that helps another one of the same run, which holds the run's folder."""

from __future__ import annotations

from collections.abc import Callable

from vlures.backends.provider import Helper
from vlures.runs.carry_out import Watch
from vlures.runs.config import RunConfig
from vlures.runs.interrupt import Interruption
from vlures.runs.prepare import prepare, requests_of


def help_run(
    config: RunConfig, helper: Helper, interruption: Interruption, watch: Watch, say: Callable[[str], None]
) -> None:
    """Do this process's share. The one that holds the run says everything else.

    Raises what `prepare` raises, and VluresError where the processes do not fit together.
    """
    prepared = prepare(config, lambda _: None)
    options = prepared.config.backend_options
    watch(lambda: helper.help(options, lambda: requests_of(prepared.benchmark), interruption.keep_going, say), say)
