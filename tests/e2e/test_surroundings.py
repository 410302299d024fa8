"""The environment around a command: proxies, certificates, addresses, keys and `.env`. What is broken in it is one
sentence that names the variable, or the line; what is only unusual works."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.conftest import Command, Sandbox
from tests.e2e.targets import EACH_PROVIDER, OUTPUT, PROVIDERS, Start, Target

pytestmark = pytest.mark.warm

MODES = {
    "batch": ("--no-canary", "--poll-s", "0.2", "--doubt-patience-s", "1", "--first-contact-s", "1"),
    "live": ("--first-contact-s", "1"),
}
EACH_MODE = pytest.mark.parametrize("mode", MODES)
FAR = {
    "OPENAI_API_KEY": "test-key",
    "GOOGLE_API_KEY": "test-key",
    "OPENAI_BASE_URL": "https://models.example/v1",
    "GOOGLE_GEMINI_BASE_URL": "https://models.example",
}
CERTIFICATES = {"SSL_CERT_FILE": "", "SSL_CERT_DIR": "", "REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": ""}
"""None of those that the machine of the tests may have."""


def arguments(target: Target, mode: str) -> tuple[str, ...]:
    return target.run(mode, "--languages", "En", "--tasks", "1", "--name", OUTPUT, *MODES[mode])


# What cannot be used

BROKEN = [
    ("ALL_PROXY", "socks://127.0.0.1:7890/", "a SOCKS proxy"),
    ("HTTPS_PROXY", "socks5h://127.0.0.1:7890", "a SOCKS proxy"),
    ("all_proxy", "socks5://user:secret-word@127.0.0.1:7890", "a SOCKS proxy"),
    ("https_proxy", "http://[::1", "not a proxy's address"),
    ("HTTPS_PROXY", "http://host:port", "not a proxy's address"),
    ("HTTPS_PROXY", "http://", "not a proxy's address"),
    ("HTTPS_PROXY", "ftp://host:21", "not a proxy's address"),
    ("SSL_CERT_FILE", "gone.pem", "does not exist"),
    ("SSL_CERT_FILE", "empty.pem", "is empty"),
    ("SSL_CERT_FILE", "data", "is a folder"),
    ("SSL_CERT_FILE", "data/text1.txt", "no certificate"),
    ("SSL_CERT_DIR", "gone", "is not a folder"),
    ("SSL_CERT_DIR", "data", "no certificate"),
]


@pytest.mark.parametrize(("variable", "value", "words"), BROKEN)
@EACH_MODE
@EACH_PROVIDER
def test_a_broken_variable_is_named(
    vlures: Command, target: Target, mode: str, variable: str, value: str, words: str
) -> None:
    (vlures.folder / "empty.pem").touch()
    vlures.environment |= FAR | CERTIFICATES | {variable: value}
    for options in ((), ("--sandbox",)):
        result = vlures(*arguments(target, mode), *options)
        result.assert_stopped(2, f"{variable} is ", words, "unset")
        assert "secret-word" not in result.err
    assert vlures.checkpoint_lines(OUTPUT) == []


@pytest.mark.parametrize(("variable", "value", "words"), BROKEN[:1] + BROKEN[7:8])
def test_a_broken_variable_is_named_by_every_command_that_asks_a_server(
    vlures: Command, shared_sandbox: Sandbox, variable: str, value: str, words: str
) -> None:
    vlures.use(shared_sandbox)
    sent = ("--dataset", "data", "--languages", "En", "--tasks", "1", "--name", OUTPUT, "--no-canary", "--no-wait")
    assert vlures("run", *sent).code == 3
    vlures.environment |= FAR | CERTIFICATES | {variable: value, "HF_ENDPOINT": "https://hub.example"}
    for command in (("cancel", f"outputs/{OUTPUT}"), ("fetch", "--yes")):
        vlures(*command).assert_stopped(2, f"{variable} is ", words, "unset")
    by_file = ("--endpoint", "responses", "--image-transport", "file")
    assert vlures("plan", "--dataset", "data", "--languages", "En", *by_file).code == 0  # it asks none
    vlures.use(shared_sandbox)
    assert vlures("cancel", f"outputs/{OUTPUT}").code == 0


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_certificates_that_no_library_in_use_reads_are_no_matter(
    vlures: Command, shared_sandbox: Sandbox, variable: str
) -> None:
    vlures.use(shared_sandbox)
    vlures.environment |= CERTIFICATES | {variable: "gone.pem"}
    result = vlures("run", "--dataset", "data", "--languages", "En", "--tasks", "1", "--name", OUTPUT, "--mode", "live")
    assert result.code == 0, result


# Proxies

NO_PROXY_LISTENS = "http://127.0.0.1:9"


@pytest.mark.parametrize("proxy", [NO_PROXY_LISTENS, "socks5://127.0.0.1:9", "http://[::1"])
@EACH_MODE
@EACH_PROVIDER
def test_a_server_on_this_machine_is_reached_without_a_proxy(
    vlures: Command, shared_sandbox: Sandbox, target: Target, mode: str, proxy: str
) -> None:
    vlures.use(shared_sandbox)
    vlures.environment |= dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"), proxy)
    vlures.environment |= {"NO_PROXY": "", "no_proxy": ""}
    result = vlures(*arguments(target, mode))
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == 6


@EACH_MODE
@EACH_PROVIDER
def test_the_sandbox_of_a_rehearsal_is_reached_without_a_proxy(vlures: Command, target: Target, mode: str) -> None:
    vlures.environment |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), NO_PROXY_LISTENS)
    vlures.environment |= {"NO_PROXY": "", "no_proxy": ""}
    result = vlures(*arguments(target, mode), "--sandbox")
    assert result.code == 0, result
    assert len(vlures.answers(f"sandbox-{OUTPUT}")) == 6


class Proxy(BaseHTTPRequestHandler):
    """Notes what it is asked for, and refuses it."""

    seen: list[tuple[str, str | None]]

    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.seen.append((self.path, self.headers.get("proxy-authorization")))
        self.send_response(400)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = _refuse  # noqa: N815

    def log_request(self, code: object = "-", size: object = "-") -> None: ...


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A proxy's address, and what it was asked for."""
    handler = type("OwnProxy", (Proxy,), {"seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", handler.seen  # type: ignore[attr-defined]
        server.shutdown()


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
@EACH_MODE
@EACH_PROVIDER
def test_another_server_is_reached_through_the_proxy(
    vlures: Command,
    proxy: tuple[str, list[tuple[str, str | None]]],
    target: Target,
    mode: str,
    variable: str,
) -> None:
    address, seen = proxy
    vlures.environment |= FAR | {variable: f"http://user:pass@{address}", "NO_PROXY": "elsewhere.example"}
    vlures(*arguments(target, mode), "--base-url", "http://models.example/v1")
    assert seen != []
    assert all(path.startswith("http://models.example/") for path, _ in seen), seen
    assert {authorization for _, authorization in seen} == {"Basic dXNlcjpwYXNz"}


@pytest.mark.parametrize("exempt", ["models.example", "*.example"])
@EACH_MODE
@EACH_PROVIDER
def test_no_proxy_is_obeyed(
    vlures: Command, proxy: tuple[str, list[tuple[str, str | None]]], target: Target, mode: str, exempt: str
) -> None:
    address, seen = proxy
    vlures.environment |= FAR | {"HTTP_PROXY": address, "no_proxy": exempt, "NO_PROXY": exempt}
    result = vlures(*arguments(target, mode), "--base-url", "http://models.example/v1")
    result.assert_stopped(1, "cannot be reached")
    assert seen == []


# Addresses and keys


@pytest.mark.parametrize("blank", ["", "  ", '""'])
@pytest.mark.parametrize("place", ["environment", ".env"])
@EACH_PROVIDER
def test_a_blank_base_url_is_the_usual_address(vlures: Command, target: Target, blank: str, place: str) -> None:
    names = ("OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL")
    if place == "environment":
        vlures.environment |= dict.fromkeys(names, blank)
    else:
        (vlures.folder / ".env").write_text("".join(f"{name}={blank}\n" for name in names))
    shown = vlures("config", "show", "--backend", target.backend)
    assert "the provider's own" in shown.out, shown
    vlures.environment |= dict.fromkeys(("HTTPS_PROXY", "https_proxy"), NO_PROXY_LISTENS) | {
        "OPENAI_API_KEY": "test-key",
        "GOOGLE_API_KEY": "test-key",
    }
    stopped = vlures(*arguments(target, "live"))
    stopped.assert_stopped(1, "cannot be reached")  # and no word of a wrong address
    assert "rotocol" not in stopped.err


@pytest.mark.parametrize("blank", [None, "", "  ", '""', "''", '" "'])
@EACH_MODE
@EACH_PROVIDER
def test_a_key_that_is_not_set_is_called_that(vlures: Command, target: Target, mode: str, blank: str | None) -> None:
    if blank is not None:
        vlures.environment |= {"OPENAI_API_KEY": blank, "GOOGLE_API_KEY": blank}
    vlures(*arguments(target, mode)).assert_stopped(2, "API_KEY", "is not set", ".env")
    shown = vlures("config", "show").out
    assert [line.split()[1:] for line in shown.splitlines() if "API_KEY" in line] == [["not", "set"]] * 3


@pytest.mark.parametrize("blank", [None, "", '""'])
@EACH_MODE
def test_a_server_of_ones_own_that_wants_a_key_is_not_said_to_refuse_one(
    vlures: Command, start_sandbox: Start, mode: str, blank: str | None
) -> None:
    sandbox = start_sandbox("--api-key", "right")
    vlures.use(sandbox)
    del vlures.environment["OPENAI_API_KEY"]
    if blank is not None:
        vlures.environment["OPENAI_API_KEY"] = blank
    result = vlures(*arguments(PROVIDERS["openai"], mode))
    result.assert_stopped(1, "wants a key", "OPENAI_API_KEY is not set")
    assert "refuses the key" not in result.err


# .env

KEY = "sk-proj-Qx7RtY2uIoP9aSdFgH4jKlZx"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"\n# mine\n{KEY}\n".encode(), ".env line 3 has no `=`"),
        (f"OPENAI_API_KEY {KEY}\n".encode(), ".env line 1 has no `=`"),
        (f"A=1\r\nOPENAI_API_KEY: {KEY}\r\n".encode(), ".env line 2 has no `=`"),
        (f'A=1\n\nOPENAI_API_KEY="{KEY}\n'.encode(), ".env line 3 opens a quotation mark"),
        (f"OPENAI_API_KEY='{KEY}\nB='2'\n".encode(), ".env line 1 opens a quotation mark"),
        (f'OPENAI_API_KEY="{KEY}" "x"\n'.encode(), ".env line 1 cannot be read"),
        (f"OPENAI_API_KEY={KEY}\nB=1\nOPENAI_API_KEY=other\n".encode(), "OPENAI_API_KEY on line 1 and again on line 3"),
        (f'A=1\nOPENAI_API_KEY="{KEY} {KEY}"\n'.encode(), "OPENAI_API_KEY (.env line 2) cannot be a key"),
        (f"A=1\nOPENAI_API_KEY=“{KEY}”\n".encode(), "OPENAI_API_KEY (.env line 2) cannot be a key"),
        (f"OPENAI_API_KEY={KEY}\n".encode("utf-16"), ".env is UTF-16"),
        (f"OPENAI_API_KEY={KEY}\n".encode("utf-16-le"), ".env is UTF-16"),
        (f"A=1\nOPENAI_API_KEY={KEY}\nNAME=Jos\xe9\n".encode("latin-1"), ".env line 3 is not UTF-8"),
        (f"A=1\nOPENAI_BASE_URL=models.example\nOPENAI_API_KEY={KEY}\n".encode(), "OPENAI_BASE_URL (.env line 2) is"),
    ],
)
def test_a_mistake_in_the_env_file_is_named_with_its_line(vlures: Command, content: bytes, words: str) -> None:
    (vlures.folder / ".env").write_bytes(content)
    result = vlures("run", "--dataset", "data", "--languages", "En", "--tasks", "1", "--mode", "live")
    result.assert_stopped(2, words)
    assert KEY[:12] not in result.out + result.err


@pytest.mark.parametrize(
    "content",
    [
        f"export OPENAI_API_KEY={KEY}\n",
        f"OPENAI_API_KEY={KEY}\nexport OPENAI_API_KEY\n",
        f"\ufeffOPENAI_API_KEY={KEY}\n",
        f"\ufeff# mine\r\n\r\nOPENAI_API_KEY={KEY}\r\n",
        f'OPENAI_API_KEY="  {KEY} "  # mine\n',
        f"OPENAI_API_KEY = '{KEY}'\n",
        f"OPENAI_API_KEY={KEY}\nOPENAI_API_KEY={KEY}\n",
        f'NOTE="two\nlines"\nOPENAI_API_KEY={KEY}',
    ],
)
def test_an_env_file_may_be_written_in_many_ways(
    vlures: Command, start_sandbox: Start, content: str, tmp_path: Path
) -> None:
    sandbox = start_sandbox("--api-key", KEY)
    (vlures.folder / ".env").write_bytes(content.encode())
    vlures.environment["OPENAI_BASE_URL"] = f"{sandbox.url}/openai/v1"
    result = vlures("run", "--dataset", "data", "--languages", "En", "--tasks", "1", "--mode", "live", "--name", OUTPUT)
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == 6


def test_a_blank_variable_does_not_hide_the_env_file(vlures: Command) -> None:
    (vlures.folder / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    vlures.environment["OPENAI_API_KEY"] = " "
    line = next(line for line in vlures("config", "show").out.splitlines() if "OPENAI_API_KEY" in line)
    assert line.split() == ["OPENAI_API_KEY", "set", "in", ".env"]
