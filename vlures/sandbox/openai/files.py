"""OpenAI's files: upload, look up, list, download, delete."""

import re
import time
from collections.abc import Mapping
from pathlib import Path

from vlures.sandbox.exchange import Call, Form, Reply, json_reply
from vlures.sandbox.file_store import DEFAULT_LIFE_S, FileStore, StoredFile, new_id
from vlures.sandbox.openai.errors import (
    OpenAIError,
    invalid_value,
    missing_parameter,
    unknown_file,
)
from vlures.sandbox.openai.images import check_image
from vlures.sandbox.state import State

MAX_BATCH_FILE_BYTES = 200_000_000
PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
MIN_LIFE_S, MAX_LIFE_S = 3600, 2_592_000
MAX_LISTED = 10_000


def upload_file(state: State, call: Call) -> Reply:
    """Store an uploaded file."""
    form, upload = call.form, call.upload
    if form is None or upload is None:
        raise OpenAIError(400, "Could not parse multipart form")
    file = check_upload(form, upload)
    if file.purpose == "vision":
        check_image(state.image_cache.inspect_named(file.id, upload.read_bytes), "file")
    state.counts.add_upload(file.purpose, file.size)
    return json_reply(file_object(state.files.adopt(upload, file)))


def check_upload(form: Form, upload: Path) -> StoredFile:
    """The record of an uploaded file; raises OpenAIError as the provider does."""
    if form.filename is None:
        raise missing_parameter("file")
    if "purpose" not in form.fields:
        raise missing_parameter("purpose")
    purpose, size = form.fields["purpose"], upload.stat().st_size
    if purpose not in PURPOSES:
        raise invalid_value("purpose", purpose, PURPOSES)
    if purpose == "batch" and not form.filename.endswith(".jsonl"):
        raise OpenAIError(400, "Invalid file format for Batch API. Must be .jsonl")
    if purpose == "batch" and size > MAX_BATCH_FILE_BYTES:
        raise OpenAIError(400, "File is too large.")
    if size == 0:
        raise OpenAIError(400, "File is empty.", param="file")
    now = int(time.time())
    life_s = _read_lifetime(form.fields)
    if life_s is None and purpose == "batch":
        life_s = DEFAULT_LIFE_S
    expires_at = None if life_s is None else now + life_s
    return StoredFile(new_id("file-"), form.filename, purpose, size, now, expires_at)


def _read_lifetime(fields: Mapping[str, str]) -> int | None:
    names = ("expires_after[anchor]", "expires_after[seconds]")
    if not any(name in fields for name in names):
        return None
    for name in names:
        if name not in fields:
            raise missing_parameter(name)
    anchor = fields["expires_after[anchor]"]
    if anchor != "created_at":
        raise invalid_value("expires_after[anchor]", anchor, ("created_at",))
    return check_lifetime(fields["expires_after[seconds]"], "expires_after[seconds]")


def check_lifetime(text: object, name: str) -> int:
    """A file's lifetime in seconds, from an hour to thirty days; raises OpenAIError."""
    if not re.fullmatch(r"\d{1,9}", str(text)) or not MIN_LIFE_S <= int(str(text)) <= MAX_LIFE_S:
        raise OpenAIError(
            400,
            f"Invalid '{name}': expected an integer from {MIN_LIFE_S} to {MAX_LIFE_S}.",
            param=name,
            code="invalid_value",
        )
    return int(str(text))


def file_object(file: StoredFile) -> dict[str, object]:
    """The file object: https://platform.openai.com/docs/api-reference/files/object"""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size,
        "created_at": file.created_at,
        "expires_at": file.expires_at,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def show_file(state: State, call: Call) -> Reply:
    """One file's object."""
    return json_reply(file_object(_find(state.files, call)))


def download_file(state: State, call: Call) -> Reply:
    """A file's bytes."""
    file = _find(state.files, call)
    if file.is_dropped:
        raise content_dropped(file, status=410)
    state.spent_uploads.note_asked_for(file.id)
    return Reply(200, file=state.files.range_of(file), content_type="application/octet-stream")


def content_dropped(file: StoredFile, status: int, param: str | None = None) -> OpenAIError:
    """The sandbox's own error for an upload of which it keeps a digest only."""
    return OpenAIError(status, file.describe_dropped(), param=param, code="content_dropped")


def delete_file(state: State, call: Call) -> Reply:
    """Delete a file."""
    file = _find(state.files, call)
    state.files.delete(file.id)
    return json_reply({"id": file.id, "object": "file", "deleted": True})


def _find(files: FileStore, call: Call) -> StoredFile:
    file = files.find(call.path_values["file"])
    if file is None:
        raise unknown_file(call.path_values["file"])
    return file


def list_files(state: State, call: Call) -> Reply:
    """The files, newest first unless `order=asc`, page by page."""
    files = [file_object(file) for file in state.files.listing()]
    if "purpose" in call.query:
        files = [file for file in files if file["purpose"] == call.query["purpose"]]
    if call.query.get("order") == "asc":
        files.reverse()
    return json_reply(page(files, call.query, most=MAX_LISTED, default=MAX_LISTED))


def page(items: list[dict[str, object]], query: Mapping[str, str], *, most: int, default: int) -> dict[str, object]:
    """One page of a list: `limit` items after the one whose id is `after`."""
    limit_text = query.get("limit", str(default))
    if not limit_text.isdecimal() or not 1 <= int(limit_text) <= most:
        raise OpenAIError(
            400,
            f"Invalid 'limit': expected an integer from 1 to {most}, but got '{limit_text}' instead.",
            param="limit",
            code="invalid_value",
        )
    start = 0
    if query.get("after"):
        ids = [item["id"] for item in items]
        if query["after"] not in ids:
            raise OpenAIError(404, f"No such object: {query['after']}", param="after")
        start = ids.index(query["after"]) + 1
    end = start + int(limit_text)
    shown = items[start:end]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": end < len(items),
    }
