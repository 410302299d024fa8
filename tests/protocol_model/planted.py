"""Faults planted in the real code, to show that the model finds them."""

from __future__ import annotations
import __future__

import inspect
import sys
import textwrap
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from tests.protocol_model.focus import Focus
from tests.protocol_model.provider import Fate


@dataclass(frozen=True)
class PlantedFault:
    """A fault in the real code."""

    words: str
    """What goes wrong."""
    place: str
    """`module:function` or `module:Class.method`."""
    there: str
    """Source text that occurs in it exactly once."""
    put: str
    """The text that replaces it."""
    finds: str
    """A pattern of what the model reports."""
    focus: Focus = Focus()
    """Where it is looked for, if chance seldom leads a sequence there."""

    def plant(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Compile the function anew with the fault in it. Fails if the source has changed, for then so must this."""
        module_name, _, path = self.place.partition(":")
        module = import_module(module_name)
        *owners, name = path.split(".")
        owner: Any = module
        for part in owners:
            owner = getattr(owner, part)
        source = textwrap.dedent(inspect.getsource(inspect.getattr_static(owner, name)))
        assert source.count(self.there) == 1, f"{self.place} has not {self.there!r} exactly once:\n{source}"
        found = _compile(source.replace(self.there, self.put), module, name)
        monkeypatch.setattr(owner, name, found)
        if not owners:
            _replace_imports(monkeypatch, module, name, found)


def _compile(source: str, module: ModuleType, name: str) -> Any:
    code = compile(source, f"<planted in {module.__name__}>", "exec", __future__.annotations.compiler_flag, True)
    names: dict[str, Any] = {}
    exec(code, module.__dict__ | {"__builtins__": __builtins__}, names)
    function = names[name]
    inner = getattr(function, "__func__", getattr(function, "fget", function))
    if inner is function:  # so that it sees the module's names as they are when it is called
        function = type(inner)(inner.__code__, module.__dict__, name, inner.__defaults__, inner.__closure__)
        function.__kwdefaults__ = inner.__kwdefaults__
    return function


def _replace_imports(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, found: Any) -> None:
    """Where other modules have taken the function's name into their own."""
    before = [other for other in sys.modules.values() if getattr(other, "__name__", "").startswith(("vlures", "tests"))]
    for other in before:
        held = other.__dict__.get(name)
        if held is not None and other is not module and getattr(held, "__module__", None) == module.__name__:
            monkeypatch.setattr(other, name, found)


BATCHES = "vlures.backends.batch"
CANARY_LATER = Focus({"canary": False}, {"canary": True}, Fate(lasts_s=90.0))
REDONE = Focus(later={"redo": True}, usual=Fate(lines=("truncated", "ok")))
LIVE_TAIL = Focus({"finish": "100%"}, usual=Fate(lines=("transient", "missing")))
CAPPED_LIVE = Focus({"finish": "100%", "cap": 0.03}, {"cap": 0.03}, Fate(lines=("transient", "missing")))
KILLED_LIVE = replace(CAPPED_LIVE, options={"finish": "100%", "cap": 0.025}, later={"cap": 0.025})
LOST_LIVE = replace(CAPPED_LIVE, live=("lost after",) * 4)
TWICE = "is paid in|asks what has an answer|has the answers"
CAP = "are the limit"

PLANTED: tuple[PlantedFault, ...] = (
    PlantedFault(
        "the provider's counts are not looked at: what is missing in a file is sent again",
        f"{BATCHES}.results:why_incomplete",
        "if described >= asked:",
        "if True:",
        f"{TWICE}|is lost",
    ),
    PlantedFault(
        "a creation whose reply was lost is tried again at once",
        f"{BATCHES}.creation:Creator.create",
        "found = await self.look_for(job.tag)",
        "found = ()",
        f"{TWICE}|is lost",
    ),
    PlantedFault(
        "a creation in doubt is looked for but once",
        f"{BATCHES}.creation:Creator.look_for",
        "if found or left <= 0:",
        "if True:",
        f"{TWICE}|is lost",
    ),
    PlantedFault(
        "the list of another account is believed that there is no batch",
        f"{BATCHES}.adoption:Adopter._adopt_doubtful",
        "can_know = job.account == state.client.account",
        "can_know = True",
        f"{TWICE}|is lost",
    ),
    PlantedFault(
        "that a creation is tried is not journaled before",
        f"{BATCHES}.creation:Creator.create",
        'self._journal.update_job(job.tag, "creating", doubted=job.doubted)',
        "pass",
        f"{TWICE}|is lost|is in no journal",
    ),
    PlantedFault(
        "a batch that is not known is given up unasked",
        f"{BATCHES}.adoption:Adopter._lose",
        "if state.policy.forget_lost:",
        "if True:",
        f"{TWICE}|is lost",
    ),
    PlantedFault(
        "of two batches of one tag one is adopted",
        f"{BATCHES}.adoption:Adopter.adopt_twins",
        "for twin, batch_id in twins:",
        "for twin, batch_id in ():",
        ".",
    ),
    PlantedFault(
        "answers that come in the batch itself are not read",
        f"{BATCHES}.collection:Collector._look",
        "if state.inline_lines:\n",
        "if False:\n",
        ".",
    ),
    PlantedFault(
        "requests that are left are dropped",
        f"{BATCHES}.settlement:Settler.take_failure",
        "state.leftovers.again.append(job.requests[key])",
        "pass",
        "it forgot",
    ),
    PlantedFault(
        "a job is called collected before its answers are on the disk",
        "vlures.store.jobs:JobJournal.update",
        "self._folder.sync_all()",
        "pass",
        "is lost",
    ),
    PlantedFault(
        "an answer to a question that has changed is asked anew unasked",
        f"{BATCHES}.claims:Claims._still_asks",
        "return self._ask_changed_again and answered != request.digest",
        "return answered != request.digest",
        TWICE,
    ),
    PlantedFault(
        "half a line at a file's end stays",
        "vlures.store.tails:TailRepair.repair",
        "elif torn:",
        "elif False:",
        ".",
    ),
    PlantedFault(
        "what is left to be asked live is dropped",
        "vlures.runs.execute:ResponseSink._take_one",
        "self.left.add(response.key)",
        "pass",
        "it forgot|neither answer nor failure",
    ),
    PlantedFault(
        "the canary's answer is not stored",
        "vlures.runs.execute:send_canary",
        "stored=keeper.store(response)",
        "stored=False",
        f"live answer|{TWICE}",
    ),
    PlantedFault(
        "the canary is sent although batches are under way",
        "vlures.runs.plan:needs_canary",
        " and not store.open_jobs()",
        "",
        f"live answer|{TWICE}",
        CANARY_LATER,
    ),
    PlantedFault(
        "a redo is never over",
        "vlures.runs.redo:end_redo",
        "(store.folder / REDO_FILE).unlink(missing_ok=True)",
        "pass",
        "a redo is not over",
        REDONE,
    ),
    PlantedFault(
        "a redo that was interrupted begins anew",
        "vlures.runs.redo:mark_asked_again",
        "if not store.read_json(REDO_FILE):",
        "if True:",
        TWICE,
        REDONE,
    ),
    PlantedFault(
        "a live answer that the disk does not take is dropped",
        "vlures.runs.response_keeper:ResponseKeeper.store",
        (
            "self._rescue_line(encode_line(response))\n            self._waiting.append(response)\n            "
            "self._note(fault)"
        ),
        "self._note(fault)",
        "live answer",
        LIVE_TAIL,
    ),
    PlantedFault(
        "the reservation of a live call is not written",
        "vlures.pricing.spending:Spending.reserve",
        "elif not self._file.write(Event(reserve={request.key: nano})):",
        "elif False:",
        CAP,
        CAPPED_LIVE,
    ),
    PlantedFault(
        "the reservations of a batch are not written",
        "vlures.pricing.spending:Spending.begin_job",
        "if not self._file.write(Event(reserve=amounts, job=job.tag, time=now())):",
        "if False:",
        CAP,
    ),
    PlantedFault(
        "an answer that tells no usage costs nothing",
        "vlures.pricing.spending:Spending._charge",
        "return self._highest_costs.dearest if reservation is None else reservation",
        "return 0",
        CAP,
        Focus({"cap": 0.08}, {"cap": 0.08}, Fate(tells="nothing")),
    ),
    PlantedFault(
        "what was in flight at a kill costs nothing",
        "vlures.pricing.earlier_spending:write_off_live_calls",
        "nano=0 if stored else nano",
        "nano=0",
        CAP,
        KILLED_LIVE,
    ),
    PlantedFault(
        "a live reply that was lost costs nothing",
        "vlures.pricing.spending:Spending.lose",
        "nano = reservation if failure.reached and may_cost(failure.code) else 0",
        "nano = 0",
        CAP,
        LOST_LIVE,
    ),
    PlantedFault(
        "live calls are reserved at the price of batches",
        "vlures.pricing.highest_costs:HighestCosts.of",
        "price = self._prices.of(mode)",
        'price = self._prices.of("batch")',
        CAP,
        CAPPED_LIVE,
    ),
)
