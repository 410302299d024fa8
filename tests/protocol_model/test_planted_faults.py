"""The model of the protocol finds faults of the kinds that it is for: each of these, planted in the real code, breaks
it.

`make contract` plants all of them (VLURES_PLANTED=all), else it is the first few.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.protocol_model.planted import PLANTED, PlantedFault
from tests.protocol_model.test_protocol import STEPS, NewProtocol, Protocol, new_protocol  # noqa: F401 (a fixture)

CHOSEN = PLANTED if os.environ.get("VLURES_PLANTED") == "all" else PLANTED[:3]
MOST_EXAMPLES = 1000
"""Sequences after which a planted fault must have been found."""
TRIES = settings(
    max_examples=MOST_EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
    database=None,
)


@pytest.mark.parametrize("planted", CHOSEN, ids=lambda planted: planted.words)
def test_the_model_finds_a_fault(
    new_protocol: NewProtocol,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    planted: PlantedFault,
) -> None:
    planted.plant(monkeypatch)
    monkeypatch.setattr(Protocol, "focus", planted.focus)
    Protocol.tried = 0
    with pytest.raises(Exception, match=planted.finds) as found:
        run_state_machine_as_test(seed(1)(new_protocol), settings=TRIES)
    assert not re.search("NameError|AttributeError|TypeError|UnboundLocalError", repr(found.value)), found.value
    said = str(found.value).splitlines()[0]
    record_property("summary", f"planted: {planted.words}: found in sequence {Protocol.tried}: {said[:160]}")
