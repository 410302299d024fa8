"""Question-answer pairs from metadata of street views, through the real command: labels, sources, splits, what is left
out."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.warm import WarmCommand
from vlures.benchmarks.urban.parsing import Invalid, parse_answer, parse_label
from vlures.benchmarks.urban.subtypes import SLOTS, find_subtype, read_wordings
from vlures.benchmarks.urban.synthesis.facts import ViewFacts
from vlures.benchmarks.urban.synthesis.rules import Made, find_closest
from vlures.benchmarks.urban.synthesis.texts import ANY_ANSWER, read_texts

SAMPLE = REPOSITORY / "data/SampleUrban"
FILES = ("train.jsonl", "val.jsonl", "test.jsonl")

Row = dict[str, Any]


@pytest.fixture
def command(tmp_path: Path) -> WarmCommand:
    command = WarmCommand(tmp_path / "work", {"HOME": str(tmp_path)})
    command.folder.mkdir()
    return command


def make_record(number: int, **fields: Any) -> Row:
    """All that the format has, of a street that differs from the next one."""
    is_even = number % 2 == 0
    record: Row = {
        "image_id": f"image{number}",
        "image_path": f"images/image{number}.png",
        "depth_path": f"depth/image{number}.npy",
        "objects": {"car": 2, "person": 1 if is_even else 4, "bus": 1},
        "known_objects": ["car", "person", "bus", "tree", "bench"],
        "view_factors": {"greenery": 0.45, "sky": 0.1, "building": 0.45},
        "depth": {"kind": "distance"},
        "depth_stats": {"range": 50.0 if is_even else 10, "closest_object": "car" if is_even else "person"},
        "depth_order": {"car": 4.0 if is_even else 30.0, "person": 12.0, "bus": 40},
        "depth_per_class": {
            "building": 18.256 if is_even else 3,
            "car_foreground": is_even,
            "car_background": 1 - is_even,
        },
        "occlusion_pairs": [["person", "car", is_even]],
        "spatial_distribution": {"building": "left side", "car": "right side" if is_even else "even", "person": None},
        "vertical_layout": {"top_entity": "sky" if is_even else "building", "skyline_clear": is_even},
        "raw_objects": [{"box": [-1, 2, 3, 4], "label": "car", "score": 0.9}],
    }
    return record | fields


def write(command: WarmCommand, *records: object, name: str = "metadata.json") -> str:
    (command.folder / name).write_text(json.dumps(records), encoding="utf-8")
    return name


def make(command: WarmCommand, metadata: str, *options: str, out: str = "qa") -> list[Row]:
    """The rows of all splits."""
    result = command("urban", "qa", "--metadata", metadata, "--out", out, *options)
    assert result.code == 0, result
    return read(command, out)


def read(command: WarmCommand, out: str = "qa") -> list[Row]:
    return [json.loads(line) for name in FILES for line in (command.folder / out / name).open(encoding="utf-8")]


def report(command: WarmCommand, out: str = "qa") -> Row:
    found: Row = json.loads((command.folder / out / "qa.json").read_text(encoding="utf-8"))
    return found


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (*FILES, "qa.json")}


def asked(row: Row) -> tuple[str, ...]:
    """What a row asks, however it says it."""
    return (row["image_id"], row["subtype"], *(row.get(name, "") for name in SLOTS))


def answers(rows: list[Row], subtype: str) -> dict[str, str]:
    """Image, with the slots behind it → answer."""
    found = [row for row in rows if row["subtype"] == subtype]
    return {" ".join([row["image_id"], *(row[name] for name in SLOTS if name in row)]): row["answer"] for row in found}


# Labels


def test_drawn_streets_have_the_labels_that_were_drawn(command: WarmCommand) -> None:
    made = {asked(row): row["answer"] for row in make(command, str(SAMPLE / "features.json"))}
    drawn = {asked(row): row["answer"] for row in read_sample()}
    both = made.keys() & drawn.keys()
    assert {what: made[what] for what in both} == {what: drawn[what] for what in both}
    assert {what[1] for what in both} == {what[1] for what in drawn}
    assert len(both) > 0.9 * len(made)


def read_sample() -> list[Row]:
    return [json.loads(line) for name in FILES for line in (SAMPLE / name).open(encoding="utf-8")]


SHARES = (
    {"greenery": 0.45, "sky": 0.1, "building": 0.45},
    {"greenery": 0.1, "sky": 0.8, "building": 0.1},
    {"greenery": 0.5, "sky": 0.25, "building": 0.2},
)


def test_every_subtype_is_made_where_the_metadata_have_what_it_needs(command: WarmCommand) -> None:
    records = [make_record(number, view_factors=shares) for number, shares in enumerate(SHARES)]
    rows = make(command, write(command, *records), "--constant-labels", "--cot")
    assert {row["subtype"] for row in rows} == set(read_wordings().subtypes)
    for row in rows:
        subtype = find_subtype(row["subtype"])
        assert subtype is not None
        assert set(subtype.slots) <= row.keys()
        assert "{" not in row["question"] + row["cot_answer"]
        label = parse_label(row["answer"], subtype.answer)
        assert not isinstance(label, Invalid)
        assert row["provenance"]["rule"] == subtype.rule
        assert row["provenance"]["from"]
        assert parse_answer(row["cot_answer"], subtype, cot=True, known=("building", "car", "person")) == label
        assert not re.search(r"threshold|\brule\b|0\.[2345]\b", row["cot_answer"])


def test_labels_follow_from_the_metadata(command: WarmCommand) -> None:
    rows = make(command, write(command, *(make_record(number) for number in range(4))))
    assert answers(rows, "presence.binary")["image0.png car"] == "Yes"
    assert answers(rows, "count")["image1.png person"] == "4"
    assert answers(rows, "depth.range.label") == {f"image{n}.png": ("high", "low")[n % 2] for n in range(4)}
    assert answers(rows, "depth.average_per_object")["image0.png building"] == "18.26"
    assert answers(rows, "depth.foreground_presence")["image1.png car"] == "No"
    assert answers(rows, "depth.background_presence")["image1.png car"] == "Yes"
    assert answers(rows, "occlusion.binary")["image0.png person car"] == "Yes"
    assert answers(rows, "multi_hop.which_is_more") == {f"image{n}.png": ("cars", "people")[n % 2] for n in range(4)}
    assert answers(rows, "segmentation.vertical_layout")["image1.png"] == "No"
    absent = {name for name in answers(rows, "count") if answers(rows, "count")[name] == "0"}
    assert absent <= {f"image{n}.png {kind}" for n in range(4) for kind in ("tree", "bench")}
    assert absent


def test_a_side_is_named_and_never_answered_with_yes(command: WarmCommand) -> None:
    """The original script took every question that has the word "left" in it for one to be answered with Yes or No."""
    rows = make(command, write(command, *(make_record(number) for number in range(4))))
    found = answers(rows, "spatial.distribution.label")
    assert found["image0.png building"] == "left side"
    assert found["image0.png car"] == "right side"
    assert found["image1.png car"] == "even"
    assert answers(rows, "spatial.distribution")["image0.png building"] == "Yes"


def test_each_row_says_what_its_label_follows_from(command: WarmCommand) -> None:
    rows = make(command, write(command, *(make_record(number) for number in range(4))))
    found = {asked(row): row["provenance"] for row in rows}
    assert found["image0.png", "count", "car", "", "", ""] == {"rule": "the count", "from": {"objects.car": 2}}
    relation = found["image0.png", "spatial.relation", "", "", "car", "person"]
    assert relation["from"] == {"depth.kind": "distance", "depth_order.car": 4.0, "depth_order.person": 12.0}


# Depth


def test_inverse_depth_is_read_the_other_way_round(command: WarmCommand) -> None:
    depth = {"kind": "inverse"}
    metadata = write(command, *(make_record(number, depth=depth) for number in range(4)))
    rows = make(command, metadata)
    assert answers(rows, "spatial.relation")["image0.png car person"] == "No"
    assert answers(rows, "negation.spatial_refute")["image0.png car person"] == "Yes"
    assert "depth.average_per_object" not in {row["subtype"] for row in rows}
    reasons = {entry["subtype"]: entry["reason"] for entry in report(command)["not_asked"]}
    assert reasons["depth.average_per_object"] == "inverse depth is no distance"
    constants = report(command)["constant"]
    assert constants["depth.closest_object"]["answer"] == "bus", "the greatest inverse depth, not closest_object"


def test_a_direction_that_is_not_known_is_not_guessed(command: WarmCommand) -> None:
    metadata = write(command, *(make_record(number, depth=None) for number in range(4)))
    hanging = {"depth.closest_object", "spatial.relation", "negation.spatial_refute", "depth.average_per_object"}
    assert hanging.isdisjoint(row["subtype"] for row in make(command, metadata))
    reasons = {entry["reason"] for entry in report(command)["not_asked"] if entry["subtype"] in hanging}
    assert reasons == {"the metadata do not say whether depth is distance or inverse depth"}
    told = make(command, metadata, "--depth", "distance", out="told")
    assert answers(told, "spatial.relation")["image0.png car person"] == "Yes"
    assert answers(told, "depth.closest_object")["image0.png"] == "car"


def facts(**known: Any) -> ViewFacts:
    return ViewFacts(image_id="a", asked_objects=(), factors={}, **{"counts": {}, **known})


def test_the_closest_object_is_named_only_where_it_is_certain() -> None:
    order = {"car": 3.0, "person": 5.0}
    counts = {"car": 1, "person": 2, "tree": 0}

    def closest(**known: Any) -> str | None:
        found = find_closest(facts(**known))
        return found.answer if isinstance(found, Made) else None

    assert closest(depth_kind="inverse", depth_order=order, counts=counts, closest_object="car") == "person"
    assert closest(depth_kind="inverse", depth_order={"car": 3.0}, counts=counts, closest_object="car") is None
    assert closest(depth_kind="inverse", depth_order={"car": 3, "person": 3}, counts=counts) is None
    assert closest(depth_kind="inverse", closest_object="car") is None
    assert closest(depth_kind="distance", depth_order=order, counts=counts) == "car"
    assert closest(depth_kind="distance", closest_object="car") == "car"
    assert closest(depth_kind="distance", depth_order=order, closest_object="person") is None
    assert closest(depth_kind=None, closest_object="car") is None


# What is left out


def test_constant_labels_are_reported_and_left_out(command: WarmCommand) -> None:
    metadata = write(command, *(make_record(number) for number in range(4)))
    result = command("urban", "qa", "--metadata", metadata, "--out", "qa")
    assert "negation.conjunction" in result.out.partition("always the same answer")[2]
    assert "they are left out; --constant-labels keeps them" in result.err
    found = report(command)["constant"]
    assert found["negation.conjunction"] == {"answer": "Yes", "constant": "by its rule", "questions": 4, "kept": False}
    assert found["object.cooccurrence"]["constant"] == "in these images"
    rows = read(command)
    assert not {row["subtype"] for row in rows} & found.keys()
    by_subtype: dict[str, set[str]] = {}
    for row in rows:
        by_subtype.setdefault(row["subtype"], set()).add(row["answer"])
    assert all(len(given) > 1 for given in by_subtype.values())
    kept = make(command, metadata, "--constant-labels", out="kept")
    assert {row["subtype"] for row in kept} >= found.keys()


def test_nothing_is_written_where_no_question_is_left(command: WarmCommand) -> None:
    metadata = write(command, {"image_id": "a", "depth_stats": {"range": 5}})
    command("urban", "qa", "--metadata", metadata, "--out", "qa").assert_stopped(1, "--constant-labels keeps those")
    assert list((command.folder / "qa").iterdir()) == []


def test_an_object_that_could_not_be_found_is_not_taken_for_absent(command: WarmCommand) -> None:
    """A detector of COCO's objects has no tree, so that no image with trees may be said to have none."""
    records = [make_record(n, known_objects=None, objects={"car": 1 + n} if n else {"bench": 1}) for n in range(3)]
    rows = make(command, write(command, *records), "--constant-labels")
    assert {row["object"] for row in rows if row["subtype"] == "presence.binary"} == {"car", "bench"}
    assert "negation.exclusion_choice" not in {row["subtype"] for row in rows}
    reasons = {entry["subtype"]: entry["reason"] for entry in report(command)["not_asked"]}
    assert reasons["negation.exclusion_choice"] == "tree is no object that the metadata would name"
    assert reasons["multi_hop.count_compare"] == "person is no object that the metadata would name"


def test_a_record_with_nothing_but_an_id_is_told_of(command: WarmCommand) -> None:
    records = [make_record(number) for number in range(2)]
    rows = make(command, write(command, *records, {"image_id": "bare"}))
    assert "bare" not in {row["image_id"] for row in rows}
    reasons = {entry["subtype"]: entry["reason"] for entry in report(command)["not_asked"]}
    assert reasons["depth.range"] == "the metadata have no depth_stats.range"
    assert reasons["scene.skyline_visibility"] == "the metadata have no vertical_layout.skyline_clear"


# Records that cannot be used


def test_bad_records_are_named_and_left_out_on_request(command: WarmCommand) -> None:
    bad = (
        17,
        {"objects": {"car": 1}},
        make_record(7, objects={"car": "two"}),
        make_record(8, view_factors={"sky": 31}),
        make_record(9, spatial_distribution={"car": "left"}),
        make_record(1),
        make_record(10, depth={"kind": "metres"}),
        make_record(11, occlusion_pairs={"person": True}),
    )
    metadata = write(command, *(make_record(number) for number in range(3)), *bad)
    stopped = command("urban", "qa", "--metadata", metadata, "--out", "qa")
    stopped.assert_stopped(1, "8 records of metadata.json cannot be used", "--skip-problems")
    for number, words in (
        (4, "JSON, but not an object"),
        (5, "image_id"),
        (6, "objects"),
        (7, "view_factors"),
        (8, "spatial_distribution"),
        (9, "is about image1, as item 2 is"),
        (10, "depth.kind"),
        (11, "occlusion_pairs"),
    ):
        assert re.search(rf"error: metadata.json item {number}: .*{re.escape(words)}", stopped.err), stopped
    assert not (command.folder / "qa").exists()
    rows = make(command, metadata, "--skip-problems")
    assert {row["image_id"] for row in rows} == {"image0.png", "image1.png", "image2.png"}
    assert report(command)["metadata"]["left_out"] == 8


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[{"image_id": "a"}', "not readable as one JSON list"),
        ("[]", "has no record that can be used"),
        ("", "has no record that can be used"),
    ],
)
def test_a_file_that_is_no_metadata_is_refused(command: WarmCommand, content: str, words: str) -> None:
    (command.folder / "metadata.json").write_text(content, encoding="utf-8")
    command("urban", "qa", "--metadata", "metadata.json", "--out", "qa").assert_stopped(1, "metadata.json", words)
    command("urban", "qa", "--metadata", "none.json", "--out", "qa").assert_stopped(1, "none.json", "metadata file")


@pytest.mark.parametrize("split", ["70,30", "50,25,26", "a,b,c", "120,-10,-10", "nan,50,50"])
def test_a_split_is_three_percentages(command: WarmCommand, split: str) -> None:
    metadata = write(command, make_record(1))
    refused = command("urban", "qa", "--metadata", metadata, "--out", "qa", "--split", split)
    refused.assert_stopped(2, f"--split {split}", "such as 70,15,15")


def test_options_of_a_model_need_paraphrases(command: WarmCommand) -> None:
    metadata = write(command, make_record(1))
    refused = command("urban", "qa", "--metadata", metadata, "--out", "qa", "--model", "mine")
    refused.assert_stopped(2, "--model", "add --paraphrases N")


# Files


def test_the_same_seed_gives_the_same_bytes(command: WarmCommand) -> None:
    metadata = str(SAMPLE / "features.json")
    for out, seed in (("one", "7"), ("two", "7"), ("three", "8")):
        make(command, metadata, "--seed", seed, "--cot", out=out)
    assert digests(command.folder / "one") == digests(command.folder / "two")
    assert digests(command.folder / "one")["train.jsonl"] != digests(command.folder / "three")["train.jsonl"]


def test_a_record_more_does_not_change_the_questions_about_the_others(command: WarmCommand) -> None:
    records = [make_record(number) for number in range(6)]
    few = {asked(row): row["question"] for row in make(command, write(command, *records))}
    more = write(command, make_record(9), *records, name="more.json")
    many = {asked(row): row["question"] for row in make(command, more, out="more")}
    assert few.items() <= many.items()


def test_splits_share_no_image_and_what_is_made_can_be_asked(command: WarmCommand) -> None:
    make(command, str(SAMPLE / "features.json"), "--split", "50,20,30")
    images = {
        name: {json.loads(line)["image_id"] for line in (command.folder / "qa" / name).open(encoding="utf-8")}
        for name in FILES
    }
    assert [len(found) for found in images.values()] == [20, 8, 12]
    assert len(set.union(*images.values())) == 40
    for name in FILES:
        for style in ("question", "template"):
            options = ("--questions", f"qa/{name}", "--dataset", str(SAMPLE / "images"), "--prompt-style", style)
            checked = command("check", "--benchmark", "urban", *options)
            assert checked.code == 0, checked
            assert "error:" not in checked.out


def test_a_split_without_a_share_stays_empty(command: WarmCommand) -> None:
    metadata = write(command, *(make_record(number) for number in range(5)))
    make(command, metadata, "--split", "0,50,50")
    sizes = {name: part["images"] for name, part in report(command)["files"].items()}
    assert sizes["train.jsonl"] == 0
    assert sum(sizes.values()) == 5


def test_qa_files_are_replaced_on_request_only(command: WarmCommand) -> None:
    metadata = write(command, *(make_record(number) for number in range(4)))
    make(command, metadata)
    before = digests(command.folder / "qa")
    refused = command("urban", "qa", "--metadata", metadata, "--out", "qa", "--seed", "1")
    refused.assert_stopped(1, "train.jsonl exists already", "--force", "--out")
    assert digests(command.folder / "qa") == before
    make(command, metadata, "--seed", "1", "--force")
    assert digests(command.folder / "qa") != before


def test_the_report_counts_what_the_files_hold(command: WarmCommand) -> None:
    metadata = write(command, *(make_record(number) for number in range(6)))
    rows = make(command, metadata, "--seed", "5")
    found = report(command)
    assert found["seed"] == 5
    assert found["metadata"]["sha256"] == hashlib.sha256((command.folder / metadata).read_bytes()).hexdigest()
    assert {name: part["questions"] for name, part in found["subtypes"].items()} == Counter(r["subtype"] for r in rows)
    given = Counter(row["answer"] for row in rows if row["subtype"] == "depth.variation")
    assert found["subtypes"]["depth.variation"]["answers"] == given
    assert found["subtypes"]["depth.average_per_object"].keys() >= {"lowest", "median", "highest"}


def test_image_ids_have_the_ending_of_their_file(command: WarmCommand) -> None:
    other = make_record(2, image_path="elsewhere/other.jpg")
    windows = make_record(3, image_path="C:\\images\\image3.jpg")
    rows = make(command, write(command, make_record(1), other, windows, make_record(4, image_path=None)))
    assert {row["image_id"] for row in rows} == {"image1.png", "image2", "image3.jpg", "image4"}


# Words


def test_questions_have_several_wordings_and_never_say_how_to_answer(command: WarmCommand) -> None:
    rows = make(command, str(SAMPLE / "features.json"))
    wordings = {row["question"] for row in rows if row["subtype"] == "depth.variation"}
    assert len(wordings) == 3
    assert not any("Answer with" in row["question"] for row in rows)


def test_every_subtype_has_texts_for_every_answer() -> None:
    texts, wordings = read_texts().subtypes, read_wordings()
    assert texts.keys() == wordings.subtypes.keys()
    choices = {"yes_no": {"Yes", "No"}, "complex_simple": {"Complex", "Simple"}, "level": {"high", "moderate", "low"}}
    choices |= {"side": {"left side", "right side", "even"}, "people_or_cars": {"people", "cars"}}
    choices |= {"absent_thing": {"tree", "car", "bench"}}
    for name, subtype in wordings.subtypes.items():
        own = texts[name]
        assert own.questions
        for question in own.questions:
            assert set(re.findall(r"\{(\w+)\}", question)) == set(subtype.slots)
        assert ANY_ANSWER in own.reasons or own.reasons.keys() == choices[subtype.answer]
        assert all(own.reasons.values())
