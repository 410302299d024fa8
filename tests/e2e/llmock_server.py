"""llmock, a server that others wrote, in a process of its own on loopback: `python -m tests.e2e.llmock_server [--rpm
N]`.

It prints its address, and ends when its standard input is closed. Started by its own `llmock serve` it would neither
choose a free port and name it nor end with whoever started it; and three things have to be fixed from outside:

- It serves Gemini under `/gemini/v1beta` only (its README names google-genai 2.25). Since 3.0 that SDK asks under `/v1`
(README of google-genai 3.4), as we do, so that path leads to the same place. - A batch of its is done after three
seconds, which no option of its changes. - Being on loopback it is asked whether it is a sandbox, which is no request to
a model and must not use up a scripted fault.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn
from llmock.main import create_app
from llmock.ratelimit import LimitSettings
from llmock.routers import batch

BATCH_S = 0.2

App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


def serve_around(app: App) -> App:
    """The same application, with Gemini's stable version of the API beside its preview. It says itself that it is no
    sandbox."""

    async def serve(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        path = str(scope.get("path", ""))
        if path.startswith("/gemini/v1/"):
            scope = {**scope, "path": path.replace("/gemini/v1/", "/gemini/v1beta/", 1)}
        if path.startswith("/sandbox/"):
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, send)

    return serve


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rpm", type=int, help="most requests a minute of one provider and key")
    batch._BATCH_DELAY = BATCH_S
    app = create_app(limits=LimitSettings(rpm=parser.parse_args().rpm))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(serve_around(app), log_level="warning", lifespan="off"))

    def end_with_stdin() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end_with_stdin, daemon=True).start()
    print(f"llmock listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
