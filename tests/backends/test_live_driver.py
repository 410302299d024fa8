"""The live driver with a provider of its own: who is asked when, and what is held meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vlures.backends.live.client import LivePolicy
from vlures.backends.live.driver import LiveDriver
from vlures.backends.retry import Patience
from vlures.backends.trouble import Trouble
from vlures.benchmarks.vlures.settings import Setting, make_cell
from vlures.errors import Incomplete, Retry, VluresError
from vlures.records import Image, Prompt, Request, Response
from vlures.store.checkpoints import CheckpointStore

IMAGE = Image(Path("1.png"), "image/png", 3, 1, 1, "d")


def request(number: int) -> Request:
    return Request(f"key-{number}", make_cell("En", 1), str(number), "m", {}, Prompt("", ("x",)), IMAGE, "digest")


@dataclass
class Provider:
    """A client that does what `reply` says of a request's number and attempt."""

    reply: Callable[[int, int], Awaitable[Response | None]]
    provider: str = "A provider"
    asked: list[int] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    closed: bool = False

    async def answer(self, request: Request) -> Response:
        number = int(request.sample_id)
        self.asked.append(number)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            given = await self.reply(number, self.asked.count(number))
        finally:
            self.in_flight -= 1
        return given or Response(request.key, "ok", text="x")

    async def close(self) -> None:
        self.closed = True


@dataclass
class Listener:
    """Keeps what is said."""

    sentences: list[str] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def in_flight(self, count: int) -> None: ...

    def job_changed(self, tag: str, state: str, done: int, total: int) -> None: ...

    def job_ended(self, tag: str) -> None: ...

    def next_look(self, tag: str, in_s: float) -> None: ...

    def trouble(self, trouble: Trouble | None) -> None: ...


def drive(
    provider: Provider,
    requests: Iterator[Request],
    folder: Path,
    *,
    budget_s: float = 60.0,
    keep_going: Callable[[], bool] = lambda: True,
    policy: LivePolicy | None = None,
    taken: list[Response] | None = None,
) -> list[Response]:
    responses: list[Response] = [] if taken is None else taken
    listener = Listener()

    async def run() -> None:
        patience = Patience("A provider", budget_s, 5.0)
        driver = LiveDriver(provider, policy or LivePolicy(4, 30.0), patience, listener, keep_going)
        store = CheckpointStore(folder, Setting())
        async for response in driver.generate(requests, store):
            responses.append(response)

    asyncio.run(asyncio.wait_for(run(), 60))
    assert provider.closed
    return responses


def test_requests_leave_in_their_order_and_never_more_than_allowed(tmp_path: Path) -> None:
    async def reply(_number: int, _attempt: int) -> None:
        await asyncio.sleep(0)

    provider = Provider(reply)
    responses = drive(provider, map(request, range(200)), tmp_path)
    assert provider.asked == list(range(200))
    assert provider.most_in_flight <= 4
    assert sorted(response.key for response in responses) == sorted(f"key-{number}" for number in range(200))


def test_requests_are_taken_only_when_there_is_room(tmp_path: Path) -> None:
    taken = 0

    def source() -> Iterator[Request]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield request(number)

    async def reply(_number: int, _attempt: int) -> None:
        await asyncio.sleep(0)
        assert taken <= len(provider.asked) + 1

    provider = Provider(reply)
    assert len(drive(provider, source(), tmp_path)) == 100


def test_one_that_never_ends_and_one_that_is_tried_again_hold_up_no_other(tmp_path: Path) -> None:
    others_done = asyncio.Event()

    async def reply(number: int, attempt: int) -> None:
        if number == 0:
            await others_done.wait()
        elif number == 1 and attempt < 3:
            raise Retry("not now", code="500")
        elif len(set(provider.asked)) == 100 and provider.asked.count(1) == 3:
            others_done.set()

    provider = Provider(reply)
    responses = drive(provider, map(request, range(100)), tmp_path, policy=LivePolicy(2, 30.0))
    assert responses[-1].key == "key-0"
    by_key = {response.key: response for response in responses}
    assert len(by_key) == 100
    assert by_key["key-1"].attempts == 3


def test_what_stops_the_run_lets_the_answers_in_flight_come_in(tmp_path: Path) -> None:
    async def reply(number: int, _attempt: int) -> None:
        if number == 3:
            raise VluresError("The key is refused.")
        await asyncio.sleep(0.05)

    provider = Provider(reply)
    taken: list[Response] = []
    with pytest.raises(VluresError, match="refused"):
        drive(provider, map(request, range(100)), tmp_path, taken=taken)
    assert [response.key for response in taken] == ["key-0", "key-1", "key-2"]
    assert len(provider.asked) <= 5


def test_a_wait_longer_than_the_runs_patience_ends_it_with_the_time_to_come_back(tmp_path: Path) -> None:
    async def reply(_number: int, _attempt: int) -> None:
        raise Retry("429 Too many.", code="429", after_s=3_600.0, signal="rate")

    provider = Provider(reply)
    with pytest.raises(Incomplete, match=r"Too many.*from 20\d\d-\d\d-\d\d \d\d:\d\d UTC on"):
        drive(provider, map(request, range(100)), tmp_path)


def test_a_server_that_refuses_every_connection_is_tried_at_a_walking_pace(tmp_path: Path) -> None:
    async def reply(_number: int, _attempt: int) -> None:
        raise Retry("Connection refused.", code="connection", reached=False)

    provider = Provider(reply)
    with pytest.raises(VluresError, match="cannot be reached"):
        drive(provider, map(request, range(1_000)), tmp_path)
    assert len(provider.asked) < 50


def test_one_that_a_limit_refused_goes_first_when_the_limit_is_tried_again(tmp_path: Path) -> None:
    async def reply(number: int, attempt: int) -> None:
        if number == 0 and attempt == 1:
            raise Retry("429 Too many.", code="429", signal="rate")
        await asyncio.sleep(0.01)

    provider = Provider(reply)
    assert len(drive(provider, map(request, range(20)), tmp_path)) == 20
    assert provider.asked.index(0, 1) <= 4


def test_an_interruption_ends_the_wait_of_those_that_are_aside(tmp_path: Path) -> None:
    going = True

    async def reply(number: int, _attempt: int) -> None:
        nonlocal going
        if number < 2:
            raise Retry("503 Busy.", code="503", after_s=50.0)
        going = False

    provider = Provider(reply)
    source = (request(number) for number in range(100) if going)
    responses = drive(provider, source, tmp_path, keep_going=lambda: going)
    assert {response.key for response in responses} <= {"key-2", "key-3", "key-4", "key-5"}
    assert len(responses) >= 1


def test_a_reason_with_a_limit_of_its_own_becomes_a_failure_when_that_is_reached(tmp_path: Path) -> None:
    async def reply(number: int, _attempt: int) -> None:
        if number == 1:
            raise Retry("No text came.", code="empty answer", limit=1)

    provider = Provider(reply)
    responses = {response.key: response for response in drive(provider, map(request, range(3)), tmp_path)}
    assert (responses["key-1"].status, responses["key-1"].attempts) == ("failed", 2)
    assert responses["key-1"].error is not None
    assert responses["key-1"].error.code == "empty answer"
    assert provider.asked.count(1) == 2


def test_the_users_allowance_is_spread_over_the_minute(tmp_path: Path) -> None:
    moments: list[float] = []

    async def reply(_number: int, _attempt: int) -> None:
        moments.append(asyncio.get_running_loop().time())

    policy = LivePolicy(50, 30.0, rpm=1_200, tpm=10_000_000)
    assert len(drive(Provider(reply), map(request, range(30)), tmp_path, policy=policy)) == 30
    # 20 a second and at most four at once: 26 more need 1.3 s, whatever the machine does.
    assert moments[-1] - moments[0] >= 1.25


def test_those_that_fail_again_and_again_do_not_keep_new_ones_from_being_asked(tmp_path: Path) -> None:
    going = True

    async def reply(number: int, _attempt: int) -> None:
        nonlocal going
        if number < 20:
            raise Retry("500 It stumbles over this picture.", code="500")
        going = number < 99

    provider = Provider(reply)
    responses = drive(provider, map(request, range(100)), tmp_path, keep_going=lambda: going)
    assert {response.key for response in responses} == {f"key-{number}" for number in range(20, 100)}


def test_a_fault_of_our_own_in_one_call_does_not_cost_the_others_their_answers(tmp_path: Path) -> None:
    async def reply(number: int, _attempt: int) -> None:
        if number == 2:
            raise OverflowError("date value out of range")
        await asyncio.sleep(0.05)

    provider = Provider(reply)
    responses = {response.key: response for response in drive(provider, map(request, range(100)), tmp_path)}
    assert len(responses) == 100
    failed = responses.pop("key-2")
    assert failed.error is not None
    assert (failed.status, failed.attempts, failed.error.code) == ("failed", 3, "unforeseen")
    assert "OverflowError: date value out of range" in failed.error.message
    assert {response.status for response in responses.values()} == {"ok"}


def test_a_long_wait_for_one_request_alone_does_not_end_the_run(tmp_path: Path) -> None:
    async def reply(number: int, _attempt: int) -> None:
        if number == 1:
            raise Retry("502 Later.", code="502", after_s=3_600.0)

    provider = Provider(reply)
    responses = {response.key: response for response in drive(provider, map(request, range(10)), tmp_path)}
    assert len(responses) == 10
    assert responses["key-1"].status == "failed"
