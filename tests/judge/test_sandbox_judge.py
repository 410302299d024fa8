"""The sandbox's own judges, a seeing one and a blind one, in 200 seeded runs: which of them are said to be blind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.judge.conftest import RUN
from tests.warm import WarmCommand
from vlures.benchmarks import Question
from vlures.judge.benchmark import JudgeBenchmark, load_benchmark
from vlures.judge.controls import Item
from vlures.judge.forms import ANSWER_FORM, Reading, read_reply
from vlures.judge.image_use import Drop, Finding, find_image_use
from vlures.judge.options import Options
from vlures.records import AskedModel
from vlures.sandbox.answers import questions
from vlures.sandbox.answers.compose import answer_question
from vlures.sandbox.faults.fault import Fault, parse_fault
from vlures.sandbox.images.inspection import InspectedImage, inspect_image

RUNS = 200
MOST_WRONG = 2
"""1 %."""


class Rehearsal:
    """Judges that answer in this process, as the sandbox's server does."""

    def __init__(self) -> None:
        self._seen: dict[str, InspectedImage] = {}

    def find(self, benchmark: JudgeBenchmark, seed: int, fault: Fault | None) -> Finding:
        """What is found about a judge. seed: of the sandbox and of the controls."""
        scores: dict[str, int] = {}
        controls: list[tuple[str, int, str]] = []
        for question, item in benchmark.items.items():
            if item.control not in (None, "wrong image", "no image"):
                continue
            score = self._judge(benchmark, question, item, seed, fault)
            if item.control is None:
                scores[repr(item.answer.id)] = score
            else:
                controls.append((repr(item.answer.id), score, item.answer.image.digest))
        return find_image_use([Drop(scores[answer], score, digest) for answer, score, digest in controls]).finding

    def _judge(self, benchmark: JudgeBenchmark, question: Question, item: Item, seed: int, fault: Fault | None) -> int:
        request = benchmark.request_of(question, item)
        images: tuple[InspectedImage, ...] = ()
        if (image := request.image) is not None:
            if image.digest not in self._seen:
                self._seen[image.digest] = inspect_image(image.path.read_bytes())
            images = (self._seen[image.digest],)
        schema = dict(request.schema or {})
        user = request.prompt.user
        asked = questions.Question(request.model, request.prompt.system, user, user, images, schema)
        reading = read_reply(answer_question(asked, seed, None, fault).text, ANSWER_FORM)
        assert isinstance(reading, Reading), reading
        assert reading.overall is not None
        return reading.overall


@pytest.fixture
def seven_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JudgeBenchmark:
    """A judge of a rehearsal's answers about seven images."""
    monkeypatch.chdir(tmp_path)
    asked = ("--languages", "En", "--tasks", "1", "--dataset", str(REPOSITORY / "data/SampleEn"), "--mode", "live")
    ended = WarmCommand(tmp_path, {"HOME": str(tmp_path)})("run", "--sandbox", "--name", "answers", *asked)
    assert ended.code == 0, ended
    benchmark = load_benchmark(Options(judged=RUN), AskedModel("openai", "a-judge", {}), None)
    assert isinstance(benchmark, JudgeBenchmark)
    return benchmark


def test_a_blind_judge_is_flagged_and_a_seeing_one_is_not(seven_answers: JudgeBenchmark) -> None:
    rehearsal, found = Rehearsal(), {"seeing": Counter[str](), "blind": Counter[str]()}
    faults = {"seeing": None, "blind": parse_fault("blind_judge")}
    for seed in range(RUNS):
        benchmark = replace(seven_answers, options=Options(judged=RUN, control_seed=seed))
        for kind, fault in faults.items():
            found[kind][rehearsal.find(benchmark, seed, fault)] += 1
    assert found["seeing"]["sees"] >= RUNS - MOST_WRONG, found
    assert found["blind"]["blind"] >= RUNS - MOST_WRONG, found
    assert found["seeing"]["blind"] == found["blind"]["sees"] == 0, found
