"""Street-view questions, through the real command: read, checked, planned, asked, resumed, exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import vlures as package
from tests.conftest import REPOSITORY, Result, Sandbox, make_dataset
from tests.warm import WarmCommand
from vlures.benchmarks.urban.qa_files import split_joined
from vlures.benchmarks.urban.rows import make_id, stem_of
from vlures.benchmarks.urban.subtypes import ANSWER_KINDS, SLOTS, find_subtype, read_wordings

ROWS: list[dict[str, Any]] = [
    {"image_id": "image1.png", "question": "Is a car there?", "answer": "Yes", "subtype": "presence.binary"},
    {"image_id": "image1.png", "question": "How many cars?", "answer": "2", "subtype": "count", "qtype": "basic"},
    {"image_id": "image2.png", "question": "How deep is it?", "answer": "Complex", "subtype": "depth.range"},
    {
        "image_id": "image3.png",
        "question": "Does the sky prevail?",
        "answer": "No",
        "subtype": "paraphrase.from_viewfactor.dominance",
        "factor": "sky",
    },
]
ROWS[0]["object"] = ROWS[1]["object"] = "car"
URBAN = ("--benchmark", "urban", "--questions")


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def work(tmp_path: Path, shared_sandbox: Sandbox) -> WarmCommand:
    """The command in a folder with a QA file `qa.jsonl` and the images that it names."""
    command = WarmCommand(tmp_path / "work", {"HOME": str(tmp_path)})
    make_dataset(command.folder, samples=3, texts=0)
    write_rows(command.folder / "qa.jsonl", ROWS)
    command.use(shared_sandbox)
    return command


def run(work: WarmCommand, *options: str, file: str = "qa.jsonl") -> Result:
    asked = ("--backend", "gemini", "--model", "gemini-3.8-flash", "--mode", "live", "--name", "mine")
    return work("run", *URBAN, file, *asked, *options)


def export(work: WarmCommand) -> dict[str, dict[str, Any]]:
    """The exported rows by their subtype."""
    result = work("export", "outputs/mine", "--out", "rows.jsonl", "--force")
    assert result.code == 0, result
    lines = (work.folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["subtype"]: row for row in map(json.loads, lines)}


def test_a_qa_file_is_asked_and_everything_in_it_is_exported(work: WarmCommand, shared_sandbox: Sandbox) -> None:
    result = run(work)
    assert result.code == 0, result
    rows = export(work)
    for given in ROWS:
        row = rows[given["subtype"]]
        assert (row["status"], row["image_id"], row["question"]) == ("ok", given["image_id"], given["question"])
        assert (row["reference_answer"], row["qtype"]) == (given["answer"], given.get("qtype"))
        assert {name: row[name] for name in SLOTS} == {name: given.get(name) for name in SLOTS}
        assert row["sample_id"].startswith(f"{stem_of(given['image_id'])}_")
    assert rows["count"]["group"] == "count_numeric"
    assert rows["paraphrase.from_viewfactor.dominance"]["group"] == "view_factor_binary"
    results = work.folder / "outputs/mine/results_question"
    assert {path.name for path in results.iterdir()} == {
        "results_mine_question_count_numeric.json",
        "results_mine_question_depth_binary.json",
        "results_mine_question_presence_binary.json",
        "results_mine_question_view_factor_binary.json",
        "summary.json",
    }
    assert len(shared_sandbox.ledger) == len(ROWS)


@pytest.mark.parametrize(
    ("backend", "mode"), [("openai", "batch"), ("openai", "live"), ("gemini", "batch"), ("gemini", "live")]
)
def test_questions_are_resumed_in_every_mode(
    work: WarmCommand, shared_sandbox: Sandbox, backend: str, mode: str
) -> None:
    asked = ("run", *URBAN, "qa.jsonl", "--backend", backend, "--mode", mode, "--name", "mine", "--no-canary")
    first = work(*asked, "--limit", "2", "--poll-s", "0.1")
    assert first.code == 0, first
    whole = work(*asked, "--poll-s", "0.1")
    assert whole.code == 0, whole
    assert "2 due of 4 requests" in whole.err
    assert "0 due of 4 requests" in work(*asked).err
    assert len(shared_sandbox.ledger) == 4


def test_what_fails_is_due_again(work: WarmCommand, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("error@gemini:status=400,message=No.,times=1")
    first = run(work)
    shared_sandbox.show()
    assert first.code == 3, first
    again = run(work)
    assert again.code == 0, again
    assert "1 due of 4 requests" in again.err


def prompt_of(work: WarmCommand, sample: str, *options: str) -> str:
    shown = work("prompt", *URBAN, "qa.jsonl", "--sample", sample, *options)
    assert shown.code == 0, shown
    assert "── user: text ──" in shown.out
    return shown.out.split("── user: text ──\n")[1].split("\n── user: image ──")[0]


def test_the_question_is_sent_as_it_stands_unless_a_template_is_asked_for(work: WarmCommand) -> None:
    sample = make_id("image1", "presence.binary", "Is a car there?", {"object": "car"})
    template = ("--prompt-style", "template")
    assert prompt_of(work, sample) == "Is a car there?"
    assert prompt_of(work, sample, *template) == (
        "Is at least one car visible in this street view? Answer with Yes or No and nothing else."
    )
    reasoned = prompt_of(work, sample, "--cot")
    assert reasoned.startswith("Is a car there?\n\nExplain your reasoning step by step.")
    assert '"Answer:" followed by' in reasoned
    assert '"Answer:" followed by Yes or No.' in prompt_of(work, sample, *template, "--cot")
    depth = make_id("image2", "depth.range", "How deep is it?", {})
    assert "Answer with Complex or Simple and nothing else." in prompt_of(work, depth, *template)


def test_each_way_of_asking_has_folders_of_its_own(work: WarmCommand) -> None:
    for options in ((), ("--cot",), ("--prompt-style", "template"), ("--prompt-style", "template", "--cot")):
        result = run(work, *options)
        assert result.code == 0, result
        assert "4 due of 4 requests" in result.err
    folders = {path.name for path in (work.folder / "outputs/mine").glob("checkpoints_*")}
    assert folders == {f"checkpoints_{label}" for label in ("question", "question_cot", "template", "template_cot")}


def test_every_subtype_has_a_wording_of_its_own() -> None:
    wordings = read_wordings()
    assert len(wordings.subtypes) == 33
    assert len({subtype.wording for subtype in wordings.subtypes.values()}) == len(wordings.subtypes)
    assert set(wordings.answers) == set(ANSWER_KINDS)
    for subtype in wordings.subtypes.values():
        assert set(subtype.slots) <= set(SLOTS)
        assert len(subtype.slots) == len(set(subtype.slots))
    assert find_subtype("paraphrase.from_count") is find_subtype("count") is not None
    assert find_subtype("paraphrase", "count") is find_subtype("count")
    assert find_subtype("paraphrase.from_nothing") is None


def test_one_list_and_lines_with_marks_of_windows_are_the_same_questions(work: WarmCommand) -> None:
    assert run(work).code == 0
    bare = [{**row, "image_id": row["image_id"].removesuffix(".png")} for row in ROWS]
    (work.folder / "list.json").write_text(json.dumps(ROWS, indent=1), encoding="utf-8-sig")
    windows = "\ufeff" + "\r\n".join(json.dumps(row) for row in bare) + "\r\n\r\n"
    (work.folder / "lines.json").write_bytes(windows.encode())
    for name in ("list.json", "lines.json"):
        again = run(work, file=name)
        assert again.code == 0, again
        assert "0 due of 4 requests" in again.err, name


def test_line_breaks_written_as_a_backslash_and_an_n_are_read_and_told_of(work: WarmCommand) -> None:
    lines = [json.dumps(row) for row in ROWS]
    (work.folder / "qa.jsonl").write_text(lines[0] + "\n" + "\\n".join(lines[1:]) + "\\n")
    checked = work("check", *URBAN, "qa.jsonl")
    assert checked.code == 0, checked
    assert "note: qa.jsonl line 2: its line breaks are a backslash and an n; read as 3 rows" in checked.out
    assert "4 due of 4 requests" in run(work).err
    (work.folder / "qa.jsonl").write_text("\\n".join([*lines, lines[0][:20]]))
    torn = work("check", *URBAN, "qa.jsonl")
    assert torn.code == 1, torn
    assert "error: qa.jsonl line 1, row 5: not a JSON object" in torn.out


@pytest.mark.parametrize(
    ("line", "rows"),
    [
        (b'{"a": 1}\\n{"b": 2}\\n', ['{"a": 1}', '{"b": 2}']),
        (b'{"a": "}\\n{"}\\n', ['{"a": "}\\n{"}']),
        (b'{"a": 1}\\n{"b', ['{"a": 1}', '{"b']),
        (b"no JSON\\n", None),
        (b'{"a": 1} {"b": 2}', None),
        (b'{"a": 1}\\n\xff', None),
    ],
)
def test_rows_are_parted_where_their_break_was_written_out(line: bytes, rows: list[str] | None) -> None:
    assert split_joined(line) == rows


BAD: list[tuple[Any, str]] = [
    ({"image_id": "none.png"}, "there is no image none.png"),
    ({"image_id": "none"}, "there is no image none, with any ending of an image"),
    ({"image_id": 5}, "its `image_id` is 5, which is not a text"),
    ({"image_id": "../secret.png"}, "leads out of"),
    ({"image_id": "qa.jsonl"}, "cannot be opened as an image"),
    ({"question": " "}, "without `question`"),
    ({"question": "a\0"}, "holds NUL"),
    ({"subtype": "depth.unknown"}, "its subtype 'depth.unknown' is none of the 33 known ones"),
    ({"subtype": None}, "without `subtype`"),
    ({"answer": "maybe"}, "its answer 'maybe' is not Yes or No, as presence.binary needs"),
    ({"subtype": "spatial.distribution.label"}, "its answer 'Yes' is not Left side, Right side or Even"),
    ({"subtype": "count", "answer": "many"}, "is not one whole number, as count needs"),
    ({"subtype": "viewfactor.scalar", "answer": "35"}, "is not one number between 0 and 1"),
    ({"object": ["car"]}, "its `object` is ['car'], which is not a text"),
    (ROWS[1], "asks the same about the same image as qa.jsonl line 2"),
    ([1, 2], "JSON, but not an object"),
]


def test_bad_rows_are_named_by_line_and_stop_a_run_unless_they_are_left_out(work: WarmCommand) -> None:
    (work.folder.parent / "secret.png").write_bytes((work.folder / "image1.png").read_bytes())
    rows = [
        {**ROWS[0], "question": f"Number {number}?", **row} if isinstance(row, dict) and row is not ROWS[1] else row
        for number, (row, _) in enumerate(BAD)
    ]
    file = write_rows(work.folder / "qa.jsonl", [*ROWS, *rows])
    with file.open("a") as opened:
        opened.write('not json\n{"image_id": "image1.png"')
    checked = work("check", *URBAN, "qa.jsonl")
    assert checked.code == 1, checked
    words = [*(word for _, word in BAD), "not a JSON object", "torn at the end of the file"]
    errors = [line for line in checked.out.splitlines() if line.startswith("error: ")]
    assert len(errors) == len(words)
    for number, word in enumerate(words, 5):
        (line,) = [line for line in errors if f"qa.jsonl line {number}:" in line]
        assert word in line
    assert f"{len(words)} rows cannot be asked; 4 rows can." in checked.out
    stopped = run(work)
    assert stopped.code == 1, stopped
    assert f"qa.jsonl has {len(words)} problems, the first: qa.jsonl line" in stopped.err
    left = run(work, "--skip-problems")
    assert left.code == 0, left
    assert (
        f"{len(words)} rows are left out of qa.jsonl; `vlures check --benchmark urban --questions qa.jsonl`" in left.err
    )
    assert set(export(work)) == {row["subtype"] for row in ROWS}


def test_a_field_with_two_values_is_named_and_not_chosen_from(work: WarmCommand) -> None:
    rows = [json.dumps(row) for row in ROWS]
    twice = json.dumps({**ROWS[0], "question": "Twice?"})[:-1] + ', "answer": "No"}'
    same = json.dumps({**ROWS[0], "question": "The same?"})[:-1] + ', "answer": "Yes"}'
    quoted = json.dumps({**ROWS[0], "question": '"answer" and "answer"?'})
    for text, place in (
        ("\n".join([*rows, same, quoted, twice]), "line 7"),
        ("\n".join([*rows, same, "\\n".join([quoted, twice])]), "line 6, row 2"),
        ("[" + ",".join([*rows, same, quoted, twice]) + "]", "item 7"),
    ):
        (work.folder / "twice.json").write_text(text)
        checked = work("check", *URBAN, "twice.json")
        assert checked.code == 1, checked
        errors = [line for line in checked.out.splitlines() if line.startswith("error: ")]
        assert errors == [f"error: twice.json {place}: has `answer` twice, with different values"]


def test_an_item_that_no_reader_takes_is_named(work: WarmCommand) -> None:
    (work.folder / "list.json").write_text(json.dumps(ROWS)[:-1] + f', {{"answer": 1{"0" * 400}.5}}]')
    work("check", *URBAN, "list.json").assert_stopped(1, "list.json, item 5: not readable as one JSON list")


def test_bad_items_of_a_list_are_named_by_their_number(work: WarmCommand) -> None:
    (work.folder / "list.json").write_text(json.dumps([*ROWS, 5, {**ROWS[0], "answer": "perhaps"}]))
    checked = work("check", *URBAN, "list.json")
    assert "error: list.json item 5: JSON, but not an object" in checked.out
    assert "error: list.json item 6: its answer 'perhaps' is not Yes or No" in checked.out


def test_check_shows_how_often_the_commonest_answer_is_given(work: WarmCommand) -> None:
    checked = work("check", *URBAN, "qa.jsonl")
    assert checked.code == 0, checked
    [line] = [line for line in checked.out.splitlines() if line.startswith("presence_binary")]
    assert line.split() == ["presence_binary", "presence.binary", "1", "1", "yes", "(100%)"]


def test_what_a_template_lacks_is_a_problem_of_its_row_alone(work: WarmCommand) -> None:
    write_rows(work.folder / "qa.jsonl", [{**ROWS[0], "object": None}, *ROWS[1:]])
    assert work("check", *URBAN, "qa.jsonl").code == 0
    checked = work("check", *URBAN, "qa.jsonl", "--prompt-style", "template")
    assert checked.code == 1, checked
    assert "line 1: without `object`, which the wording of presence.binary needs" in checked.out


def test_a_template_that_asks_a_paraphrase_twice_says_so(work: WarmCommand) -> None:
    other = {**ROWS[0], "subtype": "paraphrase.from_presence.binary", "question": "Can you see a car?"}
    write_rows(work.folder / "qa.jsonl", [*ROWS, other])
    said = run(work, "--prompt-style", "template")
    assert said.code == 0, said
    assert "1 question is asked with the same words as another one about the same image" in said.err
    assert "same words" not in run(work).err


def test_an_answer_that_is_corrected_and_rows_that_move_change_no_id(work: WarmCommand) -> None:
    assert run(work).code == 0
    write_rows(work.folder / "qa.jsonl", [ROWS[3], *ROWS[:2], {**ROWS[2], "answer": "Simple"}])
    again = run(work)
    assert again.code == 0, again
    assert "0 due of 4 requests" in again.err
    write_rows(work.folder / "qa.jsonl", [{**ROWS[0], "question": "Is a bus there?"}, *ROWS[1:]])
    assert "1 due of 4 requests" in run(work).err  # another question, not another answer to the old one


def test_another_image_under_the_same_name_makes_its_answers_stale(work: WarmCommand) -> None:
    assert run(work).code == 0
    (work.folder / "image2.png").write_bytes((work.folder / "image3.png").read_bytes())
    changed = run(work)
    assert changed.code == 1, changed
    assert "1 stored answer in" in changed.err
    assert "the images or texts of depth_binary" in changed.err
    assert run(work, "--stale", "redo").code == 0


def test_groups_and_subtypes_can_be_chosen(work: WarmCommand) -> None:
    chosen = run(work, "--groups", "depth_binary,count")
    assert chosen.code == 0, chosen
    assert "2 due of 2 requests in 2 cells" in chosen.err
    wrong = run(work, "--groups", "depth")
    assert wrong.code == 2, wrong
    assert "--groups: 'depth' is neither a subtype nor one of the groups presence_binary" in wrong.err


@pytest.mark.parametrize(
    ("file", "options", "words"),
    [
        (None, (), "--benchmark urban needs a QA file: add --questions FILE"),
        ("none.json", (), "none.json"),
        ("", (), "--questions is empty; name a QA file"),
        ("torn.json", (), "torn.json: not readable as one JSON list (Input data was truncated)"),
        ("empty.json", (), "empty.json has no question that can be asked"),
        ("wide.json", (), "wide.json is UTF-16, not UTF-8"),
        ("qa.jsonl", ("--samples", "zzz"), "has no question with the ID 'zzz'"),
        ("qa.jsonl", ("--tasks", "3"), "--tasks is an option of --benchmark vlures, not of --benchmark urban"),
        ("qa.jsonl", ("--dataset", "none"), "--dataset none: there is no such folder"),
        ("qa.jsonl", ("--prompt-style", "both"), "choose from question, template"),
        (
            "qa.jsonl",
            ("--columns", "image=x"),
            "--columns is an option of --benchmark vlures, not of",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence_in_plan_and_run(
    work: WarmCommand, file: str | None, options: tuple[str, ...], words: str
) -> None:
    (work.folder / "torn.json").write_text('[{"image_id": "image1.png"},\n{"image_id"')
    (work.folder / "empty.json").write_text("")
    (work.folder / "wide.json").write_text(json.dumps(ROWS), encoding="utf-16")
    named = URBAN[:2] if file is None else (*URBAN, file)
    for command in ("plan", "run"):
        result = work(command, *named, *options)
        assert result.code in (1, 2), result
        (sentence,) = [line for line in result.err.splitlines() if line.startswith("vlures: ")]
        assert words in sentence
    assert not (work.folder / "outputs").exists()


def test_plan_status_load_and_show_know_the_questions(work: WarmCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = work("plan", *URBAN, "qa.jsonl", "--backend", "gemini")
    assert plan.code == 0, plan
    cells = [line.split()[0] for line in plan.out.splitlines()[2:7]]
    assert cells == ["presence_binary", "count_numeric", "view_factor_binary", "depth_binary", "total"]
    short, long = (
        work("plan", *URBAN, "qa.jsonl", "--backend", "gemini", *options).out for options in ((), ("--cot",))
    )
    assert short != long
    assert run(work).code == 0
    status = work("status", "outputs/mine")
    assert "gemini live, gemini-3.8-flash, question" in status.out
    monkeypatch.chdir(work.folder)
    table = package.load("outputs/mine")
    assert set(table["subtype"]) == {row["subtype"] for row in ROWS}
    sample = make_id("image2", "depth.range", "How deep is it?", {})
    assert "How deep is it?" in package.show(sample, "outputs/mine").html
    assert package.show(sample, "outputs/mine", groups="depth_binary").answers == 1


def test_the_sample_in_the_repository_can_be_asked(tmp_path: Path) -> None:
    command = WarmCommand(tmp_path / "work", {"HOME": str(tmp_path)})
    command.folder.mkdir()
    sample = REPOSITORY / "data/SampleUrban"
    for split in ("train", "val", "test"):
        checked = command("check", *URBAN, str(sample / f"{split}.jsonl"), "--dataset", str(sample / "images"))
        assert checked.code == 0, checked
