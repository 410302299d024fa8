"""Parameters that a server has another name for: what its refusal says, what later requests are sent, what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from vlures.backends.openai.parameter_names import MOST_REFUSED, ParameterNames


class Folder:
    """A run's folder."""

    def __init__(self) -> None:
        self.facts: dict[str, Mapping[str, Any]] = {}

    def recall(self, name: str) -> Mapping[str, Any]:
        return self.facts.get(name, {})

    def remember(self, name: str, facts: Mapping[str, Any]) -> None:
        self.facts[name] = facts


def sent_after(
    error: Mapping[str, Any], body: dict[str, Any], usual: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What is sent in place of a body that was refused; empty if nothing is."""
    names = ParameterNames(usual)
    first = dict(body)
    names.apply(first)
    if not names.take_other(error, frozenset(first)):
        return {}
    names.apply(body)
    return body


AZURE = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
OLDER = {"max_completion_tokens": "max_tokens"}


@pytest.mark.parametrize(
    ("error", "usual", "name"),
    [
        ({"message": AZURE, "param": "max_tokens", "code": "unsupported_parameter"}, OLDER, "max_completion_tokens"),
        ({"message": AZURE}, OLDER, "max_completion_tokens"),
        ({"message": "Unrecognized request argument supplied: max_completion_tokens"}, {}, "max_tokens"),
        ({"detail": [{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"]}]}, {}, "max_tokens"),
        ({"message": "no", "param": "max_completion_tokens", "code": "unsupported_parameter"}, {}, "max_tokens"),
        ({"message": "'max_completion_tokens' is deprecated; use 'output_tokens' instead."}, {}, "output_tokens"),
    ],
)
def test_the_other_name_is_taken(error: Mapping[str, Any], usual: Mapping[str, str], name: str) -> None:
    assert sent_after(error, {"model": "m", "max_completion_tokens": 5}, usual) == {"model": "m", name: 5}


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Unsupported value: 'temperature' does not support 0 with this model.", "param": "temperature"},
        {"message": "Unsupported parameter: 'messages'. Use 'input' instead.", "param": "messages"},
        {"message": AZURE},  # of a parameter that was not sent
        {"message": "'temperature' is not supported. Use 'seed' instead."},  # which is sent already
        {"message": "max_completion_tokens is too large: 5. This model supports at most 4."},
        {},
        {"message": 7, "param": ["x"], "code": {}},
    ],
)
def test_nothing_else_is_changed(error: Mapping[str, Any]) -> None:
    body = {"model": "m", "messages": [], "max_completion_tokens": 5, "temperature": 0, "seed": 1}
    assert sent_after(error, body) == {}


def test_no_name_is_tried_twice() -> None:
    names = ParameterNames(OLDER)
    assert names.take_other({"message": AZURE}, {"max_tokens"})
    back = "Unsupported parameter: 'max_completion_tokens'. Use 'max_tokens' instead."
    assert not names.take_other({"message": back}, {"max_completion_tokens"})
    assert names.take_other({"message": AZURE}, {"max_tokens"}), "one that had left before is sent again"


def test_a_server_that_always_names_another_is_not_followed_for_ever() -> None:
    names = ParameterNames()
    taken = 0
    while names.take_other({"message": f"'p{taken}' is not supported. Use 'p{taken + 1}' instead."}, {f"p{taken}"}):
        taken += 1
        assert taken < 100
    assert taken == MOST_REFUSED


def test_the_folder_remembers_a_name_once_an_answer_has_come() -> None:
    folder, said = Folder(), list[str]()
    names = ParameterNames(OLDER, folder, "m at a server", said.append)
    assert names.take_other({"message": AZURE}, {"max_tokens"})
    assert not folder.facts
    names.prove()
    names.prove()
    later = ParameterNames(OLDER, folder, "m at a server", said.append)
    body = {"max_completion_tokens": 5}
    later.apply(body)
    assert body == {"max_completion_tokens": 5}
    elsewhere = ParameterNames(OLDER, folder, "m at another server")
    elsewhere.apply(body)
    assert body == {"max_tokens": 5}
    assert len(said) == 1


def test_a_name_that_a_batch_was_refused_for_is_remembered_at_once() -> None:
    folder = Folder()
    assert ParameterNames(OLDER, folder).take_other({"message": AZURE, "code": "unsupported_parameter"})
    body = {"max_completion_tokens": 5}
    ParameterNames(OLDER, folder).apply(body)
    assert body == {"max_completion_tokens": 5}


def test_a_line_of_a_batch_that_was_written_before_is_sent_again() -> None:
    names = ParameterNames(OLDER)
    assert names.take_other({"message": AZURE, "code": "unsupported_parameter"})
    assert names.take_other({"message": AZURE, "code": "unsupported_parameter"})
    assert not names.take_other({"message": "The image is too large.", "code": "invalid_image"})
