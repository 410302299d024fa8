"""A model of the batch protocol: the real driver and the real store against a provider that may do anything, in processes
that may die at any moment, on a machine whose power may fail.

Time is virtual and chance is hypothesis' own, so that a sequence that breaks something is found again and made short.
VLURES_MODEL_EXAMPLES says how many sequences are tried. They are the same on every machine, so that a test that fails
does so because of what was changed; VLURES_MODEL_SEED=1, 2, 3 … tries others.

After every step:
- No request is sent in two batches that are both to answer it, and none is paid twice. A second payment is allowed only
  where nobody could know of the first: the provider charged for a line that it never handed over (missing or garbled,
  no result file at all, a file that came cut short `MOST_CUTS` times in a row), or its list hid a batch whose creation was
  in doubt for longer than `doubt_patience_s` after its reply was last waited for.
- No request is asked again because its question has changed, unless the user wants that.
- No paid answer is lost: it is stored, or its batch is open in the journal. That holds for the files as they are (after a
  kill), and for what of them a power cut would leave.
- No answer is stored twice, none is changed, and each is the one to the question whose digest it bears.
At the end all faults cease, and one more run answers everything.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import vlures.backends.batch
import vlures.store
from tests.protocol_model.clock import Clock, datetime_of
from tests.protocol_model.command import DOUBT_PATIENCE_S, SETTING, CommandName, Process, Question, why_wrong
from tests.protocol_model.disk import Disk, Doom, PowerCut
from tests.protocol_model.folder import Folder, View
from tests.protocol_model.provider import CUTS, PROBLEMS, TROUBLES, Batch, CallName, Fate, Provider, Treatment, Trouble
from vlures.records import FINAL_STATUSES
from vlures.store import CheckpointStore, parse_key

EXAMPLES = int(os.environ.get("VLURES_MODEL_EXAMPLES", "160"))
SEED = int(os.environ.get("VLURES_MODEL_SEED", "0"))
PARTS = 4
"""So many tests share the sequences, and so may as many cores."""
STEPS = 60
MOST_SAMPLES = 4
SETTINGS = settings(
    max_examples=max(1, EXAMPLES // PARTS),
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.generate, Phase.shrink),
    database=None,
    print_blob=True,
)
MEMORY = next((folder for folder in ("/dev/shm",) if os.access(folder, os.W_OK)), None)
"""A folder in memory, where there is one: no test of a disk needs a disk."""

LINES: list[tuple[Treatment, ...]] = [
    ("ok",), ("ok",), ("ok", "missing"), ("ok", "garbage"), ("transient",), ("ok", "transient"), ("lasting", "ok"),
    ("doubled",), ("failed, then ok", "ok"), ("truncated", "refused"), ("transient", "missing", "ok"),
]  # fmt: skip
FATES: list[dict[str, list[Any]]] = [
    {"lasts_s": [3.0, 0.0, 20.0, 90.0], "list_lag_s": [0.0, 2.0, 9.5, 40.0], "status_lag_s": [0.0, 1.0, 8.0]},
    {
        "end": ["completed", "completed", "expired", "cancelled", *PROBLEMS],
        "reached": [0, 1, 2, 3],
        "files": ["two", "one", "two", "none"],
    },
    {"lines": LINES, "oddities": [(), (), ("unknown",), ("null", "empty line")]},
]
"""Together they make a fate. Three choices instead of eight, since choosing takes time, and not one: hypothesis chooses
fairly among 256 at most, and of more it takes rather the first ones."""
POWER_CUTS = [PowerCut(*kept) for kept in product((0.0, 0.5, 0.97, 1.0), (1.0, 0.0, 0.6), (False, True), (True, False))]
DEATHS = [None] * len(POWER_CUTS) + POWER_CUTS
"""None: kill -9, after which all that was written is there. As often as a power cut."""
DOOMS = [Doom(boundary, part) for boundary in range(1, 19) for part in (0.0, 0.5, 0.99)]
COMMANDS: list[CommandName] = ["cancel", "run --no-wait", "run --no-wait", "run --forget-lost", "run"]
Handover = Literal["none", "interrupt", "kill"]
HANDOVERS: list[Handover] = ["interrupt", "kill", "none"]
"""What the user does to the process that runs before they give another command. none: it comes after that has ended."""
SLOW_CALLS: list[CallName] = ["create", "upload", "status", "download"]
AFTER = [0, 0, 1, 2, 4]
"""How many calls of a name go well before those that fail."""
DOUBTS: list[Trouble] = ["lost after", "lost before", "late"]
TROUBLED_FINDS: list[list[Trouble]] = [[], ["refused"], ["retry later"] * 6, ["slow"], ["lost after", "retry"]]


def one_of_each(choices: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from([dict(zip(choices, chosen, strict=True)) for chosen in product(*choices.values())])


ALL_FATES = st.tuples(*map(one_of_each, FATES)).map(lambda parts: Fate(**parts[0], **parts[1], **parts[2]))


class Protocol(RuleBasedStateMachine):
    """A user, a provider and a machine, none of them to be relied on."""

    tried = 0

    def __init__(self, disk: Disk, clock: Clock) -> None:
        super().__init__()
        Protocol.tried += 1
        clock.reset()
        disk.reset()
        self.disk = disk
        self.clock = clock
        self.folder = Folder(disk, disk.folder / "run" / f"checkpoints_{SETTING.label}")
        self.provider = Provider(clock)
        self.process: Process | None = None
        self.death: PowerCut | None = None
        self.sound = True
        self.complete = False
        self.checked: tuple[int, int] | None = None
        self.question = Question(1, 1)

    @initialize(
        size=st.sampled_from([(2, 2), (1, 1), (1, 2), (2, 3), (3, 2), (4, 3), (4, 8)]),
        trial=st.sampled_from([None, None, "takes files", "refuses files"]),
        delete=st.booleans(),
    )
    def a_user_has_questions(self, size: tuple[int, int], trial: str | None, delete: bool) -> None:
        self.question = Question(*size, trial=trial is not None, delete=delete)
        self.provider.refuses_files = trial == "refuses files"

    # Time goes on

    @rule(steps=st.sampled_from([1, 2, 3, 5, 8, 13, 21, 34]))
    def a_few_steps(self, steps: int) -> None:
        process = self._begin()
        until_s = self.clock.awake_s + 300.0
        for _ in range(steps):
            if not process.step(until_s):
                break
        self._look_at_the_end(process)

    @rule(seconds=st.sampled_from([0.2, 1.0, 5.0, 30.0, 300.0]))
    def some_time(self, seconds: float) -> None:
        self._run_for(self._begin(), seconds)

    @rule(call=st.sampled_from(["upload", "create", "created", "find", "status", "cancel", "download", "delete"]))
    def until_a_call(self, call: str) -> None:
        process = self._begin()
        self._run_to(process, call)
        self._look_at_the_end(process)

    @rule(seconds=st.sampled_from([3.0, 30.0, 100.0]))
    def the_machine_sleeps(self, seconds: float) -> None:
        self.sound = False
        self.clock.wall_s += seconds

    # The process ends

    @precondition(lambda self: self.process is not None)
    @rule(death=st.sampled_from(DEATHS))
    def it_dies(self, death: PowerCut | None) -> None:
        self.sound = False
        self._kill(death)

    @rule(doom=st.sampled_from(DOOMS), death=st.sampled_from(DEATHS))
    def it_dies_at_the_disk(self, doom: Doom, death: PowerCut | None) -> None:
        process = self._begin()
        self.disk.doom, self.death = doom, death
        self._run_for(process, 30.0)

    @rule(moment=st.sampled_from(list(product(SLOW_CALLS, (1.0, 5.0, 11.0)))), death=st.sampled_from(DEATHS))
    def it_dies_in_a_slow_call(self, moment: tuple[CallName, float], death: PowerCut | None) -> None:
        call, seconds = moment
        process = self._begin()
        self.provider.troubles[call].append("slow")
        self._run_to(process, call)
        self._run_for(process, seconds)
        self._kill(death)

    @precondition(lambda self: self.process is not None)
    @rule()
    def it_is_interrupted(self) -> None:
        self.sound = False
        self._interrupt()

    # What goes wrong

    @rule(
        trouble=st.sampled_from([(*trouble, times) for times in (1, 1, 2, 6) for trouble in TROUBLES]),
        after=st.sampled_from(AFTER),
    )
    def a_call_will_fail(self, trouble: tuple[CallName, Trouble, int], after: int) -> None:
        self.sound = False
        name, kind, times = trouble
        self.provider.troubles[name].extend([None] * after + [kind] * times)

    @rule(cut=st.sampled_from(CUTS), times=st.sampled_from([1, 1, 2, 6]), after=st.sampled_from(AFTER))
    def a_download_comes_cut_short(self, cut: Trouble, times: int, after: int) -> None:
        self.a_call_will_fail(("download", cut, times), after)

    @rule(doubt=st.sampled_from(list(product(DOUBTS, TROUBLED_FINDS))))
    def a_creation_will_be_in_doubt(self, doubt: tuple[Trouble, list[Trouble]]) -> None:
        self.sound = False
        create, find = doubt
        self.provider.troubles["create"].append(create)
        self.provider.troubles["find"].extend(find)

    @rule(fate=ALL_FATES, much=st.sampled_from(list(product((1, 3, 2, 7), (0.5, 5.0, 60.0)))))
    def batches_go_wrong(self, fate: Fate, much: tuple[int, float]) -> None:
        self.sound = False
        times, seconds = much
        self.provider.fates.extend([fate] * times)
        self._run_for(self._begin(), seconds)

    @rule(queue=st.sampled_from([1, None, 2]))
    def the_queue_changes(self, queue: int | None) -> None:
        self.sound = False
        self.provider.queue = queue

    @rule(room=st.sampled_from([(0, 0), (None, None), (40, 40), (40, None), (400, 400), (400, None)]))
    def the_disk_fills(self, room: tuple[int | None, int | None]) -> None:
        self.sound = False
        self.disk.room, self.disk.room_later = room

    @rule()
    def a_sync_will_fail(self) -> None:
        self.sound = False
        self.disk.failing_syncs += 1

    @rule(key=st.sampled_from(["En-t1-1shot-rationales-1", "Sw-t1-1shot-rationales-2"]))
    def a_request_will_fail(self, key: str) -> None:
        self.sound = False
        self.provider.cursed ^= {key}

    # The user changes their mind, for the next process

    @rule()
    def more_is_asked(self) -> None:
        self.sound = False
        self.question = _changed(self.question, samples=min(MOST_SAMPLES, self.question.samples + 1))

    @rule(stale=st.sampled_from(["redo", "keep"]))
    def the_question_changes(self, stale: str) -> None:
        self.sound = False
        self.question = _changed(self.question, stale=stale, version=self.question.version + 1)

    @rule(how=st.sampled_from(list(product(COMMANDS, HANDOVERS, (0.5, 5.0, 300.0)))))
    def another_command_is_given(self, how: tuple[CommandName, Handover, float]) -> None:
        self.sound = False
        command, handover, seconds = how
        if handover == "interrupt":
            self._interrupt()
        elif handover == "kill":
            self._kill(None)
        self.question = _changed(self.question, command=command)
        if self.process is None:
            self._run_for(self._begin(), seconds)

    # What must hold

    @invariant()
    def nothing_is_lost_and_nothing_paid_twice(self) -> None:
        self.provider.catch_up()
        news = (self.disk.changes, self.provider.calls["created"])
        if news != self.checked:
            self.folder.read()
            view = self.folder.view()
            unknowable = self._unknowable(view)
            self._check_bill(unknowable)
            self._check_journal(view)
            self._check_answers(unknowable, view)
            self._check_answers(unknowable, self.folder.view(answers_safe=True), " if the power is cut")
            self._check_answers(
                unknowable, self.folder.view(answers_safe=True, journal_safe=True), " if the power is cut"
            )
            self._check_store(view)
            self.checked = news
        self.sound = True

    def _check_bill(self, unknowable: set[Batch]) -> None:
        """No request is in two batches that both answer it, or whose answers are both still to come, and none is asked
        anew that has an answer which is to be kept."""
        payer: dict[tuple[str, str], Batch] = {}
        for batch in self.provider.batches:
            assert not batch.unwanted, f"{batch.id} asks what has an answer: {batch.unwanted}"
            if batch not in unknowable:
                for asked in batch.charged():
                    first = payer.setdefault(asked, batch)
                    assert first is batch, f"{asked} is paid in {first.id} and again in {batch.id}"

    def _check_journal(self, view: View) -> None:
        """Whatever batch the process has been told of, the journal names."""
        if self.process is not None and not self.disk.faults_shown:
            for batch in self.provider.batches:
                told = self.process.client in batch.told
                assert not told or batch.id in view.created, f"{batch.id} is in no journal"

    def _check_answers(self, unknowable: set[Batch], view: View, when: str = "") -> None:
        """Every answer that was paid for is stored, or to be had by the journal."""
        for batch in self.provider.batches:
            if (batch.tag not in view.open_tags or batch.deleted) and batch not in unknowable:
                for asked in batch.charged():
                    assert asked in view.answers, f"the answer of {batch.id} to {asked} is lost{when}"

    def _check_store(self, view: View) -> None:
        """Every answer is stored once, under the digest of its question, and stands for its request in the process."""
        store = self.process.store if self.process else None
        for (key, digest), texts in view.answers.items():
            assert texts == [f"answer to {digest}"], f"{key} has the answers {texts}"
            if store is not None:
                entry = store.entry(*parse_key(key, SETTING))
                assert entry is not None, f"{key} has an answer, and the store has none"
                assert entry.status in FINAL_STATUSES, f"{key} has an answer and stands as {entry.status}"

    def _unknowable(self, view: View) -> set[Batch]:
        """Batches of which nobody could know what they answer."""
        hidden = {batch.tag for batch in self.provider.batches if _was_hidden(batch)}
        return {
            batch
            for batch in self.provider.batches
            if batch.looked_short or batch.given_up or (batch.tag in hidden and batch.id not in view.created)
        }

    def teardown(self) -> None:
        try:
            if self.sound:
                self._leave_alone()
        finally:
            if self.process is not None:
                self.process.kill()

    def _leave_alone(self) -> None:
        """No fault any more: the process that runs comes to its end, and one more run makes everything complete."""
        self.provider.calm_down()
        self.disk.room, self.disk.room_later, self.disk.failing_syncs, self.disk.doom = None, None, 0, None
        if self.process is not None:
            self._run_for(self.process, 20_000.0)
            assert self.process is None, "the run does not end"
            self.nothing_is_lost_and_nothing_paid_twice()
        # What was in flight when its question changed may be asked again by the run after that which collects it.
        for _ in range(2 if self.question.version else 1):
            self.question, self.complete = _changed(self.question, command="run"), False
            process = self._begin()
            self._run_for(process, 20_000.0)
            assert process.ended, "the run does not end"
            self.nothing_is_lost_and_nothing_paid_twice()
        self._check_complete(process)

    def _check_complete(self, process: Process) -> None:
        assert process.error is None or process.tally.is_hopeless(1), f"it ended with {process.error!r}"
        with closing(CheckpointStore(process.benchmark.config.output_folder, SETTING, writable=False)) as store:
            for cell, sample in process.benchmark.questions():
                request = process.benchmark.request(cell, sample)
                entry = store.entry(cell, sample.id)
                assert entry is not None, f"{request.key} has neither answer nor failure"
                if request.key not in self.provider.cursed:
                    assert entry.status in FINAL_STATUSES, f"{request.key} stands as {entry.status}"
                    # What was to be asked again, and then was not, may go on waiting.
                    assert not entry.due or self.question.stale == "keep", f"{request.key} is due"
                    if self.question.stale == "redo":
                        assert entry.digest == request.digest
            assert store.open_jobs() == ()

    # The process

    def _begin(self) -> Process:
        """The process that runs, or a new one."""
        self.sound = False
        if self.process is None:
            if self.complete:
                self.complete = False
                self.question = _further(self.question)
            self.provider.shown.clear()
            self.process = Process(self.question, self.provider, self.disk)
            if self.question.command in ("cancel", "run --forget-lost"):
                self.question = _changed(self.question, command="run")
        return self.process

    def _kill(self, death: PowerCut | None) -> None:
        if self.process is not None:
            self.process.kill()
            self._bury(death)

    def _interrupt(self) -> None:
        if self.process is not None:
            self.process.interrupt()
            self._run_for(self.process, 0.5)
            assert self.process is None, "it does not end when it is told to"

    def _run_to(self, process: Process, call: str) -> None:
        calls = self.provider.calls[call]
        until_s = self.clock.awake_s + 300.0
        while self.provider.calls[call] == calls and process.step(until_s):
            pass

    def _run_for(self, process: Process, seconds: float) -> None:
        until_s = self.clock.awake_s + seconds
        while process.step(until_s):
            pass
        self._look_at_the_end(process)

    def _look_at_the_end(self, process: Process) -> None:
        """Judge how a process has ended, if it has."""
        if process.killed:
            self._bury(self.death)
        elif process.ended:
            self.process = None
            wrong = why_wrong(process, self.provider.shown.total() + self.disk.faults_shown)
            assert wrong is None, wrong
            assert process.complaints == []
            self.complete = process.complete

    def _bury(self, death: PowerCut | None) -> None:
        self.process = None
        if death is not None:
            self.disk.cut_power(death)
            self.folder.forget()


def _further(question: Question) -> Question:
    """What a user asks who has all answers: more of the same, or everything anew."""
    if question.samples < MOST_SAMPLES:
        return _changed(question, samples=question.samples + 1)
    return _changed(question, version=question.version + 1, stale="redo")


def _changed(question: Question, **changes: object) -> Question:
    values = {name: getattr(question, name) for name in question.__slots__}
    return Question(**(values | changes))


def _was_hidden(batch: Batch) -> bool:
    """Whether the list hid the batch for longer than it is looked for."""
    return batch.made_s + batch.fate.list_lag_s > batch.heard_s + DOUBT_PATIENCE_S


NewProtocol = Callable[[], Protocol]


@pytest.fixture
def new_protocol(monkeypatch: pytest.MonkeyPatch) -> Iterator[NewProtocol]:
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="vlures-model-", dir=MEMORY) as folder:
        disk = Disk(Path(folder) / "outputs")
        monkeypatch.setattr(vlures.store, "os", disk)
        for module in (vlures.store, vlures.backends.batch):
            monkeypatch.setattr(module, "datetime", datetime_of(clock))
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield lambda: Protocol(disk, clock)


@pytest.mark.parametrize("part", range(PARTS))
def test_the_protocol_holds(new_protocol: NewProtocol, part: int) -> None:
    Protocol.tried = 0
    try:
        run_state_machine_as_test(seed(SEED * PARTS + part)(new_protocol), settings=SETTINGS)
    finally:
        print(f"{Protocol.tried} sequences tried")


# Sequences that broke something once


def test_a_line_that_nobody_asked_for_makes_up_for_none_that_was_cut_off(new_protocol: NewProtocol) -> None:
    protocol = new_protocol()
    protocol.a_user_has_questions((2, 2), None, delete=False)
    protocol.a_download_comes_cut_short("cut at a line", times=1, after=0)
    protocol.batches_go_wrong(Fate(oddities=("unknown",)), (1, 5.0))
    protocol.some_time(300.0)
    protocol.nothing_is_lost_and_nothing_paid_twice()
    protocol.teardown()


def test_a_download_that_comes_shorter_than_the_one_before_does_not_replace_it(new_protocol: NewProtocol) -> None:
    protocol = new_protocol()
    protocol.a_user_has_questions((1, 2), None, delete=False)
    protocol.a_download_comes_cut_short("cut", times=2, after=4)
    protocol.batches_go_wrong(Fate(lines=("ok", "garbage")), (1, 5.0))
    protocol.nothing_is_lost_and_nothing_paid_twice()
    protocol.teardown()


def test_a_request_in_two_open_batches_waits_for_both(new_protocol: NewProtocol) -> None:
    """The second batch was created in the moment between the last answer of the first and its being noted as collected."""
    protocol = new_protocol()
    protocol.a_user_has_questions((1, 2), None, delete=False)
    protocol.provider.usual = Fate(lasts_s=90.0)
    protocol.batches_go_wrong(Fate(lines=("ok", "transient")), (1, 30.0))
    protocol.it_dies(None)
    assert [len(batch.lines) for batch in protocol.provider.batches] == [2, 1]
    journal = protocol.folder.path / "jobs.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if b'"collected"' not in line))
    protocol.some_time(300.0)
    protocol.nothing_is_lost_and_nothing_paid_twice()
    protocol.teardown()
