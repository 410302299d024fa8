"""What the file of `vlures report` holds: all that is stored, nothing that runs, and what is missing in words."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import REPOSITORY, Command, make_dataset
from tests.report.pages import OUTSIDE, Report, read_report
from tests.report.study import (
    FLASH,
    HOSTILE,
    LABEL,
    LUNA,
    REASONS,
    change_answers,
    make_verdict,
    short_key,
    stored_lines,
    write_judgements,
)
from vlures.judge.verdicts import read_verdicts


def report(work: Command, *options: str) -> Report:
    result = work("report", *options, "--force", "--out", "r.html")
    assert result.code == 0, result
    return read_report(work.folder / "r.html")


def rows_of(found: Report) -> list[list[str]]:
    """The rows of all tables of the summary."""
    rows = re.findall(r"<tr>(.*?)</tr>", found.html)
    return [[unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


# One file


def test_the_file_needs_nothing_else_and_runs_nothing_else(work: Command) -> None:
    found = report(work, LUNA, FLASH)
    policy = next(attrs["content"] for tag, attrs in found.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert [policy.count("'sha256-"), len(found.scripts), len(found.styles)] == [2, 1, 1]
    for content in (found.scripts[0], found.styles[0]):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    markup = re.sub(r"(?s)<(script|style)[^>]*>.*?</\1>", "", found.html)
    assert OUTSIDE.findall(markup) == []
    assert "http" not in found.styles[0]
    assert {tag for tag, _ in found.tags}.isdisjoint({"iframe", "object", "embed", "link", "base"})
    assert not any(name.startswith("on") or name == "style" for _, attrs in found.tags for name in attrs)


def test_every_answer_of_every_run_is_in_it_word_for_word(work: Command) -> None:
    found = report(work, LUNA, FLASH)
    for number, run in enumerate((LUNA, FLASH)):
        stored = {short_key(line["key"]): line["text"] for line in stored_lines(work.folder / run)}
        shown = {key: answer["text"] for key, answer in found.answers(number).items() if "text" in answer}
        assert shown == stored
    assert len(found.answers(0)) == 4 * (6 + 5)
    assert {key: found.answers(0)[key]["text"] for key in HOSTILE} == HOSTILE
    statuses = [found.manifest["statuses"][answer.get("status", 0)] for answer in found.answers(1).values()]
    assert {status: statuses.count(status) for status in statuses} == {
        "ok": 41,
        "refused": 1,
        "truncated": 1,
        "failed": 1,
    }


def test_no_answer_is_markup(work: Command) -> None:
    """Nothing that a model said stands in the HTML, where a browser could take it for markup."""
    plain = report(work, FLASH)
    found = report(work, LUNA, FLASH)
    for text in ("onerror", "owned", "javascript:", "\u202e", "\u2028", "\x1b"):
        assert text not in found.html
    assert [tag for tag, _ in found.tags].count("script") == 2 + len(found.held) - 1
    assert found.scripts == plain.scripts


def test_names_with_odd_characters_are_text(work: Command) -> None:
    name = "a <b>\"&' \u202e</script>é"
    (work.folder / LUNA).rename(work.folder / "outputs" / "moved")
    (work.folder / "outputs" / "moved").rename(work.folder / "outputs" / name.replace("/", "∕"))
    found = report(work, f"outputs/{name.replace('/', '∕')}")
    assert "a <b>\"&' \\u202e<∕script>é" in found.words
    assert found.manifest["runs"][0]["label"].startswith("a <b>\"&' \u202e<∕script>é · ")
    assert "b" not in {tag for tag, _ in found.tags}


def test_the_same_runs_make_the_same_file(work: Command) -> None:
    written = re.compile("Written [^<]*")
    assert written.sub("", report(work, LUNA, FLASH).html) == written.sub("", report(work, LUNA, FLASH).html)


def test_a_file_is_written_whole_or_not_at_all(work: Command) -> None:
    path = work.folder / "r.html"
    path.write_text("mine")
    for size in ("nan", "inf"):
        result = work("report", LUNA, "--out", "big.html", "--max-mb", size)
        assert (result.code, f"'--max-mb': '{size}'" in result.err) == (2, True), result
    work("report", LUNA, "--out", "r.html").assert_stopped(1, "r.html exists already", "--force")
    assert path.read_text() == "mine"
    (work.folder / "shut").write_text("a file where a folder should be")
    work("report", LUNA, "--out", "shut/r.html").assert_stopped(1, "cannot be written")
    broken = next((work.folder / LUNA).glob("checkpoints_*/checkpoint_*.jsonl"))
    broken.write_text("no JSON\n" + broken.read_text())
    work("report", LUNA, "--out", "r.html", "--force").assert_stopped(1, broken.name)
    assert path.read_text() == "mine"
    assert not list(work.folder.glob(".*.new"))


def test_a_folder_without_a_run_is_refused(work: Command) -> None:
    work("report", "data").assert_stopped(1, "data holds no run")
    work("report", "--originals", "copy").err.index("copy")
    work("report").assert_stopped(2, "several runs", LUNA, FLASH)


# What is said


def test_the_summary_says_what_was_run(work: Command) -> None:
    found = report(work, LUNA, FLASH)
    run = json.loads((work.folder / LUNA / f"checkpoints_{LABEL}/run.json").read_text())
    for words in (
        run["model"],
        run["versions"]["openai"],
        *run["prompt_digests"].values(),
        *run["data_digests"].values(),
    ):
        assert words in found.words
    assert "gemini-3.5-flash-lite" in found.words
    assert "CC BY-NC-SA 4.0" in found.words
    assert "SANDBOX: synthetic answers, given by no model." in found.words
    assert ("div", {"class": "banner", "role": "note"}) in found.tags


def test_prompts_are_shown_whole(work: Command) -> None:
    sent = work("prompt", "--dataset", "data", "--language", "Ur", "--task", "8", "--sample", "1").out
    user = sent.split("── user: text ──\n")[1].split("\n── user: image")[0]
    article = (work.folder / "data/text1.txt").read_text()
    assert article in user
    words = report(work, LUNA).words
    assert user.replace(article, "⟨the sample’s own text⟩") in words
    assert "have changed since" not in words


def test_a_prompt_that_has_changed_since_is_said_to_have(work: Command) -> None:
    for path in (work.folder / "data").glob("text*.txt"):
        path.write_text("Another article.")
    words = report(work, LUNA).words
    assert "It or its data have changed since" in words


def test_counts_are_those_of_the_run(work: Command) -> None:
    found = report(work, LUNA, FLASH)
    counts = {"ok": 41, "truncated": 1, "refused": 1, "failed": 1, "due": 1}
    row = next(row for row in rows_of(found) if row[0] == f"sandbox-flash · {LABEL}" and len(row) > 5)
    assert row[1:6] == [str(count) for count in counts.values()]
    assert row[6].startswith("$0.00 (for real about $")
    by_cell = {row[0]: row[2] for row in rows_of(found) if len(row) == 3 and " of " in row[1]}
    assert sum(int(shown.split(" of ")[0]) for shown in by_cell.values()) == 41
    assert all(f"1 {status}" in " ".join(by_cell.values()) for status in ("truncated", "refused", "failed"))


def test_a_run_of_a_model_has_no_banner(work: Command) -> None:
    for path in (work.folder / LUNA).glob("checkpoints_*/run.json"):
        run = json.loads(path.read_text())
        run["config"]["sandbox"] = False
        path.write_text(json.dumps(run))
    for path in (work.folder / LUNA).glob("checkpoints_*/jobs.jsonl"):
        path.write_text("".join(line for line in path.read_text().splitlines(True) if "rehearsal" not in line))
    assert "SANDBOX" not in report(work, LUNA).words
    assert "SANDBOX: some answers" in report(work, LUNA, FLASH).words


# What was said of the answers


def test_verdicts_stand_with_their_answers(work: Command) -> None:
    found = report(work, LUNA, FLASH)
    assert found.manifest["raters"] == [{"name": "strict-judge", "kind": "judge"}]
    given = {f"{verdict.cell}-{verdict.sample_id}": verdict.overall for verdict in read_verdicts(work.folder / LUNA)}
    shown = {key: answer["verdicts"] for key, answer in found.answers(0).items()}
    assert {key: verdicts[0]["overall"] for key, verdicts in shown.items()} == given
    assert shown["En-t2-1"][0]["reasons"] == REASONS
    assert sorted(score for score in found.index["scores"][0][0]) == sorted(given.values())


def test_verdicts_on_what_has_changed_and_controls_are_no_scores(work: Command) -> None:
    run = work.folder / LUNA
    control = make_verdict(run, "strict-judge", "En-t2-1", "another answer", 99, control="wrong image")
    missing = make_verdict(run, "other-judge", "En-t2-2", HOSTILE["En-t2-2"], None, missing="invalid: two objects")
    write_judgements(run, more=(control,))
    write_judgements(run, "other-judge", more=())
    path = run / "judged/other-judge/verdicts.jsonl"
    path.write_text(path.read_text().splitlines(True)[0])
    write_judgements(run, "third-judge")
    change_answers(run, lambda key, line: line | {"text": "new"} if key == "Jp-t8-2" else line)
    found = report(work, LUNA)
    assert [verdict.get("overall") for verdict in found.answers()["En-t2-1"]["verdicts"]].count(99) == 0
    assert "verdicts" not in found.answers()["Jp-t8-2"]
    assert "2 verdicts are not shown: the answers they are about have changed since, or are gone." in found.words
    assert missing.overall is None


def test_the_numbers_are_those_of_the_tables(work: Command) -> None:
    written = work("tables", LUNA, FLASH, "--format", "json")
    assert written.code == 0, written
    tables = json.loads(written.out)
    found = report(work, LUNA, FLASH)
    headings = re.findall(r"<h3>(.*?)</h3>", found.html)
    assert [table["title"] for table in tables] == [
        unescape(title) for title in headings if unescape(title) in written.out
    ]
    means = next(table for table in tables if table["table"] == "means")
    rows = [row for row in rows_of(found) if row[:2] == ["sandbox-luna", LABEL]]
    for row in means["rows"]:
        if row["run"] == "sandbox-luna":
            shown = [cells for cells in rows if row["language"] in cells and f"{row['mean']:.2f}" in cells]
            assert shown, row
    assert all(note in found.words for table in tables for note in table["notes"])


def test_means_are_drawn_with_their_intervals(work: Command) -> None:
    found = report(work, LUNA, FLASH)
    plots = re.findall(r"<svg role=.img.*?</svg>", found.html)
    assert len(plots) == 2  # means and macro means
    assert plots[0].count('class="whisker"') == plots[0].count("<g class=") == 2 * 8
    assert all("<title>" in plot and "aria-label=" in plot for plot in plots)
    assert "task 2 · En, sandbox-luna" in plots[0]


def test_a_judge_is_shown_with_its_words_and_what_its_controls_say(work: Command) -> None:
    shutil.rmtree(work.folder / LUNA / "judged")
    judged = work("judge", LUNA, "--sandbox", "--backend", "gemini", "--mode", "live", "--name", "seer")
    assert judged.code == 0, judged
    run = json.loads(next((work.folder / LUNA).glob("judged/*/checkpoints_*/run.json")).read_text())
    found = report(work, LUNA)
    instructions = run["judge"]["wording"]["en"]["text"]["instructions"]
    assert instructions.strip() in found.words
    assert "sees the image" in found.words or "too few" in found.words
    assert found.answers()["En-t2-6"]["verdicts"][0]["reasons"].startswith("[sandbox]")


def test_a_verdict_that_is_missing_says_why(work: Command) -> None:
    run = work.folder / LUNA
    shutil.rmtree(run / "judged")
    from vlures.judge.verdicts import write_verdicts

    gone = make_verdict(run, "judge", "En-t2-2", HOSTILE["En-t2-2"], None, missing="invalid: two objects")
    write_verdicts(run / "judged/judge/verdicts.jsonl", [gone])
    found = report(work, LUNA)
    assert found.answers()["En-t2-2"]["verdicts"][0]["missing"] == "invalid: two objects"
    assert set(found.index["scores"][0][0]) == {None}


def test_a_run_that_nobody_judged_says_so(work: Command) -> None:
    shutil.rmtree(work.folder / LUNA / "judged")
    found = report(work, LUNA)
    assert found.manifest["raters"] == []
    assert "No judge has been asked" in found.words


# Images, texts, size


def test_images_are_stored_once_small_upright_and_without_metadata(work: Command) -> None:
    folder = work.folder / "pictures"
    folder.mkdir()
    for number, image in enumerate(odd_images(), start=1):
        image.save(folder)
        (folder / f"text{number}.txt").write_text("It is about a picture.")
    result = work(
        "run",
        "--sandbox",
        "--backend",
        "gemini",
        "--name",
        "odd",
        "--dataset",
        "pictures",
        "--tasks",
        "1",
        "--languages",
        "En,Ur",
    )
    assert result.code == 0, result
    found = report(work, "outputs/sandbox-odd")
    shown = found.images()
    assert [image.size for image in shown] == [image.size for image in odd_images()]
    for image, odd in zip(shown, odd_images(), strict=True):
        colour = image.convert("RGB").getpixel((2, 2))
        assert isinstance(colour, tuple)
        assert max(abs(a - b) for a, b in zip(colour, odd.colour, strict=True)) < 24, (odd, colour)
        assert not image.getexif()
        assert not getattr(image, "is_animated", False)
    assert b"secret place" not in b"".join(image.tobytes() for image in shown)
    assert len(found.index["image"]) == 2 * len(shown)


class odd_images(list[Any]):  # noqa: N801 (a list that is made anew)
    """Files that a thumbnail gets wrong easily, with the size and the colour of a corner as people see them."""

    def __init__(self) -> None:
        super().__init__(
            [
                Odd("image1.jpg", Image.new("RGB", (480, 240), "red"), (240, 480), (254, 0, 0), {"exif": turned()}),
                Odd("image2.jpg", Image.new("CMYK", (64, 32), (255, 0, 0, 0)), (64, 32), (0, 255, 255), {}),
                Odd("image3.png", Image.new("I;16", (64, 32), 65535), (64, 32), (255, 255, 255), {}),
                Odd("image4.png", palette(), (64, 32), (0, 128, 0), {}),
                Odd(
                    "image5.webp",
                    Image.new("RGB", (64, 32), "blue"),
                    (64, 32),
                    (0, 0, 255),
                    {"save_all": True, "append_images": [Image.new("RGB", (64, 32), "red")]},
                ),
                Odd("image6.png", Image.new("RGBA", (960, 64), (0, 0, 0, 0)), (480, 32), (255, 255, 255), {}),
            ]
        )


class Odd:
    def __init__(
        self,
        name: str,
        image: Image.Image,
        size: tuple[int, int],
        colour: tuple[int, int, int],
        options: dict[str, Any],
    ) -> None:
        self.name, self.image, self.size, self.colour, self.options = name, image, size, colour, options

    def save(self, folder: Path) -> None:
        self.image.save(folder / self.name, **self.options)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "secret place"
    return exif.tobytes()


def palette() -> Image.Image:
    image = Image.new("P", (64, 32))
    image.putpalette([0, 128, 0] * 256)
    return image


def test_images_that_are_gone_are_said_to_be(work: Command) -> None:
    shutil.rmtree(work.folder / "data")
    result = work("report", LUNA, "--out", "r.html")
    assert result.code == 0, result
    found = read_report(work.folder / "r.html")
    assert found.images() == []
    assert set(found.index["image"]) == {-1}
    assert "the dataset folder data" in result.err
    assert "the dataset folder data" in found.words
    assert "The prompts cannot be shown" in found.words
    assert len(found.answers()) == 44


def test_images_can_be_left_out_or_linked(work: Command) -> None:
    found = report(work, LUNA, "--no-images")
    assert found.images() == []
    assert "Images are left out, as --no-images says." in found.words
    result = work("report", LUNA, "--originals", "link", "--out", "deep/er/r.html")
    assert result.code == 0, result
    pictures = read_report(work.folder / "deep/er/r.html").index["pictures"]
    for name, width, height, address in pictures:
        assert (work.folder / "deep/er" / address).resolve() == work.folder / "data" / name
        assert (width, height) == (48, 32)


def test_what_is_left_out_for_its_size_is_said(work: Command) -> None:
    noise = Image.effect_noise((800, 600), 120)
    for number in range(1, 7):
        noise.rotate(60 * number).save(work.folder / f"data/image{number}.png")
    change_answers(work.folder / LUNA, lambda _, line: line | {"text": base64.b64encode(os.urandom(6000)).decode()})
    for size in ("0.65", "0.5"):
        found = report(work, LUNA, "--max-mb", size)
        assert len(found.html.encode()) <= float(size) * 1e6
    everything = report(work, LUNA)
    assert len(everything.answers()) == 44
    assert len(found.answers()) < 44
    kept = len(found.answers())
    assert f"The answers to {44 - kept} questions of 44 are left out" in found.words
    work("report", LUNA, "--max-mb", "0.2", "--out", "s.html").assert_stopped(2, "--max-mb")


def test_articles_are_stored_once(work: Command) -> None:
    found = report(work, LUNA, FLASH)
    texts = [text for text, *_ in found.chunks("texts")]
    assert sorted(texts) == sorted(path.read_text() for path in (work.folder / "data").glob("text*.txt"))
    assert found.index["text"].count(-1) == 4  # sample 6 has none


def test_runs_stand_beside_each_other_only_about_the_same_image(work: Command) -> None:
    assert len(report(work, LUNA, FLASH).index["sample"]) == 44
    make_dataset(work.folder / "other/data", samples=6, texts=5)
    for number in range(1, 7):
        Image.new("RGB", (20, 20), "white").save(work.folder / f"other/data/image{number}.png")
    shutil.copytree(work.folder / FLASH, work.folder / "outputs/sandbox-third")
    again = ("run", "--sandbox", "--backend", "gemini", "--name", "third", "--dataset", "other/data", "--mode", "live")
    result = work(*again, "--tasks", "2", "--languages", "En", "--stale", "redo", "--output", "fresh")
    assert result.code == 0, result
    found = report(work, LUNA, "fresh/sandbox-third")
    assert len(found.index["sample"]) == 44 + 6
    assert found.index["differs"] == [0] * 50


# Languages


def test_the_hand_of_urdu_is_there_where_there_is_urdu(work: Command) -> None:
    assert "@font-face" in report(work, LUNA).styles[0]
    result = work(
        "run",
        "--sandbox",
        "--backend",
        "gemini",
        "--name",
        "one",
        "--dataset",
        "data",
        "--tasks",
        "5",
        "--languages",
        "Sw",
        "--samples",
        "6",
    )
    assert result.code == 0, result
    found = report(work, "outputs/sandbox-one")  # one language, one sample, no article
    assert "@font-face" not in found.styles[0]
    assert len(found.html) < 120_000
    assert found.manifest["dimensions"] == []
    assert [answer["language"] for answer in found.answers().values()] == [["sw", "ltr"]]


def test_each_text_has_its_own_language_and_direction(work: Command) -> None:
    found = report(work, LUNA)
    languages = {key: answer["language"] for key, answer in found.answers().items()}
    assert {languages[f"{code}-t2-1"][0] for code in ("En", "Jp", "Sw", "Ur")} == {"en", "ja", "sw", "ur"}
    assert languages["Ur-t8-2"] == ["ur", "rtl"]
    assert languages["Jp-t8-2"] == ["ja", "ltr"]
    assert [dimension["name"] for dimension in found.manifest["dimensions"]] == ["language", "task"]
    assert found.manifest["dimensions"][0]["values"] == ["En English", "Jp Japanese", "Sw Swahili", "Ur Urdu"]


# Other benchmarks


def test_a_table_of_ones_own_questions_is_shown(work: Command) -> None:
    rows = [
        {"id": f"q{number}", "image": f"data/image{number}.png", "question": f"Which colour, {number}?", "kind": kind}
        for number, kind in enumerate(("colour", "colour", "<b>shape"), start=1)
    ]
    (work.folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ("--benchmark", "table", "--questions", "mine.jsonl")
    result = work("run", "--sandbox", "--backend", "gemini", "--mode", "live", "--name", "mine", *asked)
    assert result.code == 0, result
    found = report(work, "outputs/sandbox-mine")
    assert sorted(found.index["sample"]) == ["q1", "q2", "q3"]
    assert found.index["textName"][0] == ["question"]
    assert [dimension["values"] for dimension in found.manifest["dimensions"]] == [["<b>shape", "colour"]]
    assert [text for text, *_ in found.chunks("texts")] == [f"Which colour, {number}?" for number in (1, 2, 3)]


def test_street_views_are_shown_with_their_reference_answers(work: Command) -> None:
    shutil.copytree(REPOSITORY / "data/SampleUrban", work.folder / "urban")
    asked = ("--benchmark", "urban", "--questions", "urban/test.jsonl", "--dataset", "urban/images", "--limit", "3")
    result = work("run", "--sandbox", "--backend", "gemini", "--mode", "live", "--name", "street", *asked)
    assert result.code == 0, result
    found = report(work, "outputs/sandbox-street")
    assert all(content["facts"]["reference_answer"] for content in found.chunks("answers"))
    assert len(found.images()) > 0
    assert "The prompts cannot be shown" not in found.words


# The scripts


def test_the_scripts_are_sound() -> None:
    """As far as node can tell without a browser; without node, the browser tests tell."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    folder = REPOSITORY / "vlures/report"
    for path in folder.glob("*.js"):
        checked = subprocess.run([node, "--check", path], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


def test_runs_whose_folders_share_a_name_are_told_apart(work: Command) -> None:
    """Also a run that was judged under another name, one that is named twice, and one that is seen from inside."""
    for name in ("a", "b"):
        shutil.copytree(work.folder / LUNA, work.folder / name / "x")
    shutil.rmtree(work.folder / "b/x/judged")
    found = report(work, "a/x", "b/x", "a/../a/x")
    assert [run["label"].split(" · ")[0] for run in found.manifest["runs"]] == ["a/x", "b/x"]
    rows = rows_of(found)
    begin = next(place for place, row in enumerate(rows) if row[:1] == ["run"] and row[-1:] == ["verdicts"])
    verdicts = {row[0].split(" · ")[0]: row[-1] for row in rows[begin + 1 : begin + 3]}
    assert verdicts == {"a/x": str(len(list(stored_lines(work.folder / LUNA)))), "b/x": "0"}
    inside = Command(work.folder / "a/x", {"HOME": str(work.folder)})
    assert inside("report", ".", "--out", "r.html").code == 0
    assert "judge" in read_report(work.folder / "a/x/r.html").words
