"""Gemini's files: resumable upload, look up, list, download, delete."""

import base64
import re
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from vlures.sandbox.exchange import Call, Reply, json_reply
from vlures.sandbox.file_store import StoredFile
from vlures.sandbox.gemini.errors import GeminiError, bad_request, file_gone
from vlures.sandbox.gemini.fields import pick, timestamp
from vlures.sandbox.gemini.uploads import UploadSession, short_id
from vlures.sandbox.state import State

MAX_FILE_BYTES = 2 << 30
LIFE_S = 48 * 3600
MAX_ID_LENGTH = 40
MAX_DISPLAY_NAME_LENGTH = 512
MAX_LISTED, DEFAULT_LISTED = 100, 10
GENERATED = "batch_output"
_FILE_ID = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_GRANULARITY = "262144"


def continues_upload(state: State, place: str, call: Call) -> bool:
    """Whether a request is a piece of an upload: its secret URL is the key, and google-genai sends no other."""
    return place == "gemini_upload" and state.gemini_uploads.find(call.query.get("upload_id", "")) is not None


def upload(state: State, call: Call) -> Reply:
    """One step of a resumable upload: `start`, then bytes, queries, and the end or cancellation."""
    commands = {word.strip() for word in call.headers.get("x-goog-upload-command", "").split(",")}
    if "start" in commands:
        return _start(state, call)
    session = state.gemini_uploads.find(call.query.get("upload_id", ""))
    if session is None:
        raise GeminiError(404, "There is no such upload; start it with the command start.")
    if "cancel" in commands:
        state.gemini_uploads.abandon(session)
        return Reply(200, headers={"X-Goog-Upload-Status": "cancelled"})
    if "query" in commands:
        return _progress(session)
    if not commands & {"upload", "finalize"}:
        raise bad_request("An upload needs the header X-Goog-Upload-Command.")
    if session.file is None and "upload" in commands:
        _append(session, call)
    if "finalize" not in commands:
        return _progress(session)
    file = session.file or _finish(state, session)
    return json_reply({"file": document(file, call)}, headers=_status(session))


def _start(state: State, call: Call) -> Reply:
    if call.headers.get("x-goog-upload-protocol") != "resumable":
        raise bad_request("The sandbox accepts uploads with the header X-Goog-Upload-Protocol: resumable only.")
    body = _read_start(call)
    violation = state.violation("gemini upload", body, "file upload")
    if violation:
        raise bad_request(violation)
    file = body.get("file") or {}
    announced = call.headers.get("x-goog-upload-header-content-length", "")
    if announced.isdecimal() and int(announced) > MAX_FILE_BYTES:
        raise bad_request(f"The file is too large: at most {MAX_FILE_BYTES} bytes are accepted.")
    session = state.gemini_uploads.begin(
        _wanted_id(state, file),
        str(pick(file, "displayName") or "")[:MAX_DISPLAY_NAME_LENGTH],
        str(call.headers.get("x-goog-upload-header-content-type") or pick(file, "mimeType") or ""),
        int(announced) if announced.isdecimal() else None,
    )
    path = f"/gemini/upload/{call.path_values['version']}/files"
    url = f"http://{call.headers.get('host', '127.0.0.1')}{path}?upload_id={session.id}&upload_protocol=resumable"
    names = {"X-Goog-Upload-URL": url, "X-Goog-Upload-Control-URL": url, "X-GUploader-UploadID": session.id}
    return Reply(200, headers={**names, "X-Goog-Upload-Chunk-Granularity": _GRANULARITY, **_status(session)})


def _read_start(call: Call) -> dict[str, Any]:
    data = call.upload.read_bytes() if call.upload else call.body
    try:
        body = msgspec.json.decode(data) if data else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("file", {}), dict):
        raise bad_request("Invalid JSON payload received. Expected an object with the file's metadata.")
    return body


def _wanted_id(state: State, file: dict[str, Any]) -> str:
    """The id that the client chose, or a random one."""
    name = str(file.get("name") or "").removeprefix("files/")
    if not name:
        return short_id(12)
    if len(name) > MAX_ID_LENGTH or not _FILE_ID.fullmatch(name):
        raise bad_request(f"* CreateFileRequest.file.name: 'files/{name}' is not a valid file name.\n")
    if state.gemini_files.find(name):
        raise GeminiError(409, f"The file {name} exists already.", name="ALREADY_EXISTS")
    return name


def _append(session: UploadSession, call: Call) -> None:
    offset = call.headers.get("x-goog-upload-offset", "")
    if offset != str(session.received):
        raise bad_request(
            f"The upload has {session.received} bytes; a piece at offset {offset or '?'} does not follow."
        )
    if call.upload is not None:
        session.append(call.upload)


def _finish(state: State, session: UploadSession) -> StoredFile:
    if session.announced not in (None, session.received):
        raise bad_request(f"The upload was announced with {session.announced} bytes and has {session.received}.")
    now = int(time.time())
    name, mime = session.display_name, session.mime or "application/octet-stream"
    file = StoredFile(session.file_id, name, "upload", session.received, now, now + LIFE_S, mime, session.sha256)
    session.file = state.gemini_files.adopt(session.path, file)
    state.counts.add_upload("gemini", session.received)
    return file


def _progress(session: UploadSession) -> Reply:
    return Reply(200, headers={"X-Goog-Upload-Size-Received": str(session.received), **_status(session)})


def _status(session: UploadSession) -> dict[str, str]:
    return {"X-Goog-Upload-Status": "final" if session.file else "active"}


def document(file: StoredFile, call: Call) -> dict[str, object]:
    """The file resource: https://ai.google.dev/api/files#File"""
    version = call.path_values.get("version", "v1")
    return {
        "name": f"files/{file.id}",
        **({"displayName": file.filename} if file.filename else {}),
        "mimeType": file.mime,
        "sizeBytes": str(file.size),
        "createTime": timestamp(file.created_at),
        "updateTime": timestamp(file.created_at),
        **({"expirationTime": timestamp(file.expires_at)} if file.expires_at else {}),
        "sha256Hash": base64.b64encode(bytes.fromhex(file.sha256)).decode(),
        "uri": f"http://{call.headers.get('host', '127.0.0.1')}/gemini/{version}/files/{file.id}",
        "state": "ACTIVE",
        "source": "UPLOADED",
    }


def show_file(state: State, call: Call) -> Reply:
    """One file's resource."""
    return json_reply(document(_named(state, call, "GetFileRequest"), call))


def delete_file(state: State, call: Call) -> Reply:
    """Delete a file."""
    state.gemini_files.delete(_named(state, call, "DeleteFileRequest").id)
    return json_reply({})


def _named(state: State, call: Call, request: str) -> StoredFile:
    """The file that a path names. Google refuses the long ids of its own result files, though they can be downloaded.

    https://github.com/googleapis/python-genai/issues/1759
    """
    file_id = call.path_values["file"]
    if len(file_id) > MAX_ID_LENGTH:
        message = (
            f"* {request}.name: File ID (name excluding 'files/') cannot be more than {MAX_ID_LENGTH} characters.\n"
        )
        raise bad_request(message)
    file = state.gemini_files.find(file_id)
    if file is None:
        raise file_gone(file_id)
    return file


def download_file(state: State, call: Call) -> Reply:
    """A result file's bytes; an uploaded file cannot be downloaded."""
    file = state.gemini_files.find(call.path_values["file"])
    if file is None:
        raise file_gone(call.path_values["file"])
    if file.purpose != GENERATED:
        raise bad_request(f"The file {file.id} was uploaded; only generated files can be downloaded.")
    if call.query.get("alt") != "media":
        raise bad_request("A download needs the parameter alt=media.")
    state.spent_uploads.note_asked_for(file.id)
    return Reply(200, file=state.gemini_files.range_of(file), content_type="application/octet-stream")


def list_files(state: State, call: Call) -> Reply:
    """The uploaded files, newest first, page by page."""
    files = [document(file, call) for file in state.gemini_files.listing() if file.purpose != GENERATED]
    shown, following = page(files, call.query, most=MAX_LISTED, default=DEFAULT_LISTED)
    return json_reply({**({"files": shown} if shown else {}), **following})


def page(
    items: list[dict[str, Any]], query: Mapping[str, str], *, most: int, default: int
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """One page of a list and, if there are more, `nextPageToken`: the name of the page's last item in base64."""
    size_text = query.get("pageSize") or "0"
    if not size_text.isdecimal():
        raise bad_request(f"Invalid value at 'page_size' (TYPE_INT32), \"{size_text}\"")
    size = min(int(size_text) or default, most)
    start = 0
    if query.get("pageToken"):
        names = [base64.urlsafe_b64encode(item["name"].encode()).decode() for item in items]
        if query["pageToken"] not in names:
            raise bad_request("Page token is invalid.")
        start = names.index(query["pageToken"]) + 1
    shown = items[start : start + size]
    if start + size >= len(items):
        return shown, {}
    return shown, {"nextPageToken": base64.urlsafe_b64encode(shown[-1]["name"].encode()).decode()}
