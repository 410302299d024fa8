"""The account of an output folder: what is reserved before a request is sent, and what it is taken to have cost."""

from __future__ import annotations

import errno
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.files.test_writing import FailingOs, put
from vlures.backends import find_provider
from vlures.backends.lenient_json import as_count
from vlures.benchmarks import open_other_stores
from vlures.benchmarks.vlures.answer_length import expect_tokens
from vlures.benchmarks.vlures.settings import Setting, make_cell, parse_cell
from vlures.config.sections import Mode
from vlures.errors import Retry, VluresError
from vlures.files.writing import CANCELLED
from vlures.pricing import NANO, Event, Ledger, RequestEstimator, charge_of, may_be_charged, may_cost
from vlures.pricing.cost_limit import sufficient_limit
from vlures.pricing.costs import Account, cost_of_answer, find_prices
from vlures.pricing.ledger_journal import LedgerJournal
from vlures.pricing.spending import Spending
from vlures.pricing.spending_file import FILE, SUMMED_EVERY, SpendingFile
from vlures.records import Failure, Image, Job, Prompt, Request, Response, Usage
from vlures.runs.config import RunConfig
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import request_key

CELL = make_cell("En", 1)
IMAGE = Image(Path("1.png"), "image/png", 3, 640, 480, "d")
MODEL, DEARER = "gpt-5.4-mini", "gpt-5.4"
OPENAI = find_provider("openai")
assert OPENAI is not None
ESTIMATOR = RequestEstimator(OPENAI, MODEL, lambda cell: expect_tokens(parse_cell(cell)[1], Setting()))
LOST = Retry("no answer", code="timeout")
REJECTED = Retry("429 slow down", code="429")


def request_of(number: int, config: RunConfig) -> Request:
    key = request_key(CELL, config.benchmark_options.setting, str(number))
    prompt = Prompt("Answer in one line.", ("What is in the picture? " * (1 + number % 7),))
    return Request(key, CELL, str(number), config.target.model, config.parameters, prompt, IMAGE, "digest")


def config_of(mode: Mode = "live", max_cost: float | None = None, **options: object) -> RunConfig:
    values: dict[str, object] = {"model": MODEL, "max_output_tokens": 400} | options
    return RunConfig(mode=mode, max_cost=max_cost, **values)  # type: ignore[arg-type]


@contextmanager
def opened(
    folder: Path, config: RunConfig, requests: list[Request] | None = None
) -> Iterator[tuple[Spending, CheckpointStore]]:
    """As a process opens it. What is not closed is as after a kill: files are in the system's hands line by line."""
    store = CheckpointStore(folder, config.benchmark_options.setting)
    spending = Spending(
        config.target,
        config.money.max_cost,
        find_prices(config.target, config.money, OPENAI),
        store,
        ESTIMATOR,
        partial(open_other_stores, store),
    )
    spending.open(lambda: requests or [])
    try:
        yield spending, store
    finally:
        store.close()


def answer_of(request: Request, usage: Usage | None, job: str | None = None, model: str = MODEL) -> Response:
    return Response(request.key, "ok", request.digest, "x", model=model, usage=usage, job=job)


def take(spending: Spending, store: CheckpointStore, response: Response) -> None:
    priced = spending.price(response)
    spending.settle(priced, stored=store.append(priced))


# What one answer costs

PRICE = find_prices(config_of().target, config_of().money, OPENAI).live
assert PRICE is not None


@pytest.mark.parametrize(
    "usage",
    [None, Usage(), Usage(100, None), Usage(None, 9), Usage(-5, 10), Usage(10**9, 1), Usage(100, 10**15), Usage(0, 0)],
)
def test_usage_that_cannot_be_is_none(usage: Usage | None) -> None:
    assert PRICE is not None
    assert charge_of(usage, PRICE, 3_000_000) is None


def test_a_number_that_is_no_count_is_not_read() -> None:
    odd = (-1, "-1", 1.5, "many", True, 2**63, 2**64, 10**40, "9" * 400, float("nan"), float("inf"), [], {})
    assert [as_count(value) for value in odd] == [None] * len(odd)


def test_an_answer_that_costs_far_more_than_was_thought_is_believed_if_it_can_be() -> None:
    assert PRICE is not None
    assert charge_of(Usage(1_000, 60_000), PRICE, 10_000_000) == 270_750_000
    assert charge_of(Usage(1_000, 900_000), PRICE, 10_000_000) is None


def test_what_a_provider_rejects_is_not_charged() -> None:
    free = ("400 invalid_value", "401", "404 model_not_found", "429", "503", "529", "file gone")
    in_doubt = (
        "timeout",
        "connection",
        "cut reply",
        "unreadable reply",
        "empty answer",
        "500",
        "502",
        "504",
        "408",
        "???",
    )
    assert not any(map(may_cost, free))
    assert all(map(may_cost, in_doubt))
    refused = Response("k", "refused", error=Failure("400 content_policy_violation", "no"))
    assert not may_be_charged(refused)
    assert may_be_charged(Response("k", "ok"))
    assert may_be_charged(Response("k", "failed", error=Failure("empty answer", "x"), job="j"))
    assert not may_be_charged(Response("k", "failed", error=Failure("500 server_error", "x"), job="j"))


@given(st.integers(1, 10**13))
def test_the_limit_that_is_advised_is_enough_and_hardly_more(nano: int) -> None:
    enough = float(sufficient_limit(nano))
    assert nano <= round(enough * NANO, 3)
    assert enough * NANO <= nano * 1.0011 + 1


# The ledger


def test_a_ledger_of_many_lines_is_opened_by_its_end(tmp_path: Path) -> None:
    file = SpendingFile(tmp_path)
    for number in range(2 * SUMMED_EVERY):
        file.note(Event(reserve={f"En-t1-1shot-rationales-{number}": 7}))
        file.note(Event(settle=f"En-t1-1shot-rationales-{number}", nano=3, by="reservation"))
    file.write(Event(reserve={"a-1": 5}, job="tag"))
    expected = msgspec.to_builtins(file.ledger.sum_up())
    again = SpendingFile(tmp_path, writable=False)
    assert msgspec.to_builtins(again.ledger.sum_up()) == expected
    assert again._lines <= SUMMED_EVERY
    assert again.ledger.charged == {"En-t1-1shot-rationales": 6 * SUMMED_EVERY}
    file.close()
    assert msgspec.to_builtins(SpendingFile(tmp_path).ledger.sum_up()) == expected


def test_a_torn_last_line_is_kept_aside_and_any_other_stops(tmp_path: Path) -> None:
    path = tmp_path / FILE
    whole = b'{"reserve":{"a-1":5}}\n'
    path.write_bytes(whole + CANCELLED.join([b'{"reserve":{"b', b""]) + b'{"reserve":{"c-1"')
    said: list[str] = []
    ledger = SpendingFile(tmp_path, say=said.append).ledger
    assert ledger.reserved == 5
    assert len(said) == 1
    assert path.with_name(f"{FILE}.torn-{len(whole) + 16}").read_bytes() == b'{"reserve":{"c-1"'
    path.write_bytes(whole + b'{"nano":"x"}\n' + whole)
    with pytest.raises(VluresError, match=r"spending\.jsonl, line 2, cannot be read"):
        SpendingFile(tmp_path)


def test_a_settlement_changes_only_what_is_its_own() -> None:
    ledger = Ledger()
    for event in (
        Event(reserve={"a-1": 5, "a-2": 6}, job="one"),
        Event(reserve={"a-1": 9}),
        Event(settle="a-1", job="one", nano=2, by="usage"),
        Event(settle="nobody-1", job="other", by="free"),
        Event(end="never begun"),
    ):
        ledger.apply(event)
    assert (ledger.reserved, ledger.charged) == (15, {"a": 2})
    ledger.apply(Event(end="one"))
    assert (ledger.reserved, ledger.standing) == (9, {"": {"a-1": 9}})


# What earlier runs have left


def test_an_answer_keeps_the_price_of_the_model_that_gave_it(tmp_path: Path) -> None:
    config, usage = config_of(), Usage(1_000, 100)
    with opened(tmp_path, config) as (spending, store):
        for number, model in ((1, MODEL), (2, DEARER)):
            request = request_of(number, config)
            assert spending.reserve(request, "live")
            take(spending, store, answer_of(request, usage, model=model))
        spent = spending.spent
    assert spent == 1_200_000 + 4_000_000
    changed = config_of(max_cost=1, model="gpt-6-astra")
    with opened(tmp_path, changed) as (spending, store):
        assert spending.spent == spent
        assert Account.read(store, find_prices(changed.target, changed.money, OPENAI)).nano_on(CELL) == spent


def test_answers_of_earlier_versions_are_priced_as_their_models_and_never_at_nothing(tmp_path: Path) -> None:
    config = config_of(max_cost=1)
    store = CheckpointStore(tmp_path, config.benchmark_options.setting)
    for number, (model, usage) in enumerate(((MODEL, Usage(1_000, 100)), (DEARER, Usage(1_000, 100)), (MODEL, None))):
        store.append(answer_of(request_of(number, config), usage, model=model))
    store.append(answer_of(request_of(8, config), Usage(-(10**9), 5)))
    store.close()
    with opened(tmp_path, config, [request_of(9, config)]) as (spending, store):
        assert spending.spent == 5_200_000 + 2 * spending._highest_costs.of(request_of(9, config), "live")
        assert Account.read(store, find_prices(config.target, config.money, OPENAI)).nano_on(CELL) == spending.spent
    with opened(tmp_path, config, [request_of(9, config)]) as (again, _):
        assert again.spent == spending.spent


def test_all_settings_of_a_folder_share_one_limit(tmp_path: Path) -> None:
    one, other = config_of(), config_of(shots=0, max_cost=1)
    with opened(tmp_path, one) as (spending, store):
        assert spending.reserve(request_of(1, one), "live")
        take(spending, store, answer_of(request_of(1, one), Usage(1_000, 100)))
    with opened(tmp_path, other) as (spending, _):
        assert spending.spent == 1_200_000


@pytest.mark.parametrize("mode", ["batch", "live"])
def test_a_canary_and_a_live_tail_reserve_at_the_live_price(tmp_path: Path, mode: Mode) -> None:
    for options in ({}, {"model": "mine", "price_input": 1.0, "price_output": 2.0}):
        config = config_of(mode, 1, **options)
        with opened(tmp_path / str(len(options)), config) as (spending, _):
            live, batch = (spending._highest_costs.of(request_of(1, config), which) for which in ("live", "batch"))  # type: ignore[arg-type]
            assert live == (batch if options and mode == "live" else pytest.approx(2 * batch, abs=2))


def test_a_disk_that_fails_at_the_start_leaves_no_call_that_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a request that waits for the money of a killed process's call waits for ever."""
    config = config_of(max_cost=1)
    with opened(tmp_path, config) as (killed, _):
        assert killed.reserve(request_of(1, config), "live")
    put(monkeypatch, FailingOs({"write": {0: errno.ENOSPC}}, only=tmp_path / "spending.jsonl"))
    with opened(tmp_path, config) as (spending, _):
        assert not spending.awaits_money
        assert (spending.spent, spending.reserved) == (killed.reserved, 0)
        spending.try_again()
        assert spending.failure is None
        spending.close()
    with opened(tmp_path, config) as (later, _):
        assert (later.spent, later.reserved) == (killed.reserved, 0)


def test_what_a_kill_left_in_flight_counts_as_spent_once_and_is_said(tmp_path: Path) -> None:
    config = config_of(max_cost=1)
    with opened(tmp_path, config) as (spending, store):
        for number in range(3):
            assert spending.reserve(request_of(number, config), "live")
        store.append(spending.price(answer_of(request_of(0, config), Usage(1_000, 100))))  # not settled before the kill
        lost = spending.reserved - (spending._ledger.reservation(request_of(0, config).key) or 0)
    said: list[str] = []
    for _ in range(2):
        store = CheckpointStore(tmp_path, config.benchmark_options.setting)
        spending = Spending(
            config.target,
            config.money.max_cost,
            find_prices(config.target, config.money, OPENAI),
            store,
            ESTIMATOR,
            say=said.append,
        )
        spending.open(list)
        assert (spending.spent, spending.reserved) == (1_200_000 + lost, 0)
    assert len(said) == 1
    assert said[0].startswith("2 live calls were in flight when an earlier run was killed; up to $0.0043")


# Random histories

USAGES = st.sampled_from(("honest", "none", "negative", "absurd", "half"))


@dataclass
class World:
    """A provider that charges, by its own account, at most what was reserved; and the runs that ask it."""

    folder: Path
    draw: random.Random
    truth: int = 0
    number: int = 0
    caps: list[float] = field(default_factory=list)
    alive: dict[str, tuple[RunConfig, list[tuple[Request, int]]]] = field(default_factory=dict)

    def usage(self, highest: int, mode: Mode, kind: str, model: str) -> Usage | None:
        """What an answer says; what it really cost is added to the truth."""
        config = config_of(mode, model=model)
        price = find_prices(config.target, config.money, OPENAI).of(mode)
        assert price is not None
        output = self.draw.randrange(1, 401)
        honest = Usage(self.draw.randrange(1, 900), output)
        nano = charge_of(honest, price, None)
        assert nano is not None
        if kind == "honest" and nano <= highest:
            self.truth += nano
            return honest
        self.truth += self.draw.randrange(highest + 1)
        return {"none": None, "negative": Usage(-4, -(10**8)), "absurd": Usage(10**12, 1), "half": Usage(9, None)}.get(
            kind
        )


def run_once(world: World, config: RunConfig, steps: int) -> None:
    """One process: it sends, takes what comes, and is killed after so many steps."""
    cap = config.max_cost
    with opened(world.folder, config, [request_of(0, config)]) as (spending, store):
        journal = LedgerJournal(store, spending)
        collect(world, spending, store, journal, config)
        flying: list[Request] = []
        for _ in range(steps):
            world.number += 1
            request = request_of(world.number, config)
            act = world.draw.choice(("send", "send", "answer", "lose", "reject", "batch", "canary"))
            if act in ("send", "canary") and spending.reserve(request, "live"):
                flying.append(request)
            elif act == "batch" and config.run_mode == "batch":
                send_batch(world, spending, journal, config)
            elif flying:
                land(world, spending, store, flying.pop(), act)
            if cap is not None:
                assert spending.spent + spending.reserved <= cap * NANO or spending.spent + spending.reserved <= before(
                    world
                )
            check(world, spending)
        for request in flying:  # a kill: charged or not, no reply says so
            world.truth += world.draw.choice((0, spending._ledger.reservation(request.key) or 0))


def before(world: World) -> float:
    return max(world.caps) * NANO


def check(world: World, spending: Spending) -> None:
    assert world.truth <= spending.spent + spending.reserved
    assert world.truth <= before(world)
    assert spending.spent >= 0
    assert spending.reserved >= 0


def land(world: World, spending: Spending, store: CheckpointStore, request: Request, act: str) -> None:
    highest = spending._ledger.reservation(request.key)
    assert highest is not None
    if act == "reject":
        spending.lose(request, REJECTED)
    elif act == "lose":
        world.truth += world.draw.randrange(highest + 1)
        spending.lose(request, LOST)
    else:
        kind = world.draw.choice(("honest", "none", "negative", "absurd", "half"))
        usage = world.usage(highest, "live", kind, request.model)
        if act == "answer" and world.draw.random() < 0.2:
            empty = Retry("empty", code="empty answer", heard=answer_of(request, usage, model=request.model))
            spending.lose(request, empty)
        else:
            take(spending, store, answer_of(request, usage, model=request.model))


def send_batch(world: World, spending: Spending, journal: LedgerJournal, config: RunConfig) -> None:
    requests = []
    for _ in range(world.draw.randrange(1, 5)):
        world.number += 1
        request = request_of(world.number, config)
        if spending.reserve(request, "batch"):
            requests.append(request)
    if not requests:
        return
    tag = f"tag-{world.number}"
    journal.begin_job(
        Job(tag, "OpenAI", "intended", {request.key: "digest" for request in requests}, "2026-11-01T00:00:00+00:00")
    )
    held = [(request, spending._ledger.reservation(request.key, tag) or 0) for request in requests]
    if world.draw.random() < 0.2:
        journal.update_job(tag, "dropped")
        return
    journal.update_job(tag, "created")
    world.alive[tag] = (config, held)


def collect(
    world: World, spending: Spending, store: CheckpointStore, journal: LedgerJournal, config: RunConfig
) -> None:
    """Batches of this setting that have ended; the process may die in the middle of one."""
    for tag, (of, held) in list(world.alive.items()):
        if of.benchmark_options.setting != config.benchmark_options.setting or world.draw.random() < 0.5:
            continue
        del world.alive[tag]
        for request, highest in held:
            kind = world.draw.choice(("honest", "none", "absurd", "failed", "empty"))
            if kind == "failed":
                spending.fail(Response(request.key, "failed", error=Failure("400 x", "no"), job=tag))
            elif kind == "empty":
                usage = world.usage(highest, "batch", "none", request.model)
                failure = Failure("empty answer", "no")
                spending.fail(Response(request.key, "failed", usage=usage, error=failure, job=tag))
            else:
                usage = world.usage(highest, "batch", kind, request.model)
                take(spending, store, answer_of(request, usage, tag, request.model))
        journal.update_job(tag, "collected")
        check(world, spending)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from(("batch", "live")), st.booleans(), st.integers(0, 3)), max_size=6),
)
def test_no_history_passes_the_limit_or_forgets_what_it_cost(seed: int, runs: list[tuple[Mode, bool, int]]) -> None:
    """Sends, answers with usage, without, and with nonsense; losses; kills at any step; other modes, settings, models
    and limits."""
    folder = Path(tempfile.mkdtemp())
    try:
        world = World(folder, random.Random(seed))
        for mode, rationales, change in runs:
            cap = world.draw.choice((0.01, 0.02, 0.05))
            world.caps.append(cap)
            model = DEARER if change == 1 else MODEL
            run_once(world, config_of(mode, cap, rationales=rationales, model=model), world.draw.randrange(40))
    finally:
        shutil.rmtree(folder)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.02, 0.2), st.integers(1, 20))
def test_most_of_the_limit_is_used_before_a_run_stops(seed: int, cap: float, at_once: int) -> None:
    folder = Path(tempfile.mkdtemp())
    draw = random.Random(seed)
    config = config_of(max_cost=cap)
    try:
        with opened(folder, config) as (spending, store):
            flying: list[Request] = []
            for number in range(10_000):
                request = request_of(number, config)
                while len(flying) == at_once or not spending.reserve(request, "live"):
                    if not spending.awaits_money:
                        spending.forgo(request, "live")
                        break
                    landed = flying.pop(draw.randrange(len(flying)))
                    take(spending, store, answer_of(landed, Usage(draw.randrange(200, 900), draw.randrange(20, 300))))
                else:
                    flying.append(request)
                if spending.stopped:
                    break
            assert spending.stopped
            assert 0.8 * cap * NANO <= spending.spent <= cap * NANO
            assert spending.reserved == 0
            assert f"--max-cost {cap:g} allows no further request: $" in spending.describe_stop()
            total = sum(
                cost_of_answer(msgspec.convert(line, Response), find_prices(config.target, config.money, OPENAI)) or 0
                for _, line in store.responses(CELL)
            )
            assert round(total * NANO) == spending.spent
    finally:
        shutil.rmtree(folder)
