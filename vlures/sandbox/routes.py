"""Which path is served by what."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from vlures.sandbox import live
from vlures.sandbox import status_pages as inspection
from vlures.sandbox.batch_runner import BatchRunner
from vlures.sandbox.exchange import Call, Reply
from vlures.sandbox.faults.kinds import LIVE_PLACES
from vlures.sandbox.gemini import batches as gemini_batches
from vlures.sandbox.gemini import files as gemini_files
from vlures.sandbox.openai import batches as openai_batches
from vlures.sandbox.openai import files as openai_files
from vlures.sandbox.state import State

Provider = Literal["openai", "gemini", "plain", "sandbox"]
Serve = Callable[[State, BatchRunner, Call], Reply | Awaitable[Reply]]


@dataclass(frozen=True)
class Route:
    """One path: its name in the statistics, the place where faults find it ("" for none), what serves it."""

    name: str
    provider: Provider
    method: str
    path: re.Pattern[str]
    place: str
    serve: Serve

    @property
    def is_live(self) -> bool:
        """Whether it answers a question at once."""
        return self.place in LIVE_PLACES

    @property
    def may_fetch(self) -> bool:
        """Whether its requests may name pictures by URLs, which take a while to fetch."""
        return self.place in ("chat", "responses", "plain")


def _plain(serve: Callable[[State, Call], Reply]) -> Serve:
    return lambda state, _runner, call: serve(state, call)


def _bare(serve: Callable[[State], Reply]) -> Serve:
    return lambda state, _runner, _call: serve(state)


def _route(name: str, path: str, place: str, serve: Serve) -> Route:
    method, _, pattern = path.partition(" ")
    provider: Provider = "sandbox"
    if pattern.startswith("/openai"):
        provider = "openai"
    elif pattern.startswith("/gemini"):
        provider = "gemini"
    elif pattern.startswith("/plain"):
        provider = "plain"
    return Route(name, provider, method, re.compile(pattern), place, serve)


_FILE = r"/openai/v1/files/(?P<file>[^/]+)"
_BATCH = r"/openai/v1/batches/(?P<batch>[^/]+)"
_GEMINI = r"/gemini/(?P<version>v1(?:alpha|beta)?)"
_MODELS = f"{_GEMINI}/models"
_GEMINI_FILE = f"{_GEMINI}/files/(?P<file>[^/:]+)"
_GEMINI_BATCH = f"{_GEMINI}/batches/(?P<batch>[^/:]+)"
_GEMINI_DOWNLOAD = r"/gemini/(?:download/)?(?P<version>v1(?:alpha|beta)?)/files/(?P<file>[^/:]+):download"

ROUTES = (
    _route("chat", "POST /openai/v1/chat/completions", "chat", _plain(live.answer_chat)),
    _route("responses", "POST /openai/v1/responses", "responses", _plain(live.answer_responses)),
    _route("plain", "POST /plain/v1/chat/completions", "plain", _plain(live.answer_plain_chat)),
    _route(
        "generateContent", rf"POST {_MODELS}/(?P<model>[^/:]+):generateContent", "gemini", _plain(live.answer_generate)
    ),
    _route("files.upload", "POST /openai/v1/files", "upload", _plain(openai_files.upload_file)),
    _route("files.list", "GET /openai/v1/files", "", _plain(openai_files.list_files)),
    _route("files.content", f"GET {_FILE}/content", "content", _plain(openai_files.download_file)),
    _route("files.show", f"GET {_FILE}", "", _plain(openai_files.show_file)),
    _route("files.delete", f"DELETE {_FILE}", "delete", _plain(openai_files.delete_file)),
    _route("batches.create", "POST /openai/v1/batches", "create", openai_batches.create_batch),
    _route("batches.list", "GET /openai/v1/batches", "list", _plain(openai_batches.list_batches)),
    _route("batches.show", f"GET {_BATCH}", "status", _plain(openai_batches.show_batch)),
    _route("batches.cancel", f"POST {_BATCH}/cancel", "cancel", openai_batches.cancel_batch),
    _route("models.openai", "GET /openai/v1/models", "", _bare(live.list_openai_models)),
    _route("models.plain", "GET /plain/v1/models", "", _bare(live.list_plain_models)),
    _route("models.gemini", f"GET {_MODELS}", "", _bare(live.list_gemini_models)),
    _route(
        "gemini.upload",
        r"POST /gemini/upload/(?P<version>v1(?:alpha|beta)?)/files",
        "gemini_upload",
        _plain(gemini_files.upload),
    ),
    _route("gemini.files.list", f"GET {_GEMINI}/files", "", _plain(gemini_files.list_files)),
    _route("gemini.files.show", f"GET {_GEMINI_FILE}", "", _plain(gemini_files.show_file)),
    _route("gemini.files.delete", f"DELETE {_GEMINI_FILE}", "gemini_delete", _plain(gemini_files.delete_file)),
    _route("gemini.files.content", f"GET {_GEMINI_DOWNLOAD}", "gemini_content", _plain(gemini_files.download_file)),
    _route(
        "gemini.batches.create",
        rf"POST {_MODELS}/(?P<model>[^/:]+):batchGenerateContent",
        "gemini_create",
        gemini_batches.create_batch,
    ),
    _route("gemini.batches.list", f"GET {_GEMINI}/batches", "gemini_list", _plain(gemini_batches.list_batches)),
    _route("gemini.batches.show", f"GET {_GEMINI_BATCH}", "gemini_status", _plain(gemini_batches.show_batch)),
    _route("gemini.batches.cancel", f"POST {_GEMINI_BATCH}:cancel", "gemini_cancel", gemini_batches.cancel_batch),
    _route("gemini.batches.delete", f"DELETE {_GEMINI_BATCH}", "", _plain(gemini_batches.delete_batch)),
    _route("ledger", "GET /sandbox/ledger", "", _bare(inspection.show_ledger)),
    _route("stats", "GET /sandbox/stats", "", _bare(inspection.show_stats)),
    _route("faults.show", "GET /sandbox/faults", "", _bare(inspection.show_faults)),
    _route("faults.add", "POST /sandbox/faults", "", _plain(inspection.add_faults)),
    _route("faults.clear", "DELETE /sandbox/faults", "", _bare(inspection.clear_faults)),
)


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a request with the words in its path (`file`, `batch`, `model`, `version`)."""
    for route in ROUTES:
        match = route.path.fullmatch(path) if route.method == method else None
        if match:
            return route, match.groupdict()
    return None


def provider_of(path: str) -> Provider:
    """Whose path this is, so that an unknown one is refused in that provider's words."""
    if path.startswith("/openai/"):
        return "openai"
    if path.startswith("/plain/"):
        return "plain"
    return "gemini" if path.startswith("/gemini/") else "sandbox"
