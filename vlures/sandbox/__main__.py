"""`python -m vlures.sandbox`: a sandbox in a process of its own, without the rest of the program."""

import argparse
import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn

from vlures.errors import VluresError
from vlures.safety.control_characters import as_line
from vlures.sandbox import FAULT_KINDS, SandboxSettings, parse_fault, serve
from vlures.sandbox.settings import RequestCheck


def main(
    argv: list[str] | None = None, name: str = "python -m vlures.sandbox", check_request: RequestCheck | None = None
) -> int:
    """Read the options, serve, and return the exit code.

    name: the command as its help shows it. check_request: an additional check of every request (`SandboxSettings`).
    """
    options = _parser(name).parse_args(argv)
    if options.list_faults:
        for kind, text in FAULT_KINDS.items():
            print(f"{kind:18}{text}")
        return 0
    try:
        settings = SandboxSettings(
            port=options.port,
            state_dir=options.state,
            batch_s=options.batch_seconds,
            parallel_batches=options.parallel_batches,
            latency_s=options.latency,
            api_key=options.api_key,
            models=tuple(options.model),
            faults=tuple(parse_fault(text) for text in options.fault),
            keep_uploads=options.keep_uploads,
            seed=options.seed,
            check_request=check_request,
            queue_tokens=options.queue_tokens,
            plain_lacks=tuple(options.plain_lacks),
            plain_reasoning=options.plain_reasoning,
        )
        asyncio.run(_serve_until_ended(settings, until_stdin_closes=options.until_stdin_closes))
    except VluresError as error:
        print(as_line(error), file=sys.stderr)
        return 2
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(as_line(message))


def _port(text: str) -> int:
    """Raises ValueError, which argparse reports as an invalid port."""
    port = int(text)
    if not 0 <= port < 1 << 16:
        raise ValueError
    return port


_port.__name__ = "port"  # the word in that report


def _parser(name: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=name,
        description="Serve OpenAI's and Gemini's protocols on loopback, with synthetic answers and faults on request.",
        epilog=f"Example: {name} --port 8080 --fault 429@gemini:rate=0.1",
    )
    parser.add_argument("--port", type=_port, default=0, help="port on 127.0.0.1 (0: any free one)")
    parser.add_argument("--state", type=Path, help="folder that keeps files, batches and ledger across restarts")
    parser.add_argument("--fault", action="append", default=[], metavar="KIND[@PLACE][:key=value,...]")
    parser.add_argument("--latency", type=float, default=0.0, help="total seconds that a live answer takes")
    parser.add_argument("--batch-seconds", type=float, default=2.0, help="seconds that a batch takes")
    parser.add_argument("--parallel-batches", type=int, default=0, help="how many batches run at a time (0: all)")
    parser.add_argument("--keep-uploads", action="store_true", help="keep the uploads of batches that have ended")
    parser.add_argument("--api-key", help="the only key accepted (default: any)")
    parser.add_argument("--model", action="append", default=[], help="a model that exists (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other wordings and other random faults")
    parser.add_argument("--queue-tokens", type=int, help="limit on the prompt tokens of unfinished batches")
    parser.add_argument(
        "--plain-lacks", action="append", default=[], metavar="NAME", help="a request field that /plain refuses"
    )
    parser.add_argument("--plain-reasoning", action="store_true", help="/plain returns its reasoning too")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when stdin closes")
    parser.add_argument("--list-faults", action="store_true", help="print the kinds of faults and exit")
    return parser


async def _serve_until_ended(settings: SandboxSettings, *, until_stdin_closes: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    if until_stdin_closes:
        threading.Thread(target=_watch_stdin, args=(loop, ended), daemon=True).start()
    serving = asyncio.create_task(serve(settings, _announce))
    waiting = asyncio.create_task(ended.wait())
    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    serving.cancel()
    try:
        await serving
    except asyncio.CancelledError:
        return


def _announce(base_url: str) -> None:
    print(f"vlures sandbox listening on {base_url}", flush=True)


def _watch_stdin(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """Wait for the end of stdin, which closes when the parent dies, however it dies."""
    while os.read(0, 65536):
        pass
    loop.call_soon_threadsafe(ended.set)


if __name__ == "__main__":
    sys.exit(main())
