"""Which path is served by what."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from vlures.sandbox import plain_server, status_pages
from vlures.sandbox.batch_runner import BatchRunner
from vlures.sandbox.exchange import Call, Reply
from vlures.sandbox.faults.kinds import LIVE_PLACES
from vlures.sandbox.gemini import batches as gemini_batches
from vlures.sandbox.gemini import files as gemini_files
from vlures.sandbox.gemini import live as gemini_live
from vlures.sandbox.openai import batches as openai_batches
from vlures.sandbox.openai import files as openai_files
from vlures.sandbox.openai import live as openai_live
from vlures.sandbox.state import State

Provider = Literal["openai", "gemini", "plain", "sandbox"]
Handler = Callable[[State, Call], Reply | Awaitable[Reply]]


@dataclass(frozen=True)
class Route:
    """One method of one path."""

    name: str
    """Its name in the statistics."""
    method: str
    path: str
    """In aiohttp's syntax: https://docs.aiohttp.org/en/stable/web_quickstart.html#variable-resources"""
    handler: Handler
    place: str = ""
    """The place where faults find it; empty for none."""

    @property
    def provider(self) -> Provider:
        """Whose protocol the route belongs to."""
        return provider_of(self.path)

    @property
    def is_live(self) -> bool:
        """Whether it answers a question at once."""
        return self.place in LIVE_PLACES

    @property
    def may_fetch(self) -> bool:
        """Whether its requests may name images by URLs, which take a while to fetch."""
        return self.place in ("chat", "responses", "plain")


def provider_of(path: str) -> Provider:
    """Whose path this is; an unknown one is refused in that provider's words."""
    if path.startswith("/openai/"):
        return "openai"
    if path.startswith("/plain/"):
        return "plain"
    return "gemini" if path.startswith("/gemini/") else "sandbox"


def make_routes(runner: BatchRunner) -> tuple[Route, ...]:
    """Every route of the sandbox. runner: what runs the batches that they create."""
    return (*_openai_routes(runner), *_gemini_routes(runner), *_PLAIN_ROUTES, *_STATUS_ROUTES)


def _openai_routes(runner: BatchRunner) -> tuple[Route, ...]:
    api = "/openai/v1"
    file, batch = f"{api}/files/{{file}}", f"{api}/batches/{{batch}}"
    create, cancel = partial(openai_batches.create_batch, runner), partial(openai_batches.cancel_batch, runner)
    return (
        Route("chat", "POST", f"{api}/chat/completions", openai_live.answer_chat, "chat"),
        Route("responses", "POST", f"{api}/responses", openai_live.answer_responses, "responses"),
        Route("models.openai", "GET", f"{api}/models", openai_live.list_models),
        Route("files.upload", "POST", f"{api}/files", openai_files.upload_file, "upload"),
        Route("files.list", "GET", f"{api}/files", openai_files.list_files),
        Route("files.show", "GET", file, openai_files.show_file),
        Route("files.content", "GET", f"{file}/content", openai_files.download_file, "content"),
        Route("files.delete", "DELETE", file, openai_files.delete_file, "delete"),
        Route("batches.create", "POST", f"{api}/batches", create, "create"),
        Route("batches.list", "GET", f"{api}/batches", openai_batches.list_batches, "list"),
        Route("batches.show", "GET", batch, openai_batches.show_batch, "status"),
        Route("batches.cancel", "POST", f"{batch}/cancel", cancel, "cancel"),
    )


def _gemini_routes(runner: BatchRunner) -> tuple[Route, ...]:
    version = "{version:v1(?:alpha|beta)?}"
    api = f"/gemini/{version}"
    model, file, batch = f"{api}/models/{{model:[^/:]+}}", "files/{file:[^/:]+}", f"{api}/batches/{{batch:[^/:]+}}"
    create, cancel = partial(gemini_batches.create_batch, runner), partial(gemini_batches.cancel_batch, runner)
    show_file, download = gemini_files.show_file, gemini_files.download_file
    content = ("gemini.files.content", "GET")
    return (
        Route("generateContent", "POST", f"{model}:generateContent", gemini_live.answer_generate, "gemini"),
        Route("models.gemini", "GET", f"{api}/models", gemini_live.list_models),
        Route("gemini.upload", "POST", f"/gemini/upload/{version}/files", gemini_files.upload, "gemini_upload"),
        Route("gemini.files.list", "GET", f"{api}/files", gemini_files.list_files),
        Route("gemini.files.show", "GET", f"{api}/{file}", show_file),
        Route(*content, f"{api}/{file}:download", download, "gemini_content"),
        Route(*content, f"/gemini/download/{version}/{file}:download", download, "gemini_content"),
        Route("gemini.files.delete", "DELETE", f"{api}/{file}", gemini_files.delete_file, "gemini_delete"),
        Route("gemini.batches.create", "POST", f"{model}:batchGenerateContent", create, "gemini_create"),
        Route("gemini.batches.list", "GET", f"{api}/batches", gemini_batches.list_batches, "gemini_list"),
        Route("gemini.batches.show", "GET", batch, gemini_batches.show_batch, "gemini_status"),
        Route("gemini.batches.cancel", "POST", f"{batch}:cancel", cancel, "gemini_cancel"),
        Route("gemini.batches.delete", "DELETE", batch, gemini_batches.delete_batch),
    )


_PLAIN_ROUTES = (
    Route("plain", "POST", "/plain/v1/chat/completions", plain_server.answer_chat, "plain"),
    Route("models.plain", "GET", "/plain/v1/models", plain_server.list_models),
)
_STATUS_ROUTES = (
    Route("ledger", "GET", "/sandbox/ledger", status_pages.show_ledger),
    Route("stats", "GET", "/sandbox/stats", status_pages.show_stats),
    Route("faults.show", "GET", "/sandbox/faults", status_pages.show_faults),
    Route("faults.add", "POST", "/sandbox/faults", status_pages.add_faults),
    Route("faults.clear", "DELETE", "/sandbox/faults", status_pages.clear_faults),
)
