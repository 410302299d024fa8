"""A key that a provider repeats reaches neither a screen nor a file, and a screen obeys nobody but us."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import Command, Result, Sandbox

pytestmark = pytest.mark.warm

KEY = "sk-proj-Qx7RtY2uIoP9aSdFgH4jKlZx"
FORMS = (KEY, quote(KEY, safe=""), KEY[-8:], base64.b64encode(f"user:{KEY}".encode()).decode()[8:-4])
TASK = ("--dataset", "data", "--languages", "En", "--tasks", "1")
RUNS = {
    "openai": ("run", "--backend", "openai", "--model", "gpt-6-luna", *TASK),
    "gemini": ("run", "--backend", "gemini", "--model", "gemini-3.8-flash", *TASK),
}
PLACES = {"openai": "chat", "gemini": "gemini"}
BACKENDS = pytest.mark.parametrize("backend", RUNS)


def assert_no_key(result: Result, folder: Path) -> None:
    texts = {"the screen": result.out + result.err}
    files = (path for path in (folder / "outputs").rglob("*") if path.is_file() and "sandbox" not in path.parts)
    texts |= {str(path): path.read_text(encoding="utf-8") for path in files}
    for place, text in texts.items():
        for form in FORMS:
            assert form not in text, place


@BACKENDS
@pytest.mark.parametrize(
    "fault",
    ["echo_key@{}:answer=1", "echo_key@{}:status=400", "echo_key@{}:status=401", "echo_key@{}:status=500,times=6"],
)
def test_a_key_that_a_live_reply_repeats_is_blotted_out(
    vlures: Command, shared_sandbox: Sandbox, backend: str, fault: str
) -> None:
    vlures.use(shared_sandbox, KEY)
    shared_sandbox.show(fault.format(PLACES[backend]))
    process = vlures.start(*RUNS[backend], "--mode", "live", "--debug")
    out, err = process.communicate(60)
    result = Result(process.returncode or 0, out, err)
    said = result.err + "".join(line.get("text") or "" for line in vlures.checkpoint_lines(RUNS[backend][4]))
    assert "[key removed]" in said or "times=" in fault, result
    assert_no_key(result, vlures.folder)
    exported = vlures("export", "--out", "table.csv", f"outputs/{RUNS[backend][4]}")
    assert KEY not in exported.out + exported.err + (vlures.folder / "table.csv").read_text(encoding="utf-8")


@BACKENDS
@pytest.mark.parametrize("call", ["upload", "create", "status", "content", "line"])
def test_a_key_that_a_reply_about_a_batch_repeats_is_blotted_out(
    vlures: Command, shared_sandbox: Sandbox, backend: str, call: str
) -> None:
    vlures.use(shared_sandbox, KEY)
    prefix = "gemini_" if backend == "gemini" else ""
    if call == "line":
        shared_sandbox.show(f"line_error:message=Incorrect API key provided: {KEY}")
    else:
        shared_sandbox.show(f"echo_key@{prefix}{call}:status=400,times=1")
    batch = (*RUNS[backend], "--mode", "batch", "--no-canary", "--poll-s", "0.1")
    result = vlures(*batch)
    assert "[key removed]" in result.err, result
    assert_no_key(result, vlures.folder)
    shared_sandbox.show()
    assert vlures(*batch).code == 0


@BACKENDS
@pytest.mark.parametrize("mode", ["live", "batch"])
def test_a_screen_obeys_no_provider(vlures: Command, shared_sandbox: Sandbox, backend: str, mode: str) -> None:
    vlures.use(shared_sandbox)
    place = PLACES[backend] if mode == "live" else "upload" if backend == "openai" else "gemini_upload"
    shared_sandbox.show(f"escapes@{place}:times=1")
    result = vlures(*RUNS[backend], "--mode", mode, "--no-canary", "--concurrency", "1", "--limit", "1")
    assert result.code in (1, 3), result
    assert "\\x1b[2J" in result.err, result
    assert_harmless(result)
    assert not any(line.startswith("vlures: all is well") for line in result.err.splitlines())


def assert_harmless(result: Result) -> None:
    for character in "\x1b\x07\x08\x00\x9b\u202e\u2066\u200b\u2028":
        assert character not in result.out + result.err, result


def test_a_screen_obeys_no_file_and_no_argument(vlures: Command) -> None:
    for name in ("image\x1b[2J\u202e.png", "image9\nerror: all is well.png", "image\x9b7.jpg"):
        (vlures.folder / "data" / name).write_bytes(b"no picture")
    text = vlures.folder / "data/text1.txt"
    text.write_text("یہ نیم‌فاصلہ \x1b]0;title\x07\n second line \u202eabc", encoding="utf-8")
    (vlures.folder / "packs").mkdir()
    pack = Path("vlures/benchmarks/vlures/prompts/English.toml").read_text(encoding="utf-8")
    changed = pack.replace("regions", "regions\\u202e\\u009b2J", 1)
    (vlures.folder / "packs/English.toml").write_text(changed, encoding="utf-8")
    for command in (
        ("check", *TASK[:4]),
        ("prompt", "--language", "En", "--task", "6", "--sample", "1", "--dataset", "data", "--skip-problems"),
        ("run", "--model", "a\x1b[2Jb", "--fault", "x\u202e", *TASK[:4]),
        ("run", "--\x1b[2J"),
        ("status", "out\x1b[2J"),
        ("check", "--dataset", "none\x1b[2J\u202e", "--languages", "En"),
        ("config", "show", "--model", "a\x1b[2J\u202e"),
        ("config", "show", "--model", "a\x1b[2J\u202e", "--format", "toml"),
        ("prompts", "diff", "own", "packs"),
        ("sandbox", "\x1b[2J\u202e"),
    ):
        result = vlures(*command)
        assert_harmless(result)
        assert "\n error: all is well" not in result.out
        assert not any(line.startswith("error: all is well") for line in result.out.splitlines())
    prompt = vlures(
        "prompt", "--language", "En", "--task", "6", "--sample", "1", "--dataset", "data", "--skip-problems"
    )
    assert "یہ نیم‌فاصلہ \\x1b]0;title" in prompt.out, prompt
