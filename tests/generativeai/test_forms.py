"""A request with a schema, and one without an image, through google-generativeai."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from tests.conftest import Sandbox
from vlures.backends.gemini.generativeai import GenerativeAILive
from vlures.errors import VluresError
from vlures.images import read_image
from vlures.records import Cell, Image, Prompt, Request, Response

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reasons": {"type": "string"},
        "kind": {"type": "string", "enum": ["good", "bad"]},
        "items": {"type": "array", "items": {"type": "integer", "minimum": 7, "maximum": 9}},
    },
    "required": ["reasons", "kind", "items"],
}


def ask(sandbox: Sandbox, image: Image | None) -> Response:
    prompt = Prompt("You look at the picture and answer in English.", ("What is it?",))
    request = Request(
        "key", Cell("all"), "1", "gemini-2.5-flash", {"temperature": 0.5}, prompt, image, "d", schema=SCHEMA
    )

    async def answer() -> Response:
        client = GenerativeAILive("test-key", f"{sandbox.url}/gemini", 1, 30)
        try:
            return await client.answer(request)
        finally:
            await client.close()

    return asyncio.run(answer())


def test_the_answer_follows_the_schema_with_an_image_and_without(shared_sandbox: Sandbox, tmp_path: Path) -> None:
    Pillow.new("RGB", (40, 20), (200, 30, 35)).save(tmp_path / "1.png")
    for image, words in ((read_image(tmp_path / "1.png"), "40"), (None, "No picture came")):
        response = ask(shared_sandbox, image)
        assert response.status == "ok", response
        answer = json.loads(response.text or "")
        assert sorted(answer) == ["items", "kind", "reasons"]
        assert answer["kind"] in ("good", "bad")
        assert words in answer["reasons"]
    assert [len(entry["images"]) for entry in shared_sandbox.ledger] == [1, 0]


def test_a_server_that_takes_no_schema_is_named(shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("error@gemini:status=400,message=JSON mode is not enabled for this model")
    with pytest.raises(
        VluresError, match=r"gemini-2\.5-flash does not take the JSON schema .* JSON mode is not enabled"
    ):
        ask(shared_sandbox, None)
