"""What a rank other than 0 does: it answers for its images and writes a shard."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vlures.backends.local.backend import LocalBackend
from vlures.backends.local.ranks import Meeting, check_same, read_due
from vlures.backends.threads import in_daemon_thread
from vlures.config.sections import BackendOptions
from vlures.records import Request
from vlures.store.lines import encode_line
from vlures.store.shards import Shard, is_held


class Helper:
    """A process that helps another one, which holds the run."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting

    async def help(
        self,
        options: BackendOptions,
        everything: Callable[[], Iterable[Request]],
        keep_going: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        """Answer what the first process says is due, for this rank's images, as long as that one lives.

        everything, keep_going: as Setup has them.

        Raises VluresError if this process would ask in another way, NotWritable where the disk fails.
        """
        meeting = self._meeting
        order = await in_daemon_thread(meeting.hear_order)
        if order is None:
            return
        shard = Shard(order.shard_path(meeting.rank))
        try:
            due = read_due(order)
            await in_daemon_thread(meeting.say_ready)
            ours = (one for one in everything() if meeting.is_ours(one))
            backend = LocalBackend(
                options,
                everything,
                lambda: keep_going() and is_held(order.due_path),
                say=lambda sentence: say(f"[{meeting.rank}] {sentence}"),
                meeting=meeting,
            )
            async for response in backend.answer(check_same(ours, due)):
                shard.append(encode_line(response))
        finally:
            shard.close()
