"""A small server in the shape of the Hugging Face Hub: one dataset, its revisions, its files, and faults.

Its routes and headers are those that the Hub's own client (huggingface_hub 2.4) asks for when it downloads: a dataset's
info, the list of a revision's files (in pages), and `resolve`, which answers itself for what lies in Git and redirects
to another path for what lies in Git LFS.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 3
"""Files in a page of the list."""
LFS_SUFFIXES = (".parquet", ".png", ".jpg")


@dataclass(frozen=True)
class Seen:
    """A request that the server has seen."""

    method: str
    path: str
    range: str | None
    """Its Range header."""
    token: str | None
    """Its Authorization header."""


@dataclass
class Hub:
    """What the server offers and how it misbehaves."""

    name: str
    revisions: dict[str, dict[str, bytes]]
    """Commit → path → bytes; the last one is `main`."""
    card: Mapping[str, Any] = field(default_factory=lambda: {"license": "cc-by-nc-sa-4.0"})
    wrong: Counter[str] = field(default_factory=Counter)
    """Path → how often it is sent with one byte changed."""
    cut: dict[str, int] = field(default_factory=dict)
    """Path → after how many bytes the connection is lost, once."""
    status: int | None = None
    """With which every request is answered."""
    error_code: str | None = None
    """The Hub's own word for that status."""
    hold: str | None = None
    """Path in the middle of which the server waits for `let_go`."""
    held: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    @property
    def newest(self) -> str:
        return list(self.revisions)[-1]

    def fetched(self) -> Counter[str]:
        """How often each file's bytes were asked for."""
        paths = (unquote(seen.path) for seen in self.seen if seen.method == "GET")
        resolved = (re.fullmatch(r"/datasets/.+/resolve/[^/]+/(.+)|/files/[^/]+/(.+)", path) for path in paths)
        return Counter(match[1] or match[2] for match in resolved if match)

    def find(self, revision: str) -> str | None:
        revision = self.newest if revision == "main" else revision
        return revision if revision in self.revisions else None


def commit(number: int) -> str:
    """A commit's hash, as the Hub writes it."""
    return hashlib.sha1(str(number).encode()).hexdigest()


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def list_file(path: str, data: bytes) -> dict[str, Any]:
    """A file as the Hub's list of a revision has it."""
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": blob_id(data)}
    if path.endswith(LFS_SUFFIXES):
        pointer = b"pointer to " + path.encode()
        lfs = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": len(pointer)}
        entry |= {"oid": blob_id(pointer), "lfs": lfs}
    return entry


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: HubServer

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (the base class's name)
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path)
        self.hub.seen.append(
            Seen(self.command, address.path, self.headers.get("Range"), self.headers.get("Authorization"))
        )
        if self.hub.status is not None:
            return self.refuse(self.hub.status, self.hub.error_code)
        if match := re.fullmatch(rf"/api/datasets/{self.hub.name}(?:/revision/(.+))?", path):
            return self.send_info(match[1] or "main")
        if match := re.fullmatch(rf"/api/datasets/{self.hub.name}/tree/([^/]+)", path):
            return self.send_list(match[1], int(parse_qs(address.query).get("from", ["0"])[0]))
        if match := re.fullmatch(rf"/datasets/{self.hub.name}/resolve/([^/]+)/(.+)", path):
            return self.resolve(match[1], match[2])
        if match := re.fullmatch(r"/files/([^/]+)/(.+)", path):
            return self.send_file(match[2], self.hub.revisions[match[1]][match[2]])
        return self.refuse(401, "RepoNotFound")  # so the Hub answers strangers

    def refuse(self, status: int, code: str | None) -> None:
        self.send({"error": "no"}, status, {"X-Error-Code": code} if code else {})

    def send(self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_info(self, revision: str) -> None:
        sha = self.hub.find(revision)
        if sha is None:
            return self.refuse(404, "RevisionNotFound")
        siblings = [{"rfilename": path} for path in self.hub.revisions[sha]]
        info = {"id": self.hub.name, "sha": sha, "private": False, "gated": False, "siblings": siblings}
        return self.send(info | {"cardData": dict(self.hub.card), "tags": [], "downloads": 0, "likes": 0})

    def send_list(self, revision: str, start: int) -> None:
        sha = self.hub.find(revision)
        if sha is None:
            return self.refuse(404, "RevisionNotFound")
        entries: list[dict[str, Any]] = [{"type": "directory", "path": "train", "oid": "0" * 40, "size": 0}]
        entries += [list_file(path, data) for path, data in self.hub.revisions[sha].items()]
        more = f"{self.hub.url}/api/datasets/{self.hub.name}/tree/{sha}?recursive=True&from={start + PAGE}"
        headers = {"Link": f'<{more}>; rel="next"'} if start + PAGE < len(entries) else {}
        return self.send(entries[start : start + PAGE], headers=headers)

    def resolve(self, revision: str, path: str) -> None:
        sha = self.hub.find(revision)
        data = self.hub.revisions[sha].get(path) if sha else None
        if sha is None or data is None:
            return self.refuse(404, "EntryNotFound")
        entry = list_file(path, data)
        if "lfs" not in entry:
            return self.send_file(path, data, {"X-Repo-Commit": sha, "ETag": f'"{entry["oid"]}"'})
        # Another name for this machine: the Hub's files are with a host of their own, which is not shown the token.
        elsewhere = self.hub.url.replace("127.0.0.1", "localhost")
        self.send_response(302)
        self.send_header("X-Repo-Commit", sha)
        self.send_header("X-Linked-Etag", f'"{entry["lfs"]["oid"]}"')
        self.send_header("X-Linked-Size", str(len(data)))
        self.send_header("Location", f"{elsewhere}/files/{sha}/{path}")
        self.send_header("Content-Length", "0")
        return self.end_headers()

    def send_file(self, path: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        if self.hub.wrong[path] > 0:
            self.hub.wrong[path] -= 1
            data = bytes([data[0] ^ 1]) + data[1:]
        start = int(re.findall(r"\d+", self.headers.get("Range") or "0")[0])
        self.send_response(206 if start else 200)
        for name, value in {"Content-Length": str(len(data) - start), **(headers or {})}.items():
            self.send_header(name, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        end = self.hub.cut.pop(path, len(data))
        if path == self.hub.hold:
            self.wfile.write(data[start : len(data) // 2])
            self.wfile.flush()
            self.hub.held.set()
            self.hub.let_go.wait(60)
            start = len(data) // 2
        with suppress(ConnectionError):
            self.wfile.write(data[start:end])
        self.close_connection = end < len(data)


class HubServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub = hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is not a fault of the server."""


@contextmanager
def running_hub(hub: Hub) -> Iterator[Hub]:
    """Serve on loopback until the block ends."""
    server = HubServer(hub)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.let_go.set()
        server.shutdown()
        server.server_close()
