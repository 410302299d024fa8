"""A report in Firefox from file://. Apart from Chromium's tests, whose tool keeps the event loop for itself."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.report.firefox import running_firefox
from tests.report.study import HOSTILE, QUESTIONS, once

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")


def test_firefox_shows_the_same(both: Path, tmp_path: Path) -> None:
    assert FIREFOX is not None, "install Debian's package firefox-esr"
    with running_firefox(FIREFOX, tmp_path) as firefox:
        firefox.go(f"{both.as_uri()}#Ur-t8-1shot-rationales-2")
        assert firefox.evaluate(once("document.documentElement.dataset.ready === 'yes'"))
        counted = "document.getElementById('count').textContent"
        assert firefox.evaluate(counted) == f"{QUESTIONS} of {QUESTIONS} questions"
        shown = "document.querySelector('#entry .answer .text')"
        assert firefox.evaluate(f"getComputedStyle({shown}).direction") == "rtl"
        assert firefox.evaluate("document.querySelector('#entry img').naturalWidth") == 48
        assert firefox.evaluate("document.fonts.ready.then(() => [...document.fonts][0].status)") == "loaded"
        firefox.evaluate("location.hash = '#En-t2-1shot-rationales-2'")
        assert firefox.evaluate(once(f"{shown}.textContent.includes('owned')"))
        assert firefox.evaluate(f"{shown}.textContent") == HOSTILE["En-t2-2"]
        firefox.evaluate("document.querySelector('#filters input').value = 'CAFE'")
        firefox.evaluate("document.getElementById('filters').dispatchEvent(new Event('input'))")
        assert firefox.evaluate(once(f"{counted}.startsWith('1 of')"))
        assert firefox.evaluate("document.title").endswith("vlures report")
    assert firefox.logged == []
    # It tells of data: addresses, and not of files: anything else would be a network's.
    assert {asked.partition(":")[0] for asked in firefox.requested} <= {"data", "file"}
