"""The sandbox's own pages under /sandbox: its ledger, its counts, its faults."""

from collections import Counter

import msgspec

from vlures.errors import UsageError
from vlures.sandbox.exchange import Call, FileRange, Reply, json_reply
from vlures.sandbox.faults.fault import parse_fault
from vlures.sandbox.state import State


def show_ledger(state: State, _call: Call) -> Reply:
    """Every entry as JSON lines, oldest first."""
    path = state.ledger.path
    return Reply(200, file=FileRange(path, 0, path.stat().st_size), content_type="application/x-ndjson")


def show_stats(state: State, _call: Call) -> Reply:
    """The counts; those of requests, bytes, images and faults restart with each process."""
    counts = state.counts
    batches = state.batches.newest_first()
    doubled_ids, doubled_digests = state.ledger.duplicates()
    return json_reply(
        {
            "requests": dict(counts.requests),
            "answered": state.ledger.entries,
            "batches_created": len(batches),
            "batches_by_status": dict(Counter(batch.status for batch in batches)),
            "doubled_ids": doubled_ids,
            "doubled_digests": doubled_digests,
            "live_now": counts.live_now,
            "live_peak": counts.live_peak,
            "held": counts.held,
            "bytes_received": counts.bytes_received,
            "bytes_uploaded": counts.bytes_uploaded,
            "vision_uploads": counts.vision_uploads,
            "images_seen": counts.images_seen,
            "images_decoded": state.image_cache.decoded,
            "spec_violations": counts.spec_violations,
            "faults": state.faults.listing(),
        }
    )


def show_faults(state: State, _call: Call) -> Reply:
    """The active faults with their counts."""
    return json_reply(state.faults.listing())


def add_faults(state: State, call: Call) -> Reply:
    """Activate more faults: a JSON list of texts such as `429@chat:times=5`."""
    try:
        state.faults.add([parse_fault(text) for text in msgspec.json.decode(call.body, type=list[str])])
    except (msgspec.DecodeError, UsageError) as error:
        return json_reply({"error": str(error)}, 400)
    return json_reply(state.faults.listing())


def clear_faults(state: State, _call: Call) -> Reply:
    """Remove all faults."""
    state.faults.clear()
    return json_reply([])
