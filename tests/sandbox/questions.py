"""Questions to the sandbox and their images, asked through the providers' own SDKs."""

from __future__ import annotations

import base64
import io
import json
import time
from typing import Any

from google import genai
from google.genai import types
from PIL import Image

from tests.sandbox.conftest import Sandbox

SYSTEMS = {
    "English": "You look at the picture and answer in English.",
    "Japanese": "あなたは画像を注意深く見て、日本語で答えます。",
    "Swahili": "Wewe ni mtaalamu wa picha. Tazama picha kwa makini na ujibu kwa Kiswahili katika kila jibu.",
    "Urdu": "آپ تصویر کو غور سے دیکھتے ہیں اور صرف اردو میں جواب دیتے ہیں۔",
}
MARKS = {
    "English": "[sandbox] Synthetic answer.",
    "Japanese": "[sandbox] これは合成された回答です。",
    "Swahili": "[sandbox] Hili ni jibu bandia la majaribio.",
    "Urdu": "[sandbox] یہ ایک مصنوعی جواب ہے۔",
}


def draw_image(kind: str = "JPEG", size: tuple[int, int] = (120, 80), **options: Any) -> bytes:
    """Blue, with a white field at the top left and a black one at the bottom right."""
    image = Image.new("RGB", size, (40, 80, 190))
    third = (size[0] // 3, size[1] // 3)
    image.paste((255, 255, 255), (0, 0, *third))
    image.paste((0, 0, 0), (size[0] - third[0], size[1] - third[1], *size))
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


JPEG = draw_image()
BROKEN = JPEG[: len(JPEG) // 2]
ANIMATED = draw_image("GIF", save_all=True, append_images=[Image.new("RGB", (120, 80), (1, 2, 3))])


def data_url(data: bytes, mime: str = "image/jpeg") -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def chat_body(text: str = "What is this?", url: str | None = None, system: str = "", **extra: Any) -> dict[str, Any]:
    image = {"type": "image_url", "image_url": {"url": url or data_url(JPEG), "detail": "auto"}}
    return {
        "model": "gpt-6-luna",
        "messages": [
            {"role": "system", "content": system or SYSTEMS["English"]},
            {"role": "user", "content": [{"type": "text", "text": text}, image]},
        ],
        **extra,
    }


def batch_line(custom_id: str, **extra: Any) -> dict[str, Any]:
    line = {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": chat_body(f"Question {custom_id}"),
    }
    return {**line, **extra}


def jsonl(lines: list[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def upload(sandbox: Sandbox, data: bytes, name: str = "shard.jsonl") -> str:
    return sandbox.openai.files.create(file=(name, data), purpose="batch").id


def create(sandbox: Sandbox, data: bytes, **extra: Any) -> Any:
    return sandbox.openai.batches.create(
        input_file_id=upload(sandbox, data), endpoint="/v1/chat/completions", completion_window="24h", **extra
    )


def wait_for(sandbox: Sandbox, batch_id: str, *statuses: str) -> Any:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        batch = sandbox.openai.batches.retrieve(batch_id)
        if batch.status in (statuses or ("completed", "failed", "expired", "cancelled")):
            return batch
        time.sleep(0.02)
    raise AssertionError(batch)


def run_batch(sandbox: Sandbox, count: int = 4) -> Any:
    return wait_for(sandbox, create(sandbox, jsonl([batch_line(f"k{n}") for n in range(count)])).id)


def read_lines(sandbox: Sandbox, file_id: str | None) -> list[dict[str, Any]]:
    if not file_id:
        return []
    return [json.loads(line) for line in sandbox.openai.files.content(file_id).read().split(b"\n") if line]


def ask_gemini(client: genai.Client, data: bytes = JPEG, mime: str = "image/jpeg", **config: Any) -> Any:
    parts = [types.Part(text="What is this?"), types.Part.from_bytes(data=data, mime_type=mime)]
    return client.models.generate_content(
        model="gemini-3.8-flash",
        contents=[types.Content(role="user", parts=parts)],
        config=types.GenerateContentConfig(system_instruction=SYSTEMS["English"], **config),
    )
