"""A report taken apart: its elements, what its chunks hold, and what it says without a script."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from PIL import Image

OUTSIDE = re.compile(r"""(?:src|href|action|srcset|poster|data)\s*=\s*["']?(?!#|data:)[^"'\s>]+""", re.IGNORECASE)


@dataclass
class Report(HTMLParser):
    """A report's file."""

    html: str
    scripts: list[str] = field(default_factory=list)
    """Those that run."""
    styles: list[str] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    """Elements with data, by their names."""
    words: str = ""
    """All that stands on the page without its script."""
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self._name: str | None = None
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        self._name = dict(attrs).get("id") if tag == "script" and dict(attrs).get("type") else None

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        tag = self._open[-1] if self._open else ""
        if tag == "script" and self._name:
            self.held[self._name] = self.held.get(self._name, "") + data
        elif tag == "script":
            self.scripts.append(data)
        elif tag == "style":
            self.styles.append(data)
        else:
            self.words += data

    @property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads(self.held["manifest"])
        return manifest

    @property
    def index(self) -> dict[str, Any]:
        index: dict[str, Any] = self.unpack("index")
        return index

    def unpack(self, name: str) -> Any:
        return json.loads(gzip.decompress(base64.b64decode(self.held[name])))

    def chunks(self, kind: str) -> list[Any]:
        """The content of all chunks of a kind, joined in their order."""
        names = sorted(
            (name for name in self.held if name.startswith(f"{kind}-")), key=lambda name: int(name[len(kind) + 1 :])
        )
        return [item for name in names for item in self.unpack(name)]

    def answers(self, run: int = 0) -> dict[str, dict[str, Any]]:
        """What a run answered, by cell and sample."""
        names = [cell["name"] for cell in self.manifest["cells"] for _ in range(cell["entries"])]
        keys = [f"{name}-{sample}" for name, sample in zip(names, self.index["sample"], strict=True)]
        contents = self.chunks("answers")
        return {
            key: content["answers"][run]
            for key, content in zip(keys, contents, strict=True)
            if content["answers"][run] is not None
        }

    def images(self) -> list[Image.Image]:
        """The images that it holds, decoded."""
        lines = "\n".join(text for name, text in self.held.items() if name.startswith("images-")).split("\n")
        return [Image.open(io.BytesIO(base64.b64decode(line))) for line in lines if line]


def read_report(path: Path) -> Report:
    return Report(path.read_text(encoding="utf-8"))
