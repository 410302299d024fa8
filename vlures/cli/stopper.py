"""What Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from vlures.config import RunConfig


class Stopper:
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
