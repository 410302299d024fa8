"""Which controls a run has, and what they say about the judge."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from vlures.benchmarks import Assignment
from vlures.judge.answers import Answer, AnswerId
from vlures.judge.controls import FEWEST, Item, list_items, read_control
from vlures.judge.image_use import Drop, ImageUse, find_image_use, pair_drops
from vlures.judge.verdicts import Verdict
from vlures.records import Cell, Image


def make_answers(images: int, tasks: int = 8, languages: Sequence[str] = ("en", "ja")) -> list[Answer]:
    return [
        Answer(
            AnswerId("1shot_rationales", Cell(f"{tag}-t{task}"), str(image)),
            f"{tag} {task} {image}",
            Image(Path(f"{tag}{image}.png"), "image/png", 1, 8, 8, f"{tag}{image:08x}"),
            Assignment(f"task {task} in {tag}", None, str(task), tag),
            imported=False,
        )
        for tag in languages
        for image in range(images)
        for task in range(1, tasks + 1)
    ]


def pad(language: str | None) -> tuple[str, str]:
    return f"before {language}", f"after {language}"


def list_controls(answers: Sequence[Answer], share: float = 0.05, seed: int = 1) -> list[Item]:
    return [item for item in list_items(answers, share, 1, seed, pad) if item.control is not None]


def test_about_five_percent_of_the_judgements_are_controls_of_every_kind() -> None:
    answers = make_answers(100)
    counts = Counter(item.control for item in list_controls(answers))
    assert set(counts) == set(FEWEST)
    assert 0.05 * len(answers) <= counts.total() <= 0.05 * len(answers) + len(counts)


def test_a_small_run_has_enough_of_them_to_say_something() -> None:
    counts = Counter(item.control for item in list_controls(make_answers(5, tasks=2)))
    assert counts == FEWEST
    assert list_controls(make_answers(5), share=0) == []
    assert list_items([], 0.05, 1, 1, pad) == []


def test_a_control_changes_one_thing() -> None:
    for item in list_controls(make_answers(20)):
        answer = item.answer
        same = (item.image == answer.image, item.text == answer.text, item.assignment == answer.assignment)
        match item.control:
            case "wrong image":
                assert same == (False, True, True)
                assert item.image is not None
            case "no image":
                assert same == (False, True, True)
                assert item.image is None
            case "other answer":
                assert same == (True, False, True)
            case "padded":
                assert same == (True, False, True)
                assert answer.text in item.text
            case "wrong language":
                assert same == (True, True, False)
                assert item.assignment.language != answer.assignment.language
                assert item.assignment.rubric == answer.assignment.rubric
            case _:
                assert item.control == "repeat"
                assert same == (True, True, True)


def test_controls_are_spread_over_images_and_answers() -> None:
    items = list_controls(make_answers(100))
    for control in ("wrong image", "other answer"):
        found = [item for item in items if item.control == control]
        assert len({(item.image, item.text if control == "other answer" else "") for item in found}) > len(found) / 3
        assert len({item.answer.image.digest for item in found}) > len(found) / 2


def test_names_say_which_control_it_is() -> None:
    for item in list_items(make_answers(20), 0.05, 2, 1, pad):
        assert read_control(item.name) == item.control
    for name in ("", "score", "answers", "wrong image"):
        with pytest.raises(ValueError, match="names no judgement"):
            read_control(name)


def test_the_draw_depends_on_the_seed_and_on_nothing_else() -> None:
    answers = make_answers(20)
    names = [(item.name, item.answer.id) for item in list_controls(answers)]
    shuffled = random.Random(2).sample(answers, len(answers))
    assert sorted(names) == sorted((item.name, item.answer.id) for item in list_controls(shuffled))
    assert names != [(item.name, item.answer.id) for item in list_controls(answers, seed=2)]


def test_answers_that_come_later_change_no_control_into_another() -> None:
    before = {(item.name, item.answer.id): item for item in list_controls(make_answers(20))}
    after = {(item.name, item.answer.id): item for item in list_controls(make_answers(22))}
    kept = before.keys() & after.keys()
    assert len(kept) > len(before) / 2
    assert all(before[key] == after[key] for key in kept)


def test_one_image_in_one_language_leaves_the_controls_that_need_no_other() -> None:
    counts = Counter(item.control for item in list_controls(make_answers(1, languages=("en",))))
    assert set(counts) == {"no image", "padded", "repeat"}


def test_every_answer_is_repeated_where_that_is_asked_for() -> None:
    answers = make_answers(3)
    names = Counter(item.name for item in list_items(answers, 0.05, 3, 1, pad))
    assert names["answer"] == names["repeat2"] == names["repeat3"] == len(answers)


def judge_run(seed: int, *, sees: bool) -> ImageUse:
    """The controls of one run of random size, as a judge with noise scores them: its seeing takes something off an
    answer that is about another image, more or less, and now and then nothing."""
    lot = random.Random(seed)
    answers = make_answers(lot.choice((6, 12, 25, 60)), languages=("en",) if seed % 2 else ("en", "ja"))
    easy = {answer.image.digest: lot.gauss(0, 6) for answer in answers}
    quality = {answer.id: min(98, max(40, lot.gauss(75, 12) + easy[answer.image.digest])) for answer in answers}

    def score(item: Item) -> int:
        value = quality[item.answer.id] + lot.gauss(0, 5)
        if sees and item.control in ("wrong image", "no image"):
            value -= max(0.0, lot.gauss(38, 20))
        return round(min(100, max(1, value)))

    verdicts = [
        Verdict(
            "judge", "judge", "run", *item.answer.id, "", item.answer.image.digest, score(item), control=item.control
        )
        for item in list_items(answers, 0.05, 1, seed, pad)
    ]
    return find_image_use(pair_drops(verdicts))


def test_a_seeing_judge_is_not_called_blind_and_a_blind_one_is() -> None:
    seeing = Counter(judge_run(seed, sees=True).finding for seed in range(200))
    blind = Counter(judge_run(seed, sees=False).finding for seed in range(200))
    assert seeing["blind"] <= 2, seeing
    assert seeing["sees"] >= 180, seeing
    assert blind["blind"] >= 198, blind


@pytest.mark.parametrize(
    ("drops", "finding"),
    [
        ([], "too few to tell"),
        ([Drop(80, 20, "a")], "too few to tell"),
        ([Drop(80, 20, image) for image in "aaaaaa"], "too few to tell"),
        ([Drop(80, 20 + number, str(number)) for number in range(4)], "sees"),
        ([Drop(80, 80, str(number)) for number in range(4)], "blind"),
        ([Drop(80, 90, str(number)) for number in range(4)], "blind"),
        ([Drop(80, 78 - number % 2, str(number)) for number in range(100)], "blind"),
        ([Drop(80, 80 if number % 2 else 20, str(number)) for number in range(4)], "too few to tell"),
        ([Drop(12, 10 + number % 3, str(number)) for number in range(20)], "too few to tell"),
    ],
)
def test_the_rule(drops: list[Drop], finding: str) -> None:
    assert find_image_use(drops).finding == finding


def test_only_scores_of_one_answer_are_compared() -> None:
    def verdict(sample: str, overall: int | None, control: str | None = None) -> Verdict:
        return Verdict("j", "judge", "r", "v", Cell("c"), sample, "", sample, overall, control=control)  # type: ignore[arg-type]

    verdicts = [verdict("1", 80), verdict("1", 30, "wrong image"), verdict("2", None), verdict("2", 40, "no image")]
    verdicts += [verdict("3", 70), verdict("3", None, "wrong image"), verdict("3", 70, "padded")]
    assert pair_drops(verdicts) == [Drop(80, 30, "1")]
