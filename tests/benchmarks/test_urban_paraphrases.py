"""Questions that a model says in other words: asked in a run like any other, checked, and never paid for twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Result, Sandbox, make_dataset
from tests.e2e.gateway import Call, Gateway, Reply, gateway
from tests.warm import WarmCommand
from vlures.benchmarks.urban.synthesis.paraphrases import find_kept_words, tidy

IMAGES = 4
FILES = ("train.jsonl", "val.jsonl", "test.jsonl")

Row = dict[str, Any]


@pytest.fixture
def work(tmp_path: Path) -> WarmCommand:
    """The command in a folder with metadata of four images."""
    command = WarmCommand(tmp_path / "work", {"HOME": str(tmp_path), "OPENAI_API_KEY": "test-key"})
    make_dataset(command.folder / "images", samples=IMAGES, texts=0)
    records = [
        {
            "image_id": f"image{number}",
            "objects": {"car": number, "person": 3 - number % 2},
            "view_factors": {"greenery": 0.1 * number, "sky": 0.3, "building": 0.7 - 0.1 * number},
            "depth_stats": {"range": 15 * number},
        }
        for number in range(1, IMAGES + 1)
    ]
    (command.folder / "metadata.json").write_text(json.dumps(records), encoding="utf-8")
    return command


def make(work: WarmCommand, *options: str, images: str = "images") -> Result:
    where = ("--metadata", "metadata.json", "--out", "qa", "--images", images)
    return work("urban", "qa", *where, *options)


def asked(server: Gateway, most: int = 2) -> tuple[str, ...]:
    """Options that ask a server for paraphrases."""
    whom = ("--backend", "openai", "--mode", "live", "--model", "mine", "--base-url", f"{server.url}/v1")
    return ("--paraphrases", str(most), *whom)


@contextmanager
def model(say: Callable[[str], str | None]) -> Iterator[Gateway]:
    """A server whose model answers what `say` makes of a question; with an error where that is None."""

    def serve(call: Call) -> Reply:
        headers = {"Content-Type": "application/json"}
        if not call.path.endswith("/chat/completions"):
            return 404, headers, "{}"
        said = say(question_in(call))
        if said is None:
            return 400, headers, json.dumps({"error": {"message": "No.", "code": "no"}})
        choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        return 200, headers, json.dumps({"id": "x", "model": "mine", "choices": [choice]})

    with gateway("http://127.0.0.1:9", serve) as server:
        yield server


def question_in(call: Call) -> str:
    """The original question: the last line of the request."""
    text = next(
        part["text"]
        for message in json.loads(call.body)["messages"]
        for part in message["content"]
        if isinstance(part, dict) and part["type"] == "text"
    )
    return str(text).splitlines()[-1]


def completions(server: Gateway) -> int:
    return sum(call.path.endswith("/chat/completions") for call in server.refused)


def rows(work: WarmCommand) -> list[Row]:
    return [json.loads(line) for name in FILES for line in (work.folder / "qa" / name).open(encoding="utf-8")]


def in_other_words(question: str) -> str:
    return f"Looking at this street view: {question}"


def test_a_paraphrase_becomes_a_row_beside_its_original(work: WarmCommand) -> None:
    with model(lambda question: f'"{in_other_words(question)}"\n') as server:
        result = make(work, *asked(server), "--cot")
    assert result.code == 0, result
    made = rows(work)
    by_question = {(row["image_id"], row["question"]): row for row in made}
    said = [row for row in made if row["subtype"].startswith("paraphrase.from_")]
    assert len(said) == 2 * IMAGES
    for row in said:
        origin = by_question[row["image_id"], row["provenance"]["paraphrase_of"]]
        assert row["subtype"] == f"paraphrase.from_{origin['subtype']}"
        assert row["origin_subtype"] == origin["subtype"]
        assert row["question"] in (in_other_words(origin["question"]), origin["question"])
        assert row["provenance"]["model"] == "mine"
        kept = row.keys() - {"question", "qtype", "subtype", "origin_subtype", "provenance"}
        assert {name: row[name] for name in kept} == {name: origin[name] for name in kept}
    splits = {name: {row["image_id"] for row in map(json.loads, (work.folder / "qa" / name).open())} for name in FILES}
    assert sum(map(len, splits.values())) == IMAGES, "an image and its paraphrases are in one split"
    for name in FILES:
        checked = work("check", "--benchmark", "urban", "--questions", f"qa/{name}", "--dataset", "images")
        assert checked.code == 0, checked


def test_what_was_answered_is_not_paid_for_again(work: WarmCommand) -> None:
    refuse = iter([None, None])

    def sometimes(question: str) -> str | None:
        return next(refuse, in_other_words(question))

    with model(sometimes) as server:
        first = make(work, *asked(server), "--concurrency", "1")
        assert first.code == 3, first
        assert "give the same command again" in first.err
        assert not (work.folder / "qa/train.jsonl").exists()
        before = completions(server)
        again = make(work, *asked(server))
        assert again.code == 0, again
        assert completions(server) - before == 2
        more = make(work, *asked(server, most=3), "--force")
        assert more.code == 0, more
        assert completions(server) - before == 2 + IMAGES, "those of a smaller number are among them"
    assert sum("paraphrase." in row["subtype"] for row in rows(work)) == 3 * IMAGES


def test_what_failed_is_left_out_on_request(work: WarmCommand) -> None:
    refuse = iter([None])

    def sometimes(question: str) -> str | None:
        return next(refuse, in_other_words(question))

    with model(sometimes) as server:
        result = make(work, *asked(server), "--concurrency", "1", "--skip-problems")
    assert result.code == 0, result
    assert "1 paraphrase is left out: the answer is failed." in result.err
    assert sum("paraphrase." in row["subtype"] for row in rows(work)) == 2 * IMAGES - 1


def test_answers_that_are_no_paraphrases_are_left_out_and_counted(work: WarmCommand) -> None:
    answers = iter(
        (
            "It has three cars.",
            "One?\nTwo?",
            "Is something else entirely asked here?",
        )
    )

    def often(question: str) -> str:
        return next(answers, question)

    with model(often) as server:
        result = make(work, *asked(server, most=1), "--concurrency", "1")
    assert result.code == 0, result
    left_out = json.loads((work.folder / "qa/qa.json").read_text(encoding="utf-8"))["paraphrases"]["left_out"]
    assert left_out["it is no question"] == 1
    assert left_out["it is more than one question"] == 1
    assert left_out["it has the words of another question about the image"] >= 1
    used = [row for row in rows(work) if "paraphrase." in row["subtype"]]
    assert sum(left_out.values()) + len(used) == IMAGES


def test_a_rehearsal_asks_and_writes_no_qa_file(work: WarmCommand, shared_sandbox: Sandbox) -> None:
    work.use(shared_sandbox)
    result = make(work, "--paraphrases", "1", "--backend", "gemini")
    assert result.code == 0, result
    assert "This was a rehearsal" in result.err
    assert len(shared_sandbox.ledger) == IMAGES
    assert {path.name for path in (work.folder / "qa").iterdir()} == {"paraphrases"}


def test_an_image_that_is_not_there_is_named(work: WarmCommand) -> None:
    (work.folder / "images/image2.png").unlink()
    with model(in_other_words) as server:
        result = make(work, *asked(server))
    result.assert_stopped(1, "requests.jsonl", "there is no image", "image2")


def test_the_request_names_what_must_stay(work: WarmCommand) -> None:
    with model(in_other_words) as server:
        make(work, *asked(server, most=10))
    for line in (work.folder / "qa/paraphrases/requests.jsonl").open(encoding="utf-8"):
        request = json.loads(line)
        assert "{" not in request["question"]
        original = request["question"].splitlines()[-1]
        if request["subtype"] in ("count", "presence.binary"):
            [word] = re.findall(r'Keep these words as they are: "([^"]+)"', request["question"])
            assert word in original


def test_choices_that_a_question_offers_must_stay() -> None:
    row = {"subtype": "depth.range", "question": "Is its depth Complex or Simple?"}
    assert find_kept_words(row) == ["Complex", "Simple"]
    assert find_kept_words({"subtype": "count", "question": "How many?", "object": "car"}) == ["car"]


@pytest.mark.parametrize(
    ("said", "question"),
    [
        ('"Are there cars?"', "Are there cars?"),
        (" Question: Are there cars?\n", "Are there cars?"),
        ('Does "sky" cover more than "building"?', 'Does "sky" cover more than "building"?'),
        ('"sky" or "building"', '"sky" or "building"'),
        ('"Does "sky" cover more?"', 'Does "sky" cover more?'),
        ("“Are there cars?”", "Are there cars?"),
    ],
)
def test_what_models_put_around_a_question_is_taken_off(said: str, question: str) -> None:
    assert tidy(said) == question
