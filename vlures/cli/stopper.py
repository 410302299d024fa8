"""What Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine
from typing import Any

from vlures.stopper import Stopper


async def heed_signals(stopper: Stopper, work: Coroutine[Any, Any, None], say: Callable[[str], None]) -> None:
    """Run the work to its end, or until Ctrl-C or a wish to terminate stops it."""
    import asyncio

    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stopper.stop)
    try:
        await stopper.watch(work, say)
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
