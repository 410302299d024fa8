"""How large a report is, how long it takes to write, and what it takes a browser to show it, beside one plain table."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import ROOT, VLURES, Table, against, make_dataset, run_child, run_script

sys.path.insert(0, str(ROOT))

IMAGES, QUICK_IMAGES, IMAGE_BYTES = 1_000, 60, 100_000
MOST_MB = 30
BUILT_S, READY_S, MEMORY_MB, SCROLL_MS, FILTER_MS = 60, 1.0, 500, 50, 50
LONGEST_PLAIN_S = 180
SCROLL = """(async () => {
    const list = document.getElementById("list") ?? document.scrollingElement;
    const frame = () => new Promise(requestAnimationFrame);
    let worst = 0;
    for (let step = 1; step <= 60; step++) {
        await frame();
        const began = performance.now();
        list.scrollTop = (list.scrollHeight / 61) * step;
        await frame();
        await new Promise((resolve) => setTimeout(resolve));
        worst = Math.max(worst, performance.now() - began);
    }
    return worst;
})()"""
"""The longest time from a jump of a sixtieth of the list to the end of the frame that shows it."""
FILTERS = """(async () => {
    const form = document.getElementById("filters");
    const turn = () => document.documentElement.dataset.filtered;
    const filter = async (act) => {
        const before = turn();
        const began = performance.now();
        act();
        form.dispatchEvent(new Event("input"));
        while (turn() === before) await new Promise((resolve) => setTimeout(resolve));
        return performance.now() - began;
    };
    const search = form.querySelector("input[type=search]");
    const select = form.querySelector("select");
    const first = await filter(() => (search.value = "basi"));
    const words = [];
    for (const word of ["picha", "the", "کے", "写真", "zzz"]) words.push(await filter(() => (search.value = word)));
    search.value = "";
    const choices = [];
    for (const value of [1, 2, 3, 0]) choices.push(await filter(() => (select.value = value)));
    return JSON.stringify([first, Math.max(...words), Math.max(...choices)]);
})()"""


def measure(folder: Path, quick: bool) -> list[Table]:
    images = QUICK_IMAGES if quick else IMAGES
    make_dataset(folder / "data", images, IMAGE_BYTES)
    run_script("report_store.py", folder / "outputs/sandbox-run", folder / "data", folder=folder)
    build = [VLURES, "report", "outputs/sandbox-run", "--max-mb", str(MOST_MB), "--force", "--out", "report.html"]
    run_child(build, folder)  # writes the bytecode
    built = run_child(build, folder)
    plain = run_script("plain_page.py", folder / "outputs/sandbox-run", folder / "plain.html", folder=folder)
    sizes = [(folder / name).stat().st_size / 1e6 for name in ("report.html", "plain.html")]
    rows: list[list[object]] = [
        ["size MB", f"{sizes[0]:.1f}", f"≤ {MOST_MB}", against(sizes[0], MOST_MB), f"{sizes[1]:.1f}"],
        ["written in s", f"{built.wall_s:.1f}", f"≤ {BUILT_S}", against(built.wall_s, BUILT_S), f"{plain.wall_s:.1f}"],
        ["memory to write it MB", f"{built.peak_bytes / 1e6:.0f}", "", "", f"{plain.peak_bytes / 1e6:.0f}"],
    ]
    for name, open_page in _browsers(folder).items():
        rows += _in_browser(name, open_page, folder)
    title = (
        f"A report of {32 * images:,} answers of 800 characters about {images:,} images, beside one plain table of them"
    )
    notes = ["The plain table has no images, no filters and no search.", "Memory: all processes of the browser (PSS)."]
    return [Table(title, ["", "report", "goal", "kept", "plain table"], rows, notes)]


def _in_browser(name: str, open_page: Callable[[Path], Any], folder: Path) -> Iterator[list[object]]:
    with open_page(folder / "report.html") as page:
        ready_s = page.evaluate("performance.getEntriesByName('ready')[0].startTime") / 1000
        memory = page.memory_mb()
        scroll = page.evaluate(SCROLL)
        first, words, choices = json.loads(page.evaluate(FILTERS))
        later_memory = page.memory_mb()
    (folder / "blank.html").write_text("<!doctype html><title>Nothing</title>", encoding="utf-8")
    with open_page(folder / "blank.html") as blank:
        blank_memory = blank.memory_mb()
    opened, plain_memory, plain_scroll = _open_plain(open_page, folder / "plain.html")
    yield [f"{name}: ready s", f"{ready_s:.2f}", f"≤ {READY_S}", against(ready_s, READY_S), opened]
    yield [f"{name}: memory MB", f"{memory:.0f}", f"≤ {MEMORY_MB}", against(memory, MEMORY_MB), plain_memory]
    yield [f"{name}: memory with a blank page MB", f"{blank_memory:.0f}", "", "", "–"]
    yield [f"{name}: worst scroll step ms", f"{scroll:.0f}", f"≤ {SCROLL_MS}", against(scroll, SCROLL_MS), plain_scroll]
    yield [f"{name}: first search ms", f"{first:.0f}", "", "", "–"]
    yield [f"{name}: later searches ms, worst", f"{words:.0f}", f"≤ {FILTER_MS}", against(words, FILTER_MS), "–"]
    yield [f"{name}: other filters ms, worst", f"{choices:.0f}", f"≤ {FILTER_MS}", against(choices, FILTER_MS), "–"]
    yield [f"{name}: memory after searching MB", f"{later_memory:.0f}", "", "", "–"]


def _open_plain(open_page: Callable[[Path], Any], path: Path) -> tuple[str, str, str]:
    """Seconds to open the plain table, its memory and its worst scroll step."""
    try:
        with open_page(path) as plain:
            return f"{plain.opened_s:.1f}", f"{plain.memory_mb():.0f}", f"{plain.evaluate(SCROLL):.0f}"
    except Exception as error:  # noqa: BLE001 (each browser has its own for a page that does not open in time)
        return f"not opened ({type(error).__name__} after at most {LONGEST_PLAIN_S} s)", "–", "–"


@dataclass
class _Opened:
    """A page in a browser."""

    evaluate: Callable[[str], Any]
    root: Callable[[], list[int]]
    """The browser's processes."""
    opened_s: float

    def memory_mb(self) -> float:
        return sum(map(_pss_mb, self.root()))


def _browsers(folder: Path) -> dict[str, Callable[[Path], Any]]:
    found: dict[str, Callable[[Path], Any]] = {}
    if chromium := shutil.which("chromium"):
        found["Chromium"] = lambda path: _in_chromium(chromium, path)
    if firefox := shutil.which("firefox-esr") or shutil.which("firefox"):
        found["Firefox"] = lambda path: _in_firefox(firefox, path, folder)
    return found


LAID_OUT = """(async () => {
    const frame = () => new Promise(requestAnimationFrame);
    while (document.getElementById("answers") && !document.documentElement.dataset.ready) await frame();
    await frame();
    await frame();
})()"""


@contextmanager
def _in_chromium(program: str, path: Path) -> Iterator[_Opened]:
    from playwright.sync_api import sync_playwright

    before = set(_processes("chromium"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        began = time.perf_counter()
        page.goto(path.as_uri(), timeout=LONGEST_PLAIN_S * 1000)
        page.evaluate(LAID_OUT)
        took = time.perf_counter() - began
        yield _Opened(page.evaluate, lambda: [pid for pid in _processes("chromium") if pid not in before], took)
        browser.close()


@contextmanager
def _in_firefox(program: str, path: Path, folder: Path) -> Iterator[_Opened]:
    from tests.report.firefox import running_firefox

    profile = folder / f"profile-{path.stem}"
    profile.mkdir(exist_ok=True)
    before = set(_processes("firefox"))
    with running_firefox(program, profile) as firefox:
        began = time.perf_counter()
        firefox.go(path.as_uri())
        firefox.evaluate(LAID_OUT)
        took = time.perf_counter() - began
        yield _Opened(firefox.evaluate, lambda: [pid for pid in _processes("firefox") if pid not in before], took)


def _processes(name: str) -> list[int]:
    """Those whose program's path has the name."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if name in (folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def _pss_mb(process: int) -> float:
    """Its memory, with its share of what it has in common with others."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:")), 0.0)
