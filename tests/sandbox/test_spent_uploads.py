"""Uploads whose batches have ended: the sandbox keeps a digest of each, and answers as before about everything else.

A sandbox that ends in peace has dropped all that it was to drop, so the tests look once it has.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import openai
import pytest
from google.genai import errors as genai_errors
from google.genai import types

from tests.sandbox import test_gemini_batch as gemini
from tests.sandbox.conftest import Sandbox, launch, running, stop
from tests.sandbox.questions import batch_line, jsonl, read_lines, upload, wait_for

DATA = jsonl([batch_line(f"k{number}") for number in range(4)])
ENDPOINT = "/v1/chat/completions"


def create(sandbox: Sandbox, file_id: str) -> Any:
    return sandbox.openai.batches.create(input_file_id=file_id, endpoint=ENDPOINT, completion_window="24h")


def content(state: Path) -> set[str]:
    """The ids of the files whose content is on the disk."""
    return {path.stem for folder in ("files", "gemini_files") for path in (state / folder).glob("*.data")}


def assert_dropped(sandbox: Sandbox, file_id: str, data: bytes) -> None:
    """It says so in place of the content, with a digest, and no batch is created from it."""
    with pytest.raises(openai.APIStatusError) as refused:
        sandbox.openai.files.content(file_id)
    assert (refused.value.status_code, refused.value.code) == (410, "content_dropped")
    for fact in (
        file_id,
        f"{len(data):,} bytes",
        f"{len(data.splitlines()):,} lines",
        hashlib.sha256(data).hexdigest(),
    ):
        assert fact in refused.value.message
    with pytest.raises(openai.BadRequestError, match="has dropped the content") as again:
        create(sandbox, file_id)
    assert again.value.param == "input_file_id"


def test_of_an_upload_whose_batch_has_ended_a_digest_is_kept(tmp_path: Path) -> None:
    sandbox = launch("--state", str(tmp_path))
    file_id = upload(sandbox, DATA)
    file = sandbox.openai.files.retrieve(file_id)
    batch = wait_for(sandbox, create(sandbox, file_id).id)
    results = read_lines(sandbox, batch.output_file_id)
    stop(sandbox)
    assert content(tmp_path) == {batch.output_file_id}
    with running("--state", str(tmp_path)) as sandbox:
        assert_dropped(sandbox, file_id, DATA)
        assert sandbox.openai.files.retrieve(file_id) == file
        assert file in list(sandbox.openai.files.list(purpose="batch"))
        assert sandbox.openai.batches.retrieve(batch.id) == batch
        assert read_lines(sandbox, batch.output_file_id) == results
        assert sorted(entry["id"] for entry in sandbox.ledger()) == ["k0", "k1", "k2", "k3"]
        assert sandbox.openai.files.delete(file_id).deleted
        with pytest.raises(openai.NotFoundError):
            sandbox.openai.files.retrieve(file_id)


def test_the_same_holds_for_gemini(tmp_path: Path) -> None:
    sandbox = launch("--state", str(tmp_path))
    data = jsonl([gemini.request_line(f"k{number}") for number in range(4)])
    file = gemini.upload(sandbox, data)
    made = sandbox.gemini.batches.create(model=gemini.MODEL, src=file.name or "")
    batch = gemini.wait_for(sandbox, made)
    results = gemini.read_lines(sandbox, batch)
    stop(sandbox)
    assert len(content(tmp_path)) == 1
    with running("--state", str(tmp_path)) as sandbox:
        shown = sandbox.gemini.files.get(name=file.name or "")
        assert (shown.name, shown.size_bytes, shown.sha256_hash) == (file.name, len(data), file.sha256_hash)
        assert gemini.read_lines(sandbox, batch) == results
        with pytest.raises(genai_errors.ClientError, match="has dropped the content") as refused:
            sandbox.gemini.batches.create(model=gemini.MODEL, src=file.name or "")
        assert (refused.value.code, refused.value.status) == (400, "FAILED_PRECONDITION")


@pytest.mark.parametrize("fault", ["expire:times=1", "cancelled:times=1", "partial:times=1", "inline:times=1"])
def test_however_a_batch_ends_its_upload_is_dropped(tmp_path: Path, fault: str) -> None:
    sandbox = launch("--state", str(tmp_path), "--fault", fault)
    file = gemini.upload(sandbox, jsonl([gemini.request_line("k")]))
    batch = gemini.wait_for(sandbox, sandbox.gemini.batches.create(model=gemini.MODEL, src=file.name or ""))
    assert batch.state != types.JobState.JOB_STATE_RUNNING
    stop(sandbox)
    assert (file.name or "").removeprefix("files/") not in content(tmp_path)


def test_a_cancelled_batch_and_one_with_a_bad_file_have_no_more_use_for_it(tmp_path: Path) -> None:
    sandbox = launch("--state", str(tmp_path), "--batch-seconds", "60")
    cancelled = create(sandbox, upload(sandbox, DATA))
    sandbox.openai.batches.cancel(cancelled.id)
    assert wait_for(sandbox, cancelled.id).status == "cancelled"
    stop(sandbox)
    sandbox = launch("--state", str(tmp_path))
    bad = create(sandbox, upload(sandbox, b"{}\n"))
    assert wait_for(sandbox, bad.id).status == "failed"
    stop(sandbox)
    assert content(tmp_path) == set()


def test_an_upload_stays_while_a_client_may_still_need_it(tmp_path: Path) -> None:
    """A creation whose reply was lost may be repeated until the client finds its batch; one that met a full queue is
    repeated with the same file; and two batches may come from one file."""
    sandbox = launch("--state", str(tmp_path), "--fault", "token_limit:times=1")
    refused, unseen, shared = (upload(sandbox, DATA) for _ in range(3))
    assert wait_for(sandbox, create(sandbox, refused).id).status == "failed"
    known, hidden = create(sandbox, unseen), [create(sandbox, shared) for _ in range(2)]
    while any(batch.status not in ("completed", "failed") for batch in sandbox.openai.batches.list()):
        pass  # lists do not count: they show every batch, also those that a client knows nothing of
    wait_for(sandbox, hidden[0].id)
    stop(sandbox)
    assert {refused, unseen, shared} <= content(tmp_path)
    sandbox = launch("--state", str(tmp_path))
    assert sandbox.openai.files.content(shared).read() == DATA
    assert wait_for(sandbox, create(sandbox, refused).id).status == "completed"
    read_lines(sandbox, wait_for(sandbox, known.id).output_file_id)
    twin = wait_for(sandbox, hidden[1].id)
    stop(sandbox)
    assert not {refused, unseen, shared} & content(tmp_path)
    assert twin.output_file_id in content(tmp_path)


def test_whoever_downloads_the_results_has_seen_the_end(tmp_path: Path) -> None:
    """A client that found its batch in the list need not ask for it by its id."""
    sandbox = launch("--state", str(tmp_path))
    file_id = upload(sandbox, DATA)
    create(sandbox, file_id)
    while not (found := next(iter(sandbox.openai.batches.list()))).output_file_id:
        pass
    assert len(read_lines(sandbox, found.output_file_id)) == 4
    stop(sandbox)
    assert content(tmp_path) == {found.output_file_id}


def test_a_kill_while_an_upload_is_dropped_loses_nothing(tmp_path: Path) -> None:
    sandbox = launch("--state", str(tmp_path), "--batch-seconds", "0")
    data = DATA + b" " * 40_000_000 + b"\n"  # a digest of it takes a while; the blank line is a bad one
    big, small = upload(sandbox, data), upload(sandbox, DATA)
    done = wait_for(sandbox, create(sandbox, small).id)
    assert wait_for(sandbox, create(sandbox, big).id).status == "failed"
    sandbox.process.kill()
    sandbox.process.wait()
    orphan = tmp_path / "files" / "file-orphan.data"
    orphan.write_bytes(b"of an upload that the kill cut off before its record")
    stop(launch("--state", str(tmp_path)))
    assert content(tmp_path) == {done.output_file_id}
    (tmp_path / "files" / f"{small}.data").write_bytes(DATA)  # as after a kill between the record and the content
    with running("--state", str(tmp_path)) as sandbox:
        assert content(tmp_path) == {done.output_file_id}
        assert_dropped(sandbox, small, DATA)
        assert_dropped(sandbox, big, data)
        assert len(read_lines(sandbox, done.output_file_id)) == 4


def test_uploads_are_kept_on_request_and_of_an_older_sandbox(tmp_path: Path) -> None:
    sandbox = launch("--state", str(tmp_path), "--keep-uploads")
    file_id = upload(sandbox, DATA)
    batch = wait_for(sandbox, create(sandbox, file_id).id)
    stop(sandbox)
    assert content(tmp_path) == {file_id, batch.output_file_id}
    for path, names in (
        (tmp_path / "files" / f"{file_id}.json", ("lines", "is_dropped")),
        (tmp_path / "batches" / f"{batch.id}.json", ("is_input_refused", "is_end_seen")),
    ):
        record = json.loads(path.read_bytes())
        path.write_text(json.dumps({name: value for name, value in record.items() if name not in names}))
    sandbox = launch("--state", str(tmp_path))
    assert sandbox.openai.files.content(file_id).read() == DATA
    assert sandbox.openai.batches.retrieve(batch.id) == batch
    stop(sandbox)
    assert content(tmp_path) == {batch.output_file_id}
