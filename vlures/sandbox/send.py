"""A reply as it is sent: from memory, or piece by piece from a file."""

from dataclasses import replace

from aiohttp import web

from vlures.sandbox.exchange import FileRange, Reply

CHUNK_BYTES = 1 << 18


class Disconnect(Exception):
    """The connection closes without a complete reply."""


async def send(request: web.Request, reply: Reply) -> web.StreamResponse:
    """Send a reply, or give aiohttp one to send."""
    if reply.file is None:
        return web.Response(
            status=reply.status, body=reply.body, headers=reply.headers, content_type=reply.content_type
        )
    response = await _send_head(request, reply, reply.file.size)
    await _send_range(response, reply.file)
    await response.write_eof()
    return response


async def send_half(request: web.Request, reply: Reply) -> None:
    """Announce the whole body and send its first half."""
    if reply.file is None:
        response = await _send_head(request, reply, len(reply.body))
        await response.write(reply.body[: len(reply.body) // 2])
        return
    response = await _send_head(request, reply, reply.file.size)
    await _send_range(response, replace(reply.file, size=reply.file.size // 2))


async def _send_head(request: web.Request, reply: Reply, size: int) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers={"Content-Length": str(size), **reply.headers})
    response.content_type = reply.content_type
    await response.prepare(request)
    return response


async def _send_range(response: web.StreamResponse, file_range: FileRange) -> None:
    left = file_range.size
    with file_range.path.open("rb") as file:
        file.seek(file_range.start)
        while left > 0:
            chunk = file.read(min(CHUNK_BYTES, left))
            if not chunk:
                return
            left -= len(chunk)
            await response.write(chunk)
