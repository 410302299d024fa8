"""A rater's sheet as one HTML file that needs no network and sends nothing.

Its texts stand in JSON, which no browser runs, and are shown as text only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from html import escape
from importlib import resources
from typing import Any

from vlures.judge.sheets.sheet import Row, Sheet
from vlures.judge.sheets.wording import Wording, direction_of, is_in_its_direction
from vlures.safety.inline_content import inline_policy


def make_page(sheet: Sheet) -> bytes:
    """The file, in UTF-8."""
    words = sheet.wording
    style, script = _read("page.css"), _read("page.js")
    policy = escape(inline_policy(style, script))
    return (
        f'<!doctype html>\n<html lang="{words.tag}" dir="{words.direction}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(words.title)} {escape(sheet.rater)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"{_header(words)}<main>\n{_intro(words)}{_rating(words)}</main>\n"
        f'<script type="application/json" id="sheet">{_as_json(_content(sheet))}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    ).encode()


def _read(name: str) -> str:
    return (resources.files(__name__.rpartition(".")[0]) / name).read_text(encoding="utf-8")


def _as_json(content: dict[str, Any]) -> str:
    """JSON that ends no element and no line of a script, whatever is in it."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _content(sheet: Sheet) -> dict[str, Any]:
    used = {row.image for row in sheet.rows}
    numbers = {digest: number for number, digest in enumerate(sorted(used))}
    images = [
        {
            "data": base64.b64encode(sheet.thumbnails[digest].data).decode("ascii"),
            "width": sheet.thumbnails[digest].width,
            "height": sheet.thumbnails[digest].height,
        }
        for digest in numbers
    ]
    rows = [_row(row, numbers[row.image], sheet.language) for row in sheet.rows]
    return {
        **{"set": sheet.set, "rater": sheet.rater, "words": dict(sheet.wording.page)},
        **{"images": images, "rows": rows},
    }


def _row(row: Row, image: int, language: str | None) -> dict[str, Any]:
    return {
        **{"id": row.id, "digest": row.digest, "image": image, "task": _text(row.task, language)},
        "article": None if row.article is None else _text(row.article, language),
        "answer": _text(row.answer, language),
    }


def _text(text: str, language: str | None) -> list[str | None]:
    """A text, its language as far as its script agrees with it, and its direction."""
    direction = direction_of(text, language)
    return [text, language if is_in_its_direction(direction, language) else None, direction]


# The elements around it, which are the same for all rows


def _header(words: Wording) -> str:
    page = {name: escape(text) for name, text in words.page.items()}
    return (
        f'<header><h1>{escape(words.title)}</h1><progress id="done" aria-labelledby="progress"></progress>'
        f'<span id="progress" role="status"></span><span class="space"></span>'
        f'<span id="unsaved" class="faint"></span><button type="button" id="save" class="main">{page["save"]}</button>'
        f'<button type="button" id="load">{page["load"]}</button>'
        f'<input type="file" id="file" accept=".json,application/json" aria-label="{page["load"]}" hidden>'
        f'<button type="button" id="again">{page["again"]}</button></header>\n'
        '<p id="notice" role="status"></p>\n'
        f"<noscript><p>{page['needs_script']}</p></noscript>\n"
    )


def _intro(words: Wording) -> str:
    page = {name: escape(text) for name, text in words.page.items()}
    steps = _join(f"<li>{escape(text)}</li>" for text in words.instructions)
    return (
        f'<section id="intro"><ol>{steps}</ol><h2>{escape(words.scale)}</h2>{_scale(words)}'
        f'<p class="faint" id="kept"></p><p class="faint">{page["keys"]}</p>'
        f'<button type="button" id="start" class="main">{page["start"]}</button></section>\n'
    )


def _scale(words: Wording) -> str:
    return (
        '<dl class="scale">'
        + _join(f"<dt>{score}</dt><dd>{escape(meaning)}</dd>" for score, meaning in words.anchors.items())
        + "</dl>"
    )


def _rating(words: Wording) -> str:
    page = {name: escape(text) for name, text in words.page.items()}
    columns = {name: escape(text) for name, text in words.columns.items()}
    return (
        '<div id="rating" hidden>\n<article id="item"><h2 id="heading" tabindex="-1"></h2>\n'
        '<figure><img id="image" alt=""></figure>\n<div>'
        f'<h3>{columns["task"]}</h3><div id="task" class="text"></div>'
        f'<div id="with-article"><h3 id="article-name">{columns["article"]}</h3>'
        '<div id="article" class="text" tabindex="0" role="region" aria-labelledby="article-name"></div></div>'
        f'<h3>{columns["answer"]}</h3><div id="answer" class="text"></div></div></article>\n'
        f'<section id="panel" aria-label="{columns["score"]}"><h2>{columns["score"]}</h2>'
        f'<div class="score"><input id="slider" type="range" min="1" max="100" step="1" aria-label="{page["slider"]}">'
        f'<input id="number" type="text" inputmode="numeric" autocomplete="off" dir="ltr" aria-describedby="wrong" '
        f'aria-label="{page["number"]}"></div>\n<p id="wrong" class="bad" role="alert"></p>'
        f'<label for="comment">{columns["comment"]}</label><textarea id="comment" dir="auto"></textarea>'
        f'<div class="moves"><button type="button" id="previous">{page["previous"]}</button>'
        f'<button type="button" id="next" class="main">{page["next"]}</button>'
        f'<button type="button" id="unrated">{page["next_unrated"]}</button>'
        f'<button type="button" id="clear">{page["clear"]}</button></div>'
        f'<p id="complete" class="faint" role="status" hidden>{page["complete"]}</p>{_scale(words)}</section>\n'
        f'<nav id="list" aria-label="{page["list"]}"><h3>{page["list"]}</h3><ol></ol></nav>\n</div>\n'
    )


def _join(parts: Iterable[str]) -> str:
    return "".join(parts)
