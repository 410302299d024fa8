"""A model of the batch protocol: the real driver and the real store against a provider that may do anything, in
processes that may die at any moment, on a machine whose power may fail.

Time is virtual and chance is hypothesis' own, so that a sequence that breaks something is found again and made short.
VLURES_MODEL_EXAMPLES says how many sequences are tried. They are the same on every machine, so that a test that fails
does so because of what was changed; VLURES_MODEL_SEED=1, 2, 3 … tries others.

After every step: - No request is sent in two batches that are both to answer it, and none is paid twice. A second
payment is allowed only where the user wants it (`--forget-lost`), where the provider charged for a line that it does
not even count, or where its list hid a batch whose creation was in doubt for longer than `doubt_patience_s` after its
reply was last waited for. Once such a batch is found, nothing of it is asked again. - No request is asked again because
its question has changed, unless the user wants that. - No paid answer is lost: it is stored, or its batch is open in
the journal. That holds for the files as they are (after a kill), and for what of them a power cut would leave. - No
answer is stored twice, none is changed, and each is the one to the question whose digest it bears. At the end all
faults cease, and one more run answers everything.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
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

import vlures.backends.batch.creation
import vlures.backends.batch.queue_limit
import vlures.backends.batch.submission
import vlures.backends.batch.watch
import vlures.files.writing
import vlures.store.clock
from tests.protocol_model.clock import Clock, datetime_of
from tests.protocol_model.command import (
    CONCURRENCY,
    DOUBT_PATIENCE_S,
    LIVE_TIMES,
    PRICE,
    SETTING,
    CommandName,
    Process,
    Question,
    benchmark_of,
    why_wrong,
)
from tests.protocol_model.disk import Disk, Doom, PowerCut
from tests.protocol_model.focus import Focus
from tests.protocol_model.folder import Asked, Folder, View
from tests.protocol_model.live import LIVE_TROUBLES, LiveCall
from tests.protocol_model.provider import (
    CUTS,
    PROBLEMS,
    TROUBLES,
    Batch,
    CallName,
    Fate,
    Provider,
    Treatment,
    Trouble,
    usage_of,
)
from vlures.records import FINAL_STATUSES
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import parse_key

EXAMPLES = int(os.environ.get("VLURES_MODEL_EXAMPLES", "160"))
SEED = int(os.environ.get("VLURES_MODEL_SEED", "0"))
PARTS = 4
"""So many tests share the sequences, and so may as many cores."""
LATEST_SYNC_S = 2.0
"""After so long a live answer is on the disk for good."""
STEPS = 60
CAPS = [None, None, None, 0.05, 0.08, 0.15]
"""USD: up to four answers, or twice as many at their real cost."""
MOST_SAMPLES = 4
SETTINGS = settings(
    max_examples=max(1, EXAMPLES // PARTS),
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.generate,) if os.environ.get("VLURES_MODEL_QUICK") else (Phase.generate, Phase.shrink),
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
        "files": ["two", "one", "two", "inline", "none"],
    },
    {
        "lines": LINES,
        "oddities": [(), (), ("unknown",), ("null", "empty line")],
        "results_lag_s": [0.0, 0.0, 5.0, 100.0],
        "counts": [True, True, False],
        "tells": ["true", "true", "nothing", "negative", "absurd"],
    },
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
    focus = Focus()

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
        self.wishes: Counter[Asked] = Counter()
        """How often the user has asked again for what has an answer."""
        self.wished: dict[Asked, int] = {}
        """What a redo is to ask → how many answers it had when that began."""
        self.processes = 0
        self.begun_s = 0.0
        self.cap: float | None = None
        self.cut = False
        """Whether the power was ever cut: what was reserved in the last second may be forgotten then."""
        self.checked: tuple[int, int] | None = None
        self.question = Question(1, 1)
        self.accounts = {self.question.account}

    @initialize(
        size=st.sampled_from([(2, 2), (1, 1), (1, 2), (2, 3), (3, 2), (4, 3), (4, 8)]),
        trial=st.sampled_from([None, None, "takes files", "refuses files"]),
        delete=st.booleans(),
        money=st.sampled_from(list(product((None, None, "100%", "50%"), (False, False, True), CAPS))),
    )
    def a_user_has_questions(
        self,
        size: tuple[int, int],
        trial: str | None,
        delete: bool,
        money: tuple[str | None, bool, float | None] = (None, False, None),
    ) -> None:
        finish, canary, self.cap = money
        options = {"finish": finish, "canary": canary, "cap": self.cap}
        self.question = Question(*size, trial=trial is not None, delete=delete, **options)  # type: ignore[arg-type]
        self.question = _changed(self.question, **self.focus.options)
        self.cap = self.question.cap
        self.provider.usual = self.focus.usual
        self.provider.troubles["live"].extend(self.focus.live)
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

    @rule(call=st.sampled_from(["charged live", "created", "charged live", "download"]), death=st.sampled_from(DEATHS))
    def it_dies_at_a_call(self, call: str, death: PowerCut | None) -> None:
        process = self._begin()
        self._run_to(process, call)
        self._look_at_the_end(process)
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

    @rule(
        trouble=st.sampled_from([(*trouble, times) for times in (1, 2) for trouble in LIVE_TROUBLES]),
        after=st.sampled_from([0, 0, 1, 2]),
    )
    def a_live_call_will_fail(self, trouble: tuple[CallName, Trouble, int], after: int) -> None:
        self.a_call_will_fail(trouble, after)

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

    @rule(account=st.sampled_from(["b", "a"]))
    def another_key_is_used(self, account: str) -> None:
        self.sound = False
        self.question = _changed(self.question, account=account)
        self.accounts.add(account)

    @rule()
    def more_is_asked(self) -> None:
        self.sound = False
        self.question = _changed(self.question, samples=min(MOST_SAMPLES, self.question.samples + 1))

    @rule(stale=st.sampled_from(["redo", "keep"]))
    def the_question_changes(self, stale: str) -> None:
        self.sound = False
        self.question = _changed(self.question, stale=stale, version=self.question.version + 1)

    @rule()
    def what_is_cut_short_is_asked_again(self) -> None:
        self.sound = False
        self.question = _changed(self.question, redo=True)

    @rule(canary=st.sampled_from([True, False]))
    def a_canary_is_wanted_or_not(self, canary: bool) -> None:
        self.sound = False
        self.question = _changed(self.question, canary=canary)

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
        news = (self.disk.changes, self.provider.calls["created"] + self.provider.calls["charged live"])
        if news != self.checked:
            self.folder.read()
            view = self.folder.view()
            unknowable = self._unknowable(view)
            self._check_bill(unknowable)
            self._check_cap(unknowable)
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
        """No request is in two batches that both answer it, or whose answers are both still to come, or live as well,
        and none is asked anew that has an answer which is to be kept."""
        payers: dict[Asked, list[Batch | LiveCall]] = {}
        for batch in self.provider.batches:
            assert not batch.unwanted, f"{batch.id} asks what has an answer: {batch.unwanted}"
            if batch not in unknowable:
                for asked in batch.charged():
                    payers.setdefault(asked, []).append(batch)
        for call in self.provider.live:
            if not call.excused:
                payers.setdefault(call.asked, []).append(call)
        for asked, paid in payers.items():
            hidden = {batch.tag for batch in paid if isinstance(batch, Batch) and _was_hidden(batch)}
            once = [payer for payer in paid if not (isinstance(payer, Batch) and payer.tag in hidden)]
            allowed = 1 + self.wishes[asked] - bool(hidden)
            names = [payer.id if isinstance(payer, Batch) else "a live call" for payer in paid]
            assert len(once) <= allowed, f"{asked} is paid in {' and again in '.join(names)}"

    def _check_cap(self, unknowable: set[Batch]) -> None:
        """What the provider charges for all that could be known of stays below the limit of cost."""
        if self.cap is None or self.cut:
            return
        paid = [asked for batch in self.provider.batches if batch not in unknowable for asked in batch.charged()]
        tokens = sum(sum(usage_of(asked)) for asked in paid)
        tokens += LIVE_TIMES * sum(sum(usage_of(call.asked)) for call in self.provider.live)
        usd = tokens * PRICE / 1e6
        assert usd <= self.cap, f"{usd:.4f} USD are charged, and {self.cap} are the limit"

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
        if self.process is None and not when:
            kept = self._rescued()
            for call in self.provider.live:
                stored = call.asked in view.answers or call.asked in kept
                assert call.excused or stored, f"the live answer to {call.asked} is lost"

    def _check_store(self, view: View) -> None:
        """Every answer is stored once, under the digest of its question, and stands for its request in the process."""
        store = self.process.store if self.process else None
        for (key, digest), texts in view.answers.items():
            once = len(texts) <= 1 + self.wishes[key, digest]
            assert once, f"{key} has the answers {texts}"
            assert set(texts) == {f"answer to {digest}"}, f"{key} has the answers {texts}"
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
            if batch.given_up
            or batch.tag in self.provider.given_up_tags
            or (batch.tag in hidden and batch.id not in view.created)
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
        self.focus = Focus()
        self.disk.room, self.disk.room_later, self.disk.failing_syncs, self.disk.doom = None, None, 0, None
        if self.process is not None:
            self._run_for(self.process, 20_000.0)
            assert self.process is None, "the run does not end"
            self.nothing_is_lost_and_nothing_paid_twice()
        # Each account collects what is its own. What was in flight when its question changed may be asked again by the
        # run after that which collects it. What a provider never shows has to be given up.
        accounts = sorted(self.accounts)
        for account in [*accounts, accounts[0]] if len(accounts) > 1 or self.question.version else accounts:
            hides = any(batch.never_shows_all for batch in self.provider.batches)
            command: CommandName = "run --forget-lost" if hides and account == accounts[0] else "run"
            self.cap = None
            again = {"command": command, "account": account, "redo": False, "cap": None, "canary": False}
            self.question, self.complete = _changed(self.question, **again), False
            process = self._begin()
            self._run_for(process, 20_000.0)
            assert process.ended, "the run does not end"
            self.nothing_is_lost_and_nothing_paid_twice()
        self._check_complete(process)

    def _check_complete(self, process: Process) -> None:
        assert process.error is None or process.tally.all_failed_alike(), f"it ended with {process.error!r}"
        with closing(CheckpointStore(process.config.output_folder, SETTING, writable=False)) as store:
            for question in process.benchmark.questions():
                request = process.benchmark.request(question)
                entry = store.entry(question.cell, question.sample_id)
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
            if self.processes and self.question.command != "cancel":
                self.question = _changed(self.question, **self.focus.later)
            self.provider.shown.clear()
            self._note_wishes()
            self.processes += 1
            self.begun_s = self.clock.awake_s
            self.process = Process(self.question, self.provider, self.disk, self.processes)
            if self.question.command in ("cancel", "run --forget-lost"):
                self.question = _changed(self.question, command="run")
        return self.process

    def _note_wishes(self) -> None:
        """A redo that begins asks again for what is cut short now, and that is the user's wish; one that goes on does
        not."""
        if not self.question.redo or self.question.command == "cancel" or self._redo_file.exists():
            return
        self.folder.read()
        view = self.folder.view()
        current = set(self._asked_now())
        for asked, status in view.statuses.items():
            if status in ("truncated", "refused") and asked in current and asked not in self.wished:
                self.wished[asked] = len(view.answers[asked])
                self.wishes[asked] += 1

    @property
    def _redo_file(self) -> Path:
        """Is there while a redo goes on."""
        return self.folder.path / "redo.json"

    def _asked_now(self) -> Iterator[Asked]:
        benchmark = benchmark_of(self.question, self.disk.folder)
        for request in benchmark.requests():
            yield request.key, request.digest

    def _end_redo(self) -> None:
        """A redo that says that it is complete has asked for all that is still asked, and is over."""
        assert not self._redo_file.exists(), "a redo is not over"
        self.folder.read()
        view = self.folder.view()
        current = set(self._asked_now())
        for asked, count in self.wished.items():
            assert asked not in current or len(view.answers[asked]) > count, (
                f"{asked} was to be asked again, and was not"
            )
        self.wished.clear()
        self.question = _changed(self.question, redo=False)

    def _excuse_flying(self, process: Process) -> None:
        """What is in flight live at a kill is paid and lost, and that is no more than the calls that may be under
        way."""
        self.folder.read()
        view = self.folder.view()
        flying = [call for call in self.provider.live if call.process == process.number and not call.excused]
        kept = self._rescued()
        flying = [call for call in flying if call.asked not in view.answers and call.asked not in kept]
        assert len(flying) <= CONCURRENCY, f"{len(flying)} live answers are lost by a kill"
        for call in flying:
            call.excused = True

    def _kill(self, death: PowerCut | None) -> None:
        if self.process is not None:
            self.process.kill()
            self._bury(death)

    def _interrupt(self) -> None:
        if self.process is not None:
            self.process.interrupt()
            self._run_for(self.process, 120.0 if self.process.live else 0.5)
            assert self.process is None, "it does not end when it is told to"

    def _run_to(self, process: Process, call: str) -> None:
        """To the moment of the next call of that name, if there is one."""
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
            if process.complete and process.question.redo and process.error is None and not process.interrupted:
                self._end_redo()

    def _bury(self, death: PowerCut | None) -> None:
        if self.process is not None:
            self._excuse_flying(self.process)
        self.process = None
        if death is not None:
            self.cut = True
            self.disk.cut_power(death)
            self.folder.forget()
            self._excuse_unsynced()

    def _excuse_unsynced(self) -> None:
        """A power cut takes the live answers of the last second."""
        self.folder.read()
        view = self.folder.view()
        kept = self._rescued()
        for call in self.provider.live:
            if not call.excused and call.asked not in view.answers and call.asked not in kept:
                # What a process that was killed has left in the system's hands, the next one brings to the disk.
                late = self.clock.awake_s - max(call.charged_s, self.begun_s)
                safe = late > LATEST_SYNC_S and not self.disk.faults_shown
                assert not safe, f"a live answer of {late:.1f} s ago is lost by a power cut"
                call.excused = True

    def _rescued(self) -> set[Asked]:
        """Answers that wait elsewhere for a disk that did not take them."""
        lines = [line for path in self.disk.rescued() for line in path.read_bytes().splitlines() if line[-1:] == b"}"]
        return {(line["key"], line["digest"]) for line in map(json.loads, lines) if line["status"] != "due"}


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
        monkeypatch.setattr(vlures.files.writing, "os", disk)
        for module in (
            vlures.store.clock,
            vlures.backends.batch.creation,
            vlures.backends.batch.queue_limit,
            vlures.backends.batch.submission,
            vlures.backends.batch.watch,
        ):
            monkeypatch.setattr(module, "datetime", datetime_of(clock))
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("HOME", str(Path(folder) / "home"))
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
    """The second batch was created in the moment between the last answer of the first and its being noted as
    collected."""
    protocol = new_protocol()
    protocol.a_user_has_questions((1, 2), None, delete=False)
    protocol.provider.usual = Fate(lasts_s=90.0)
    protocol.batches_go_wrong(Fate(lines=("ok", "transient")), (1, 30.0))
    protocol.it_dies(None)
    assert [len(batch.lines) for batch in protocol.provider.batches] == [2, 1]
    journal = protocol.folder.path / "jobs.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if b'"collected"' not in line))
    protocol.folder.forget()
    protocol.some_time(300.0)
    protocol.nothing_is_lost_and_nothing_paid_twice()
    protocol.teardown()
