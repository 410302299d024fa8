"""Servers that are set up wrong, that refuse what others take, or that one question breaks: the run says what is wrong,
changes what it can by itself, and remembers it."""

from __future__ import annotations

import base64
import json
import random
import time
import urllib.request
from collections.abc import Callable, Mapping

import pytest
from PIL import Image

from tests.conftest import Command, Sandbox
from tests.e2e.gateway import Call, Reply, gateway
from tests.e2e.targets import EACH_PROVIDER, OUTPUT, TARGETS, Target
from vlures.backends.live.lone_failures import GIVE_UP_AFTER

pytestmark = pytest.mark.warm

LIVE = ("run", "--backend", "openai", "--mode", "live", "--dataset", "data", "--languages", "En", "--name", OUTPUT)
COMPLETION = {
    "id": "x",
    "model": "mine",
    "choices": [{"message": {"role": "assistant", "content": "Finally."}, "finish_reason": "stop"}],
}


ENGLISH = ("--languages", "En", "--name", OUTPUT, "--no-canary", "--poll-s", "0.2")
IN_BATCHES = TARGETS["openai"].run("batch", *ENGLISH)


def says(status: int, content: object, **headers: str) -> Reply:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(content)


def answers_with(reply: Reply) -> Callable[[Call], Reply]:
    return lambda _: reply


# One question that always fails


def test_a_picture_that_breaks_the_server_does_not_hold_the_run(vlures: Command) -> None:
    picture = base64.b64encode(next((vlures.folder / "data").glob("image2.*")).read_bytes())
    error = says(500, {"object": "error", "message": "image file is truncated (12 bytes not processed)", "code": 500})

    def serve(call: Call) -> Reply:
        return error if picture in call.body else says(200, COMPLETION)

    with gateway("http://127.0.0.1:9", serve) as server:
        asked = (*LIVE, "--tasks", "1-5", "--base-url", f"{server.url}/v1", "--model", "mine")
        result = vlures(*asked, "--retry-budget-s", "30")
    assert result.code == 3, result
    assert len(vlures.answers(OUTPUT)) == 25
    failed = [line for line in vlures.last_lines(OUTPUT).values() if line["status"] == "failed"]
    assert len(failed) == 5
    assert all("image file is truncated" in line["error"]["message"] for line in failed)
    assert len([call for call in server.refused if picture in call.body]) == 5 * GIVE_UP_AFTER
    assert "5 failed: 500: 500 image file is truncated" in result.err, result


# A server that answers nothing


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("image input is not supported - hint: you may need to provide the mmproj", "--mmproj"),
        ("Unexpected endpoint or method. (POST /chat/completions)", "it usually ends in /v1"),
        ("It broke", "whether the model takes images"),
    ],
)
def test_a_server_that_never_answers_ends_the_run_with_its_words_and_a_hint(
    vlures: Command, message: str, hint: str
) -> None:
    reply = says(500, {"error": {"code": 500, "message": message, "type": "server_error"}})
    with gateway("http://127.0.0.1:9", answers_with(reply)) as server:
        asked = (*LIVE, "--tasks", "1", "--base-url", f"{server.url}/v1", "--model", "mine")
        result = vlures(*asked, "--retry-budget-s", "3")
    result.assert_stopped(3, "has answered no call of this run", message, hint)
    (announced,) = [line for line in result.err.splitlines() if "The run keeps trying until" in line]
    assert hint in announced


def test_status_200_with_an_error_counts_by_what_it_says(vlures: Command) -> None:
    reply = says(200, {"error": "Unexpected endpoint or method. (POST /chat/completions)"})
    with gateway("http://127.0.0.1:9", answers_with(reply)) as server:
        result = vlures(*LIVE, "--tasks", "1-5", "--base-url", server.url, "--model", "mine", "--concurrency", "1")
    result.assert_stopped(1, "Unexpected endpoint", "it usually ends in /v1")
    assert len(server.refused) == 1


def test_status_200_with_one_error_for_all_ends_the_run_soon(vlures: Command) -> None:
    said = "Error in iterating prediction stream: ValueError: Vision add-on is not loaded, but images were provided"
    with gateway("http://127.0.0.1:9", answers_with(says(200, {"error": {"message": said}}))) as server:
        asked = (*LIVE, "--tasks", "1-5", "--base-url", f"{server.url}/v1", "--model", "mine")
        result = vlures(*asked, "--concurrency", "2")
    result.assert_stopped(1, "Vision add-on is not loaded", "no answer is stored")
    assert len(server.refused) < 3 * 30


def test_answers_that_come_after_many_failures_are_not_denied(vlures: Command) -> None:
    """The first requests to end are those that fail at once; one that is answered takes its time."""
    picture = base64.b64encode(next((vlures.folder / "data").glob("image1.*")).read_bytes())

    def serve(call: Call) -> Reply:
        if picture not in call.body:
            return says(400, {"error": {"message": "The image is bad.", "code": "bad"}})
        time.sleep(3)
        return says(200, COMPLETION)

    with gateway("http://127.0.0.1:9", serve) as server:
        asked = (*LIVE, "--tasks", "1-5", "--base-url", f"{server.url}/v1", "--model", "mine", "--concurrency", "8")
        first = vlures(*asked)
        first.assert_stopped(
            3, "Nothing more was sent after 20 requests had failed in the same way", "The image is bad"
        )
        assert len(vlures.answers(OUTPUT)) == 5
        vlures(*asked)
    assert len(vlures.last_lines(OUTPUT)) == 30


# A quota of a day

DAYS: list[tuple[Mapping[str, object], dict[str, str], str]] = [
    (
        {
            "message": "Rate limit reached on requests per day (RPD): Limit 200, Used 200.",
            "code": "rate_limit_exceeded",
        },
        {},
        "later",
    ),
    (
        {"message": "Rate limit exceeded: free-models-per-day. Add 10 credits."},
        {"X-RateLimit-Reset": "{epoch_ms}"},
        "at 20",
    ),
    (
        {
            "message": "Rate limit exceeded: free-models-per-day",
            "code": 429,
            "metadata": {
                "headers": {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "{epoch_ms}"}
            },
        },
        {},
        "at 20",
    ),
    (
        {"message": "Tokens per day limit exceeded - too many tokens processed."},
        {"x-ratelimit-reset-tokens-day": "7200"},
        "at 20",
    ),
    ({"message": "Daily request limit reached, please try again in 7h12m3s."}, {}, "at 20"),
    (
        {"message": "You have run out of requests."},
        {"x-ratelimit-reset-requests": "17h4m0s", "x-ratelimit-remaining-requests": "0"},
        "at 20",
    ),
]


@pytest.mark.parametrize(("error", "headers", "when"), DAYS)
def test_a_days_quota_ends_the_run_at_once_with_the_time(
    vlures: Command, error: Mapping[str, object], headers: dict[str, str], when: str
) -> None:
    epoch_ms = str(int((time.time() + 30_000) * 1000))
    status, given, body = says(429, {"error": error}, **headers)
    reply = (
        status,
        {name: value.replace("{epoch_ms}", epoch_ms) for name, value in given.items()},
        body.replace("{epoch_ms}", epoch_ms),
    )
    with gateway("http://127.0.0.1:9", answers_with(reply)) as server:
        asked = (*LIVE, "--tasks", "1", "--base-url", f"{server.url}/v1", "--model", "mine")
        result = vlures(*asked, "--concurrency", "1")
    result.assert_stopped(3, "The day's quota of this model is used up", f"It is renewed {when}")
    assert len(server.refused) == 1


def test_a_quota_of_a_minute_beside_one_of_a_day_that_is_not_used_up_is_waited_for(vlures: Command) -> None:
    refused = []

    def serve(call: Call) -> Reply:
        if refused:
            return says(200, COMPLETION)
        refused.append(call)
        headers = {"x-ratelimit-reset-requests": "2h24m0s", "x-ratelimit-remaining-requests": "150", "Retry-After": "1"}
        return says(429, {"error": {"message": "Rate limit reached on tokens per min (TPM): Limit 10000."}}, **headers)

    with gateway("http://127.0.0.1:9", serve) as server:
        result = vlures(*LIVE, "--tasks", "1", "--base-url", f"{server.url}/v1", "--model", "mine")
    assert result.code == 0, result


# What is changed by itself


def test_a_parameter_that_batches_are_refused_for_has_its_other_name(vlures: Command, shared_sandbox: Sandbox) -> None:
    """A deployment with a name of its own: nothing says beforehand that its model wants the newer name."""
    vlures.use(shared_sandbox)
    batches = (*LIVE, "--mode", "batch", "--tasks", "1")
    asked = (*batches, "--model", "prod-gpt5-vision", "--max-output-tokens", "500", "--poll-s", "0.2")
    result = vlures(*asked, "--no-canary", "--limit", "3")
    assert result.code == 0, result
    assert result.err.count("refuses the parameter max_tokens here; every request has max_completion_tokens") == 1
    assert set(shared_sandbox.paid.values()) == {1}
    again = vlures(*asked)
    assert again.code == 0, again
    assert "refuses the parameter" not in again.err
    assert len(vlures.answers(OUTPUT)) == 6


@EACH_PROVIDER
def test_a_file_that_is_refused_for_its_size_is_cut_in_half(
    vlures: Command, shared_sandbox: Sandbox, target: Target
) -> None:
    cap = 12_000

    def refuse(call: Call) -> Reply | None:
        is_upload = call.method == "POST" and "/files" in call.path
        size = int(call.headers.get("X-Goog-Upload-Header-Content-Length") or len(call.body))
        if not is_upload or size <= cap:
            return None
        if target.backend == "gemini":
            return says(413, {"error": {"code": 413, "message": "Payload Too Large", "status": "FAILED"}})
        return says(400, {"error": {"message": f"File exceeds the {cap} byte cap of this gateway."}})

    with gateway(shared_sandbox.url, refuse) as server:
        vlures.use(shared_sandbox)
        vlures.environment |= {
            "OPENAI_BASE_URL": f"{server.url}/openai/v1",
            "GOOGLE_GEMINI_BASE_URL": f"{server.url}/gemini",
        }
        asked = target.run("batch", "--tasks", "1,2", "--name", OUTPUT, "--no-canary", "--poll-s", "0.2")
        result = vlures(*asked, "--languages", "En")
        assert result.code == 0, result
        assert "refuses a batch's file of" in result.err
        assert "byte" in result.err
        first = len(server.refused)
        assert first >= 1
        assert len(vlures.answers(OUTPUT)) == 12
        again = vlures(*asked, "--languages", "En,Ur")
        assert again.code == 0, again
        assert len(server.refused) == first, "the size is remembered"
    assert len(vlures.answers(OUTPUT)) == 24
    assert set(shared_sandbox.paid.values()) == {1}


@EACH_PROVIDER
def test_a_request_that_is_too_large_alone_fails_alone(
    vlures: Command, shared_sandbox: Sandbox, target: Target
) -> None:
    noise = Image.frombytes("RGB", (100, 100), random.Random(0).randbytes(30_000))
    noise.save(vlures.folder / "data" / "image3.png")

    def refuse(call: Call) -> Reply | None:
        size = int(call.headers.get("X-Goog-Upload-Header-Content-Length") or len(call.body))
        is_upload = call.method == "POST" and "/files" in call.path
        return says(413, {"error": {"code": 413, "message": "Too Large"}}) if is_upload and size > 20_000 else None

    with gateway(shared_sandbox.url, refuse) as server:
        vlures.use(shared_sandbox)
        vlures.environment |= {
            "OPENAI_BASE_URL": f"{server.url}/openai/v1",
            "GOOGLE_GEMINI_BASE_URL": f"{server.url}/gemini",
        }
        result = vlures(*target.run("batch", *ENGLISH, "--tasks", "1,2"))
    assert result.code == 3, result
    assert len(vlures.answers(OUTPUT)) == 10
    failed = [line for line in vlures.last_lines(OUTPUT).values() if line["status"] == "failed"]
    assert len(failed) == 2
    assert all("make its image smaller" in line["error"]["message"] for line in failed)
    assert set(shared_sandbox.paid.values()) == {1}


def test_a_full_account_is_no_file_that_is_too_large(vlures: Command, shared_sandbox: Sandbox) -> None:
    said = "Your organization has exceeded its file storage limit of 100 GB."
    with gateway(shared_sandbox.url, answers_with(says(400, {"error": {"message": said}}))) as server:
        vlures.use(shared_sandbox)
        vlures.environment["OPENAI_BASE_URL"] = f"{server.url}/openai/v1"
        result = vlures(*IN_BATCHES, "--tasks", "1,2")
    result.assert_stopped(1, said)
    assert len([call for call in server.refused if call.method == "POST"]) == 1


class LateRefusals:
    """Takes every file, and refuses a large one when its batch is validated."""

    def __init__(self, most_bytes: int) -> None:
        self.batches: dict[str, dict[str, object]] = {}
        self._most_bytes = most_bytes
        self._large: set[str] = set()

    def __call__(self, call: Call) -> Reply | None:
        kind = call.path.rpartition("/")[2]
        if call.method == "POST" and kind == "files" and len(call.body) > self._most_bytes:
            self._large.add(file_id := f"file-{len(self._large)}")
            return says(200, {"id": file_id, "object": "file", "purpose": "batch"})
        if call.method == "POST" and kind == "batches" and json.loads(call.body)["input_file_id"] in self._large:
            batch_id = f"batch_{len(self.batches)}"
            self.batches[batch_id] = json.loads(call.body) | {"id": batch_id, "object": "batch"}
            return says(200, self.batches[batch_id] | {"status": "validating"})
        if (batch := self.batches.get(kind)) is None:
            return None
        errors = [{"code": "file_too_large", "message": f"The file has more than {self._most_bytes} bytes."}]
        return says(200, batch | {"status": "failed", "errors": {"data": errors}})


def test_a_file_that_is_refused_after_the_process_has_ended_is_sent_in_halves_by_the_next(
    vlures: Command, shared_sandbox: Sandbox
) -> None:
    with gateway(shared_sandbox.url, refuse := LateRefusals(20_000)) as server:
        vlures.use(shared_sandbox)
        vlures.environment["OPENAI_BASE_URL"] = f"{server.url}/openai/v1"
        for _ in range(4):
            result = vlures(*IN_BATCHES, "--tasks", "1,2", "--no-wait", "--max-cost", "5")
            assert result.code in (0, 3), result
            if result.code == 0:
                break
            time.sleep(0.3)  # as long as a batch takes
    assert len(vlures.answers(OUTPUT)) == 12, result
    assert len(refuse.batches) == 1
    assert set(shared_sandbox.paid.values()) == {1}


@pytest.mark.parametrize("problem", ["token_limit_exceeded", "file_too_large"])
def test_a_batch_that_could_not_begin_is_not_sent_again_while_its_twin_runs(
    vlures: Command, shared_sandbox: Sandbox, problem: str
) -> None:
    """A creation whose reply was lost has made two batches, and there was room for one of them."""
    made: list[dict[str, object]] = []
    errors = {"data": [{"code": problem, "message": "The file has more than 12000 bytes."}]}

    def refuse(call: Call) -> Reply | None:
        kind = call.path.rpartition("/")[2].partition("?")[0]
        if call.method == "POST" and kind == "batches" and not made:
            headers = {"Content-Type": "application/json", "Authorization": "Bearer test-key"}
            creation = urllib.request.Request(shared_sandbox.url + call.path, data=call.body, headers=headers)
            with urllib.request.urlopen(creation) as reply:
                made.append(json.loads(reply.read()))
            made.append(made[0] | {"id": "batch_refused"})
            return says(500, {"error": {"message": "lost"}})
        if call.method == "GET" and kind == "batches":
            return says(200, {"object": "list", "data": made[::-1], "has_more": False})
        refused = {**made[1], "status": "failed", "errors": errors} if kind == "batch_refused" else None
        return says(200, refused) if refused else None

    with gateway(shared_sandbox.url, refuse) as server:
        vlures.use(shared_sandbox)
        vlures.environment["OPENAI_BASE_URL"] = f"{server.url}/openai/v1"
        result = vlures(*IN_BATCHES, "--tasks", "1,2")
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == 12
    assert set(shared_sandbox.paid.values()) == {1}, result


def test_a_parameter_s_other_name_outlasts_a_process_that_does_not_see_the_next_batch_end(
    vlures: Command, shared_sandbox: Sandbox
) -> None:
    vlures.use(shared_sandbox)
    asked = ("run", "--backend", "openai", "--mode", "batch", "--model", "prod-gpt5-vision", "--dataset", "data")
    asked = (*asked, *ENGLISH, "--tasks", "1", "--max-output-tokens", "500", "--max-attempts", "1")
    first = vlures(*asked)
    assert first.code == 3, first
    again = vlures(*asked)
    assert again.code == 0, again
    assert len(vlures.answers(OUTPUT)) == 6


@pytest.mark.parametrize("mode", ["live", "batch"])
@pytest.mark.parametrize("refusal", ["404", "unknown name"])
def test_a_gateway_that_knows_only_v1beta_is_asked_there(
    vlures: Command, shared_sandbox: Sandbox, mode: str, refusal: str
) -> None:
    def refuse(call: Call) -> Reply | None:
        if "/v1/" not in call.path:
            return None
        if refusal == "404":
            return says(404, {"error": {"code": 404, "message": "models/x is not found for API version v1"}})
        said = (
            "Invalid JSON payload received. Unknown name \"thinkingConfig\" at 'generation_config': Cannot find field."
        )
        return says(400, {"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}})

    asked = ("run", "--backend", "gemini", "--model", "gemini-3.8-flash", "--mode", mode, "--dataset", "data")
    asked = (*asked, "--tasks", "1", "--name", OUTPUT, "--poll-s", "0.2", "--no-canary")
    with gateway(shared_sandbox.url, refuse) as server:
        vlures.use(shared_sandbox)
        vlures.environment["GOOGLE_GEMINI_BASE_URL"] = f"{server.url}/gemini"
        result = vlures(*asked, "--languages", "En")
        assert result.code == 0, result
        assert result.err.count("v1beta is asked from now on") == 1, result
        refused = len(server.refused)
        again = vlures(*asked, "--languages", "En,Ur")
        assert again.code == 0, again
        assert len(server.refused) == refused, "the version is remembered"
        assert "v1beta is asked" not in again.err
    assert set(shared_sandbox.paid.values()) == {1}


def test_a_model_that_no_version_knows_is_asked_for_twice_and_no_more(vlures: Command) -> None:
    reply = says(404, {"error": {"code": 404, "message": "models/x is not found", "status": "NOT_FOUND"}})
    with gateway("http://127.0.0.1:9", answers_with(reply)) as server:
        vlures.environment |= {"GOOGLE_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": server.url}
        asked = ("run", "--backend", "gemini", "--mode", "live", "--model", "gemini-3.8-flash", "--dataset", "data")
        result = vlures(*asked, "--languages", "En", "--tasks", "1", "--concurrency", "1")
    result.assert_stopped(1, "Gemini does not know the model")
    assert [call.path.split("/")[1] for call in server.refused] == ["v1", "v1beta"]
