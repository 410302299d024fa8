"""An imitation of the providers' prompt caches: the tokens of an image that was sent recently are cached."""

import threading
from collections import deque

RECENT_REQUESTS = 32
"""How many requests an image stays in the cache."""


class PromptCache:
    """The images of the last requests, in the order in which they were answered.

    The rule is simpler than the providers', so that a rehearsal is reproducible and small images count too: all tokens
    of an image are cached if one of the last `RECENT_REQUESTS` requests to the same model had it; of a text, none.
    (OpenAI caches prefixes of prompts from 1,024 tokens on, in steps of 128.)
    """

    def __init__(self) -> None:
        self._recent: deque[frozenset[tuple[str, str]]] = deque(maxlen=RECENT_REQUESTS)
        self._lock = threading.Lock()

    def cached_tokens(self, model: str, digests: tuple[str, ...], tokens: tuple[int, ...]) -> int:
        """The cached tokens of a request with these images, which joins the cache. digests, tokens: one per image."""
        with self._lock:
            cached = sum(
                count
                for digest, count in zip(digests, tokens, strict=True)
                if any((model, digest) in request for request in self._recent)
            )
            self._recent.append(frozenset((model, digest) for digest in digests))
        return cached
