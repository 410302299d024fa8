"""When a call to Gemini is worth another try with another version of the API."""

from __future__ import annotations

import pytest

from vlures.backends.gemini.versions import V1, V1BETA, ApiVersion
from vlures.backends.memory import Forgetful


@pytest.fixture
def version() -> ApiVersion:
    return ApiVersion(None, Forgetful(), "a gateway", lambda _: None)


def test_a_version_that_is_unknown_is_left_once(version: ApiVersion) -> None:
    assert version.take_older(V1, 404, "Not found.")
    assert version.current == V1BETA
    assert version.take_older(V1, 404, "Not found."), "it had left before"
    assert not version.take_older(V1BETA, 404, "Not found.")
    assert version.current == V1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_call_that_may_have_acted_is_not_repeated_because_the_version_has_changed(
    version: ApiVersion, status: int
) -> None:
    assert version.take_older(V1, 404, "Not found.")
    assert not version.take_older(V1, status, "It broke.")
