"""The offline page in a real browser, from file://: rating, keys, saving, loading; nothing that an answer orders.

`make browser` does it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import sync_playwright

from tests.judge.sheets.conftest import Study, copy_study
from tests.judge.sheets.test_out import HOSTILE, OUT
from vlures.judge.sheets.wording import find_wording
from vlures.safety.control_characters import as_text

CHROMIUM = shutil.which("chromium")
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    assert CHROMIUM is not None, "install Debian's package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def sheets(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Sheets in English and Urdu whose answers are hostile."""
    study = copy_study(finished_run, tmp_path_factory.mktemp("pages"))
    texts = iter(HOSTILE * 20)
    study.change_answers(lambda key, _: next(texts))
    assert study.command(*OUT, "--per-cell", "6", "--raters", "1", "--languages", "En,Ur").code == 0
    return study


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page that may log nothing and ask for nothing but its own file."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    logged: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    page.on("pageerror", lambda error: logged.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert logged == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def show(page: Any, path: Path) -> None:
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    page.click("#start")


def save(page: Any, to: Path) -> dict[str, Any]:
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(to)
    return dict(json.loads(to.read_text(encoding="utf-8")))


@pytest.mark.parametrize("tag", ["en", "ur"])
def test_answers_are_shown_as_texts(page: Any, sheets: Study, tag: str) -> None:
    path = sheets.path(f"{tag}-p1", "html")
    show(page, path)
    title = page.title()
    shown = []
    for _ in sheets.rows(f"{tag}-p1"):
        shown.append(page.text_content("#answer"))
        assert page.evaluate("document.querySelectorAll('#answer *').length") == 0
        assert page.evaluate("document.getElementById('image').naturalWidth") > 0
        page.keyboard.press("Alt+n")
    assert set(shown) <= {as_text(text).rstrip() for text in HOSTILE}
    assert len(set(shown)) > len(HOSTILE) / 2
    assert page.title() == title
    assert page.evaluate("document.documentElement.dir") == find_wording(tag).direction
    assert page.evaluate("getComputedStyle(document.getElementById('answer')).unicodeBidi") == "isolate"


def test_scores_by_slider_number_and_key_are_saved_and_read_back(page: Any, sheets: Study, tmp_path: Path) -> None:
    show(page, sheets.path("ur-p1", "html"))
    page.fill("#number", "۷۳")
    page.keyboard.press("Enter")
    page.focus("#slider")
    page.keyboard.press("ArrowUp")
    assert page.input_value("#number") == "51"
    page.click("#next")
    page.focus("#slider")
    page.keyboard.press("Enter")  # exactly where the slider stands
    assert page.input_value("#number") == "50"
    page.click("#next")
    for wrong in ("85.5", "101", "0", "85%", "007", "x"):
        page.fill("#number", wrong)
        assert page.get_attribute("#number", "aria-invalid") == "true"
        assert page.text_content("#wrong") == find_wording("ur").page["wrong_score"]
    page.fill("#comment", "<b>کیا؟</b>")
    saved = save(page, sheets.path("ur-p1", "json"))
    assert [one["score"] for one in saved["ratings"][:5]] == [73, 51, 50, None, None]
    assert saved["ratings"][3]["comment"] == "<b>کیا؟</b>"
    result = sheets.command("sheets", "in", "sheets/for-raters/ur-p1.json", "--key", "sheets/key.json")
    assert result.code == 3, result
    verdicts = sheets.verdicts("ur-p1")
    assert [verdict.overall for verdict in verdicts[:4]] == [73, 51, 50, None]
    assert {verdict.overall for verdict in verdicts[4:]} == {None}
    assert "changed" not in result.err


def test_what_is_entered_stays_and_files_are_merged(page: Any, sheets: Study, tmp_path: Path) -> None:
    path = sheets.path("en-p1", "html")
    show(page, path)
    page.fill("#number", "40")
    page.click("#next")
    page.fill("#number", "60")
    first = tmp_path / "first.json"
    save(page, first)
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert "2" in page.text_content("#progress")
    page.evaluate("localStorage.clear()")
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    page.click("#start")
    page.fill("#number", "45")  # later than what was saved
    page.set_input_files("#file", first)
    page.wait_for_function("document.getElementById('notice').textContent !== ''")
    assert page.text_content("#notice") == find_wording("en").page["loaded"].replace("{count}", "1")
    saved = save(page, tmp_path / "second.json")
    assert [one["score"] for one in saved["ratings"][:3]] == [45, 60, None]
    other = json.loads(first.read_text()) | {"set": "ffffff"}
    (tmp_path / "other.json").write_text(json.dumps(other))
    page.set_input_files("#file", tmp_path / "other.json")
    page.wait_for_function("document.getElementById('notice').className === 'bad'")
    assert page.text_content("#notice") == find_wording("en").page["refused"]


def test_everything_has_a_name_and_progress_is_told(page: Any, sheets: Study) -> None:
    show(page, sheets.path("en-p1", "html"))
    unnamed = page.evaluate(
        """[...document.querySelectorAll('button, input, textarea, img, progress')]
            .filter((one) => one.checkVisibility() && !(one.ariaLabel || one.getAttribute('aria-labelledby')
                || one.textContent || one.alt || one.labels?.length))
            .map((one) => one.id)"""
    )
    assert unnamed == []
    assert page.evaluate("document.activeElement.id") == "heading"
    rows = sheets.rows("en-p1")
    for _ in rows:
        page.fill("#number", "70")
        page.keyboard.press("Alt+u")
    assert page.text_content("#progress") == f"{len(rows)} of {len(rows)} rated"
    assert page.is_visible("#complete")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("tag", ["en", "ur"])
def test_axe_finds_nothing(chromium: Any, sheets: Study, tag: str, scheme: str) -> None:
    context = chromium.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(sheets.path(f"{tag}-p1", "html").as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    for step in ("the instructions", "an answer"):
        if step == "an answer":
            page.click("#start")
            page.fill("#number", "7x")
        page.evaluate(AXE)
        found = page.evaluate("async () => (await axe.run()).violations.map((one) => [one.id, one.nodes[0].html])")
        assert found == [], step
    context.close()


def test_a_phone_shows_all_of_it(chromium: Any, sheets: Study) -> None:
    for tag in ("en", "ur"):
        context = chromium.new_context(viewport={"width": 390, "height": 800})
        page = context.new_page()
        show(page, sheets.path(f"{tag}-p1", "html"))
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        context.close()
