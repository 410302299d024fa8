"""A request as it arrives: small bodies into memory, uploads straight to disk."""

from pathlib import Path

from aiohttp import BodyPartReader, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError

from vlures.sandbox.exchange import Call, Form
from vlures.sandbox.state import State

CHUNK_BYTES = 1 << 18


async def receive(request: web.Request, state: State, *, is_raw_upload: bool, keep: bool) -> Call:
    """Read a whole request and count its bytes.

    is_raw_upload: the body itself is a file; a form always goes to disk. keep: False reads an upload and drops it.
    Whoever gets the call deletes `call.upload` or moves it away.
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    query, path_values = dict(request.query), dict(request.match_info)
    is_form = request.content_type.startswith("multipart/") and not is_raw_upload
    if not is_form and not is_raw_upload:
        body = await request.read()
        state.counts.bytes_received += len(body)
        return Call(query, headers, path_values, body)
    upload = state.files.new_temporary_file()
    form = None
    try:
        if keep and is_form:
            form = await read_form(request, upload)
        elif keep:
            await _write_body(request.content, upload)
        async for _ in request.content.iter_any():
            pass
    except BaseException:
        upload.unlink(missing_ok=True)
        raise
    finally:
        state.counts.bytes_received += request.content.total_bytes
    return Call(query, headers, path_values, form=form, upload=upload)


async def _write_body(content: StreamReader, path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        async for chunk in content.iter_any():
            file.write(chunk)


async def read_form(request: web.Request, path: Path) -> Form | None:
    """Read a form; its part `file` goes to `path` as it arrives. None if the body does not claim to be a form.

    A part that is cut off or malformed ends the form: what arrived before it counts.
    """
    fields: dict[str, str] = {}
    filename = None
    if request.content_type != "multipart/form-data":
        return None
    try:
        reader = await request.multipart()
    except ValueError:  # no boundary
        return None
    try:
        async for part in reader:
            if not isinstance(part, BodyPartReader) or part.name is None:
                continue
            if part.name == "file":
                await _write_part(part, path)
                filename = part.filename
            else:
                fields[part.name] = (await part.read()).decode("utf-8", "replace")
    except (ValueError, HttpProcessingError):
        pass
    return Form(fields, filename)


async def _write_part(part: BodyPartReader, path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while chunk := await part.read_chunk(CHUNK_BYTES):
            file.write(chunk)
