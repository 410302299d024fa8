"""A gateway in front of the sandbox that refuses some calls by itself, as real ones do."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

Reply = tuple[int, Mapping[str, str], str]
"""Status, headers, body."""
HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})


@dataclass
class Call:
    """A call that has reached the gateway."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Gateway:
    """Where it listens, and the calls that it has refused."""

    url: str = ""
    refused: list[Call] = field(default_factory=list)
    passed: list[Call] = field(default_factory=list)


@contextmanager
def gateway(behind: str, refuse: Callable[[Call], Reply | None]) -> Iterator[Gateway]:
    """Forward every call to the server behind it, except those that `refuse` answers."""
    target = urlsplit(behind)
    made = Gateway()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            call = Call(self.command, self.path, dict(self.headers), body)
            if (reply := refuse(call)) is not None:
                made.refused.append(call)
                self.answer(reply[0], reply[1].items(), reply[2].encode())
                return
            made.passed.append(call)
            connection = http.client.HTTPConnection(target.hostname or "", target.port)
            headers = {name: value for name, value in call.headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request(self.command, target.path + self.path, body=body, headers=headers)
            answer = connection.getresponse()
            data = answer.read()
            given = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]
            # Addresses that the server gives for the parts of an upload lead past the gateway otherwise.
            given = [(name, value.replace(behind, made.url)) for name, value in given]
            self.answer(answer.status, given, data)
            connection.close()

        def do_GET(self) -> None:
            self.forward()

        def do_POST(self) -> None:
            self.forward()

        def do_DELETE(self) -> None:
            self.forward()

        def answer(self, status: int, headers: Iterable[tuple[str, str]], data: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        made.url = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()
