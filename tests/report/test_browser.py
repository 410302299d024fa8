"""Reports in Chromium from file://, as a reader uses them. `make browser` runs this."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import make_dataset
from tests.report.study import FLASH, HOSTILE, LUNA, QUESTIONS, REASONS, once, write_report
from tests.warm import WarmCommand

CHROMIUM = shutil.which("chromium")
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
MARK = re.compile("[\u202a-\u202e\u2066-\u2069\u2028\u2029\x00-\x08\x1b]")


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run with 208 answers in four languages, whose images are all different."""
    folder = tmp_path_factory.mktemp("long") / "work"
    make_dataset(folder / "data", samples=52)
    command = WarmCommand(folder, {"HOME": str(folder)})
    asked = ("--backend", "gemini", "--mode", "live", "--dataset", "data", "--tasks", "5", "--name", "long")
    result = command("run", "--sandbox", *asked)
    assert result.code == 0, result
    return write_report(command, folder / "long.html", "outputs/sandbox-long")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    assert CHROMIUM is not None, "install Debian's package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Reader:
    """Opens reports; knows all that a page has logged and asked for."""

    browser: Browser
    logged: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def __call__(self, path: Path, key: str = "", *, ready: bool = True, **context: Any) -> Page:
        page = self.browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | context)).new_page()
        page.on("console", lambda message: self.logged.append(message.text))
        page.on("pageerror", lambda error: self.logged.append(str(error)))
        page.on("request", lambda request: self.requested.append(request.url))
        page.add_init_script("window.print = () => { window.wasPrinted = true; };")
        address = path.as_uri() + (f"#{key}" if key else "")
        self.opened.append(address)
        page.goto(address)
        if ready:
            page.wait_for_selector("html[data-ready]", state="attached")
        return page


@pytest.fixture
def reader(chromium: Browser) -> Iterator[Reader]:
    """At the end no page may have logged anything, nor asked for anything but its own file."""
    reader = Reader(chromium)
    yield reader
    for context in chromium.contexts:
        context.close()
    assert reader.logged == []
    asked = [address.split("#")[0] for address in reader.requested if not address.startswith("data:")]
    assert asked == [address.split("#")[0] for address in reader.opened]


def until(page: Page, condition: str) -> None:
    """Wait for it. Playwright's own way evaluates a text in the page, which the page's policy forbids."""
    assert page.evaluate(once(condition)), condition


def listed(page: Page) -> int:
    """How many questions the filters let through."""
    return int(page.locator("#list").get_attribute("aria-rowcount") or -1)


def filtered(page: Page, act: Callable[[], Any]) -> int:
    """How many they let through once they have followed what was done."""
    before = page.evaluate("document.documentElement.dataset.filtered")
    act()
    until(page, f"document.documentElement.dataset.filtered !== '{before}'")
    return listed(page)


def answer(page: Page, run: int = 0) -> Any:
    return page.locator("#entry .answer").nth(run).locator(".text").first


# Opening


def test_it_opens_with_its_answers(reader: Reader, both: Path) -> None:
    page = reader(both)
    assert page.locator("#count").inner_text() == f"{QUESTIONS} of {QUESTIONS} questions"
    assert listed(page) == QUESTIONS
    assert 5 < page.locator(".row").count() < 25
    assert page.locator(".row .said").first.inner_text().startswith("<img src=x")
    for image in page.locator("#entry img").all():
        assert image.evaluate("image => image.complete && image.naturalWidth") == 48
    page.locator("#list").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    page.wait_for_selector(f"#row-{QUESTIONS - 1} .said")


def test_without_a_script_it_says_what_was_run(reader: Reader, both: Path) -> None:
    page = reader(both, ready=False, java_script_enabled=False)
    assert page.get_by_text("The answers need JavaScript").is_visible()
    assert page.get_by_text("CC BY-NC-SA 4.0").is_visible()
    assert page.locator(".banner").is_visible()


def test_what_a_sandbox_said_is_marked_wherever_one_scrolls(reader: Reader, both: Path) -> None:
    page = reader(both)
    for where in ("0", "900", "document.body.scrollHeight"):
        page.evaluate(f"scrollTo({{top: {where}, behavior: 'instant'}})")
        box = page.locator(".banner").bounding_box()
        assert box is not None
        assert box["y"] == 0
    page = reader(both, "Sw-t2-1shot-rationales-1", viewport={"width": 390, "height": 800})
    assert page.evaluate("document.elementFromPoint(150, 10).closest('.banner') !== null")


# Texts


@pytest.mark.parametrize("key", HOSTILE)
def test_a_hostile_answer_is_text(reader: Reader, both: Path, key: str) -> None:
    cell, _, sample = key.rpartition("-")
    page = reader(both, f"{cell}-1shot-rationales-{sample}")
    marks = [f"U+{ord(mark):04X}".replace("U+001B", "ESC") for mark in MARK.findall(HOSTILE[key])]
    shown = [mark.replace("U+0007", "") for mark in answer(page).locator(".mark").all_inner_texts()]
    assert [mark for mark in shown if mark] == [mark for mark in marks if mark != "U+0007"]
    text = re.sub(r"U\+[0-9A-F]{4}|ESC", "", answer(page).evaluate("element => element.textContent"))
    assert text == re.sub("[\x07]", "", MARK.sub("", HOSTILE[key]))
    assert page.title().endswith("vlures report")
    assert page.locator("#entry .answer b, #entry .answer script, #entry .answer img").count() == 0
    assert page.locator("#entry .verdict .text").first.inner_text() == REASONS


def test_each_text_has_its_own_direction_and_hand(reader: Reader, both: Path) -> None:
    style = "element => [element.lang, getComputedStyle(element).direction]"
    expected = {"En": ["en", "ltr"], "Jp": ["ja", "ltr"], "Sw": ["sw", "ltr"], "Ur": ["ur", "rtl"]}
    for code, wanted in expected.items():
        page = reader(both, f"{code}-t8-1shot-rationales-2")
        assert answer(page).evaluate(style) == wanted
        page.context.close()
    page = reader(both, "Ur-t8-1shot-rationales-2")
    page.evaluate("document.fonts.ready")
    fonts = page.evaluate("[...document.fonts].map((font) => [font.family.replaceAll('\"', ''), font.status])")
    assert fonts == [["Nastaliq of the report", "loaded"]]
    assert page.locator("#entry .answer h4").first.evaluate(style)[1] == "ltr"


def test_a_reversing_character_turns_nothing_around_it(reader: Reader, both: Path) -> None:
    page = reader(both, "En-t2-1shot-rationales-4")
    assert answer(page).evaluate("element => getComputedStyle(element).unicodeBidi") == "isolate"
    assert page.locator("#entry .verdict .score").first.inner_text().endswith("of 100")


# Filters


def test_filters_let_through_what_they_say(reader: Reader, both: Path) -> None:
    page = reader(both)
    choose = {label: page.get_by_label(label, exact=True) for label in ("Language", "Task", "Status", "From", "Sample")}
    assert filtered(page, lambda: choose["Language"].select_option(label="Ur Urdu")) == 11
    assert filtered(page, lambda: choose["Task"].select_option("1")) == 5
    assert filtered(page, lambda: page.get_by_role("button", name="Reset").click()) == QUESTIONS
    for status in ("truncated", "refused", "failed"):
        assert filtered(page, lambda word=status: choose["Status"].select_option(label=word)) == 1
        assert page.locator(".row .badge").first.inner_text().strip().endswith(status)
    filtered(page, lambda: page.get_by_role("button", name="Reset").click())
    assert filtered(page, lambda: choose["Sample"].fill("3")) == 8
    filtered(page, lambda: page.get_by_role("button", name="Reset").click())
    assert 0 < filtered(page, lambda: choose["From"].fill("50")) < QUESTIONS
    filtered(page, lambda: page.get_by_role("button", name="Reset").click())
    assert filtered(page, lambda: page.get_by_label("runs differ").check()) == QUESTIONS - 5


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("ONERROR=", "En-t2-1"),
        ("harbour", "Jp-t2-1"),  # full width in the answer
        ("ｔａｔｕ: cafe", "Sw-t2-1"),  # full width and without its accent in the question
        ("کتاب یہاں", "Ur-t2-1"),  # Urdu letters for the Arabic ones in the answer
        ("علموالے", "Ur-t2-1"),  # without the joiner
    ],
)
def test_search_finds_words_however_they_are_written(reader: Reader, both: Path, words: str, key: str) -> None:
    page = reader(both)
    assert filtered(page, lambda: page.get_by_label("Words in an answer").fill(words)) == 1
    assert page.locator(".row .said").first.inner_text()[:4] == HOSTILE[key][:4]
    assert filtered(page, lambda: page.get_by_label("Words in an answer").fill(words + " nowhere")) == 0
    assert page.get_by_role("button", name="Print these").is_disabled()


def test_the_order_can_be_chosen(reader: Reader, both: Path) -> None:
    page = reader(both)
    filtered(page, lambda: page.get_by_label("Order").select_option(label="lowest score first"))
    scores = [re.findall(r"\d+", text) for text in page.locator(".row .scores").all_inner_texts()[:4]]
    lowest = [min(map(int, given)) for given in scores]
    assert lowest == sorted(lowest)
    assert lowest[0] == 10
    filtered(page, lambda: page.get_by_label("Order").select_option(label="by sample"))
    assert page.locator(".row .sample").all_inner_texts()[:8] == ["1"] * 8


# Links and keyboard


def test_a_link_opens_its_answer(reader: Reader, both: Path) -> None:
    page = reader(both, "Sw-t8-1shot-rationales-4")
    heading = page.locator("#entry h3 a")
    assert heading.inner_text() == "Swahili · 8 visual question answering · sample 4"
    assert heading.get_attribute("href") == "#Sw-t8-1shot-rationales-4"
    assert page.locator(".row[aria-selected=true] .sample").inner_text() == "4"
    filtered(page, lambda: page.get_by_label("Language").select_option(label="En English"))
    page.evaluate("location.hash = '#Jp-t2-1shot-rationales-6'")
    page.get_by_role("heading", name="Japanese · 2 scene understanding · sample 6").wait_for()
    assert listed(page) == QUESTIONS  # the filter that hid it has gone
    page.locator(".row").nth(1).click()
    until(page, "location.hash !== '#Jp-t2-1shot-rationales-6'")
    for nothing in ("Sw-t8-1shot-rationales-99", "%", "En-t2"):
        assert reader(both, nothing).locator("#entry h3").inner_text().endswith("sample 1")


def test_everything_can_be_done_from_the_keyboard(reader: Reader, both: Path) -> None:
    page = reader(both)
    grid = page.locator("#list")
    grid.focus()
    active = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))?.ariaRowIndex"
    for keys, row in (("j", "2"), ("j", "3"), ("k", "2"), ("ArrowDown", "3"), ("End", str(QUESTIONS)), ("Home", "1")):
        page.keyboard.press(keys)
        until(page, f"{active} === '{row}'")
        assert grid.evaluate("list => list === document.activeElement")
    for _ in range(30):
        page.keyboard.press("j")
    until(page, f"{active} === '31'")
    page.keyboard.press("Enter")
    until(page, "document.activeElement.closest('#entry') !== null")
    page.keyboard.press("Escape")
    until(page, "document.activeElement.id === 'list'")
    until(page, f"{active} === '31'")
    page.get_by_label("Sample", exact=True).focus()
    page.keyboard.type("j")
    assert page.get_by_label("Sample", exact=True).input_value() == "j"


def test_on_a_telephone_an_answer_takes_the_screen(reader: Reader, both: Path) -> None:
    page = reader(both, viewport={"width": 390, "height": 800}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert not page.locator("#detail").is_visible()
    page.locator(".row").nth(2).tap()
    page.get_by_role("heading", name="sample 3").wait_for()
    assert page.locator("#detail").is_visible()
    page.get_by_role("button", name="Back to the list").tap()
    assert not page.locator("#detail").is_visible()
    page.get_by_role("button", name="Filters").tap()
    assert filtered(page, lambda: page.get_by_label("Language").select_option(label="Ur Urdu")) == 11


# Paper


def test_200_answers_print_whole(reader: Reader, long: Path) -> None:
    page = reader(long)
    assert listed(page) == 208
    page.get_by_role("button", name="Print the first 200").click()
    until(page, "window.wasPrinted")
    page.emulate_media(media="print")
    entries = page.locator("#print .entry")
    assert entries.count() == 200
    whole = page.evaluate(
        """(isWhole => [...document.querySelectorAll('#print .entry')].filter((entry) =>
            entry.querySelector('.answer .text').textContent.includes('sandbox') &&
            isWhole(entry.querySelector('.source .text')) &&
            entry.querySelector('img').naturalWidth === 48 && entry.checkVisibility()).length)(
            (text) => text.scrollHeight <= text.clientHeight + 1)"""
    )
    assert whole == 200
    assert not page.locator("#answers").is_visible()
    assert not page.locator("#what").is_visible()
    assert page.pdf().count(b"/Type /Page\n") > 40, "200 answers take more pages than that"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert entries.count() == 0


def test_the_summary_prints_with_what_is_folded(reader: Reader, both: Path) -> None:
    page = reader(both)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("#summary details .text").first.is_visible()
    assert not page.locator("#answers").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # Such a group stands on every page of a table; the body is one.
    repeated = "banner => [getComputedStyle(banner).display, getComputedStyle(banner).breakInside]"
    assert page.locator(".banner").evaluate(repeated) == ["table-header-group", "avoid"]


# Pairs


def test_which_answer_a_judge_found_better_stands_below_both(reader: Reader, work: WarmCommand) -> None:
    """Every second pair flips with the order; names and reasons are text."""
    name = "<b>j</b>"
    judged = work(
        "judge", LUNA, "--pairwise", FLASH, "--sandbox", "--backend", "gemini", "--mode", "live", "--name", "j"
    )
    assert judged.code == 0, judged
    path = work.folder / LUNA / "judged/sandbox-j/preferences.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    said = {
        "better": ("first run", "first", "second"), "flips": ("flip", "first", "first"),
        "splits": ("split", "neither", "second"), "lacks": ("missing", "first", "invalid: no object"),
    }  # fmt: skip
    for line, (decision, straight, turned) in zip(lines, said.values(), strict=False):
        line |= {"judge": name, "decision": decision, "choices": {"straight": straight, "turned": turned}}
        line["reasons"] = {"straight": REASONS, "turned": "" if turned.startswith("invalid") else REASONS}
    lines[4]["answer_digests"][0] = "0" * 64
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    report = write_report(work, work.folder / "pairs.html", LUNA, FLASH)
    shown = []
    for line in lines[:5]:
        page = reader(report, f"{line['cell']}-1shot-rationales-{line['sample_id']}")
        until(page, "document.querySelector('#entry .entry') !== null")
        assert page.locator("#entry .answer").count() == 2, "the runs side by side"
        shown.append([element.inner_text() for element in page.locator("#entry .preference").all()])
    [better], [flipped], [split], [lacking], changed = shown
    assert "sandbox-luna is better, in both orders" in better
    assert "sandbox-luna shown first: chose sandbox-luna" in better
    assert "sandbox-flash shown first: chose sandbox-luna" in better
    assert better.count(REASONS) == 2
    assert name in better
    assert "⇄ flipped" in flipped
    assert "sandbox-flash shown first: chose sandbox-flash" in flipped
    assert "◐ split" in split
    assert "no choice (invalid: no object)" in lacking
    assert changed == [], "the answer has changed since"


# For everybody


URDU = "Ur-t8-1shot-rationales-2"


@pytest.mark.parametrize(
    ("width", "scheme", "key"), [(390, "light", ""), (390, "dark", URDU), (1280, "light", URDU), (1280, "dark", "")]
)
def test_axe_finds_nothing_serious(reader: Reader, both: Path, width: int, scheme: str, key: str) -> None:
    page = reader(both, key, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.evaluate(AXE)
    found = page.evaluate("axe.run().then((results) => results.violations)")
    serious = [
        (violation["id"], [node["html"][:200] for node in violation["nodes"]][:3])
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_nothing_moves_for_those_who_want_no_motion(reader: Reader, both: Path) -> None:
    page = reader(both, reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
