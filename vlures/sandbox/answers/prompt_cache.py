"""The provider's prompt cache, imitated: a picture that was shown a little while ago need not be read again."""

import threading
from collections import deque

RECENT_REQUESTS = 32
"""How many requests back a picture is still in the cache."""


class PromptCache:
    """The pictures of the last requests, in the order in which they were answered.

    The rule is simpler than the provider's, so that a rehearsal repeats and sees something with small pictures too:
    all tokens of a picture are cached if one of the last `RECENT_REQUESTS` requests to the same model showed it, and
    those of a text never are. (OpenAI caches whole beginnings of prompts, from 1,024 tokens on, in steps of 128.)
    """

    def __init__(self) -> None:
        self._recent: deque[frozenset[tuple[str, str]]] = deque(maxlen=RECENT_REQUESTS)
        self._lock = threading.Lock()

    def cached_tokens(self, model: str, digests: tuple[str, ...], tokens: tuple[int, ...]) -> int:
        """The cached tokens of a request with these pictures (their digests and their tokens); remembers it."""
        with self._lock:
            cached = sum(
                count
                for digest, count in zip(digests, tokens, strict=True)
                if any((model, digest) in request for request in self._recent)
            )
            self._recent.append(frozenset((model, digest) for digest in digests))
        return cached
