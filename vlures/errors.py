"""The exceptions of the project. The message of a VluresError is a sentence: what, where, what to do."""


class VluresError(Exception):
    """The run cannot go on: exit code 1, the message on stderr."""


class UsageError(VluresError):
    """An option, a configuration key or a combination of them is wrong: exit code 2."""


class Incomplete(VluresError):
    """The run stops early but can be continued by the same command: exit code 3."""


class Retry(Exception):
    """A provider's call failed in a way that it calls transient.

    reason: one line for people. code: short and stable, for counts.
    after_s: the provider's own wish, in seconds, or None.
    everyone: the other calls should wait too (a rate limit, an overload), not this one alone.
    reached: the provider's server answered; False for a call that never got there.
    limit: how often this reason may be retried for one request; None means within the budget of time.
    """

    def __init__(
        self,
        reason: str,
        *,
        code: str,
        after_s: float | None = None,
        everyone: bool = False,
        reached: bool = True,
        limit: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.after_s = after_s
        self.everyone = everyone
        self.reached = reached
        self.limit = limit


class InDoubt(Exception):
    """The reply to a call that may cost money was lost: nobody knows whether the provider has acted."""


class NotFound(Exception):
    """The provider does not know the file or the batch that was asked for."""
