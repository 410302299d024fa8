"""The names that a server has for our parameters, learned from what it refuses and remembered in the run's folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from typing import Any

from vlures.backends.lenient_json import as_text
from vlures.backends.memory import Forgetful, Memory
from vlures.backends.openai.errors import PROVIDER
from vlures.files.writing import NotWritable
from vlures.store.clock import now

OUTPUT_LIMIT_NAMES = ("max_completion_tokens", "max_tokens")
"""The second is the older one, and the only one that some servers know; OpenAI's models from o1 on refuse it."""

_REFUSED = re.compile(
    r"['\"`](?P<quoted>\w+)['\"`] (?:is|are) (?:not |un|deprecat)"
    r"|(?:parameter|argument)s?(?: supplied)?: ['\"`]?(?P<named>\w+)",
    re.IGNORECASE,
)
_INSTEAD = re.compile(r"\buse ['\"`]?(?P<other>[a-z]\w*)['\"`]?(?: parameter)? instead", re.IGNORECASE)
_UNKNOWN = re.compile(
    r"unsupported|not supported|unrecogni[sz]ed|unknown|unexpected|not permitted|extra", re.IGNORECASE
)


MOST_REFUSED = 8
"""Names that a server may refuse before its refusals are taken at their word."""
STRUCTURE = frozenset({"model", "messages", "input", "instructions", "text", "reasoning", "response_format"})
"""Parts of a body that hold the question: another name for one is another form."""


class ParameterNames:
    """Renames a body's parameters as its server wants them.

    A deployment on Azure has a name of its own, which does not say which model it is and what that refuses:
    https://github.com/BerriAI/litellm/issues/13714.
    """

    def __init__(
        self,
        usual: Mapping[str, str] | None = None,
        memory: Memory | None = None,
        place: str = "",
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """usual: our name → the server's, as far as that is known without asking. place: the model and the server, for
        what is remembered."""
        self._usual = dict(usual or {})
        self._memory = memory or Forgetful()
        self._fact = f"parameter names of {place}"
        self._say = say
        self._learned: Mapping[str, Any] = {}
        self._is_proven = True

    def apply(self, body: dict[str, Any]) -> None:
        """Rename the body's parameters in place."""
        for ours, theirs in self._names().items():
            if ours in body and ours != theirs:
                body[theirs] = body.pop(ours)

    def take_other(self, error: Mapping[str, Any], sent: Container[str] | None = None) -> bool:
        """Whether a server refuses the name of a parameter and another name is worth a try, which all later requests
        have.

        error: the server's. sent: the names in the refused body; None for one of a batch, which may be hours old.
        """
        refused, other = _read_refusal(error, sent)
        if refused is None or (sent is not None and refused not in sent):
            return False
        names, gone = self._names(), self._refused()
        if refused in gone:
            return True  # a request that left before the others were renamed
        if other is None or other in gone or refused in STRUCTURE or (sent is not None and other in sent):
            return False
        if len(gone) >= MOST_REFUSED:  # a server that always names another would be asked for ever
            return False
        ours = next((name for name, theirs in names.items() if theirs == refused), refused)
        self._learned = {"names": {**names, ours: other}, "refused": [*gone, refused]}
        self._is_proven = False
        self._say(
            f"{PROVIDER} refuses the parameter {refused} here; every request has {other} in its place from now on."
        )
        if sent is None:
            self.prove()  # another process may see the next batch end
        return True

    def prove(self) -> None:
        """An answer has come: the run's folder remembers the names that it was asked with."""
        if not self._is_proven:
            self._is_proven = True
            with suppress(NotWritable):  # a later run learns them again
                self._memory.remember(self._fact, {**self._learned, "time": now()})

    def _names(self) -> dict[str, str]:
        return {**self._usual, **self._known().get("names", {})}

    def _refused(self) -> list[str]:
        return list(self._known().get("refused", ()))

    def _known(self) -> Mapping[str, Any]:
        """Learned by this process, or by another client of the folder."""
        return self._learned or self._memory.recall(self._fact)


def _read_refusal(error: Mapping[str, Any], sent: Container[str] | None) -> tuple[str | None, str | None]:
    """The refused parameter's name and the one to take instead; None for what the error does not say. The token limit
    has only two names, so that one of them says the other."""
    says = as_text(error.get("message")) or str(error.get("detail") or "")
    match = _REFUSED.search(says)
    refused = as_text(error.get("param")) or (match and (match["quoted"] or match["named"])) or None
    instead = _INSTEAD.search(says)
    other = instead["other"] if instead else None
    if refused is None or (sent is not None and refused not in sent):
        for name in OUTPUT_LIMIT_NAMES:
            if sent is not None and name in sent and re.search(rf"\b{name}\b", says) and _UNKNOWN.search(says):
                refused = name
    if other is None and refused in OUTPUT_LIMIT_NAMES and (_UNKNOWN.search(says) or _is_unsupported(error)):
        other = next(name for name in OUTPUT_LIMIT_NAMES if name != refused)
    return refused, other if other != refused else None


def _is_unsupported(error: Mapping[str, Any]) -> bool:
    return str(error.get("code")) in ("unsupported_parameter", "unknown_parameter")
