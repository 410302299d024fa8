"""Results files and the summary: answers only, by numeric ID, readable in every language."""

import json
from pathlib import Path

import pytest

from vlures.benchmarks.vlures.settings import Setting, make_cell
from vlures.errors import VluresError
from vlures.records import Cell, Failure, Response, Usage
from vlures.results.files import describe_summary, results_folder, summarise, write_results
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import request_key

CELL = make_cell("Ur", 7)


def stored(folder: Path, *responses: Response, setting: Setting | None = None) -> CheckpointStore:
    store = CheckpointStore(folder, setting or Setting())
    for response in responses:
        store.append(response)
    return store


def results_path(folder: Path, name: str, setting: Setting, cell: Cell) -> Path:
    return results_folder(folder, setting) / setting.results_file(cell, name)


def answer(sample_id: int, text: str, cell: Cell = CELL, usage: Usage | None = None) -> Response:
    return Response(request_key(cell, Setting(), str(sample_id)), "ok", "d", text, usage=usage)


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        (Setting(1, True), "results_1shot_rationales/Urdu/results_gpt_1shot_Ur_task7_Rationales.json"),
        (Setting(1, False), "results_1shot_norationales/Urdu/results_gpt_1shot_Ur_task7_NoRationales.json"),
        (Setting(0, True), "results_0shot_rationales/Urdu/results_gpt_0shot_Ur_task7_Rationales.json"),
        (Setting(0, False), "results_0shot_norationales/Urdu/results_gpt_0shot_Ur_task7_NoRationales.json"),
    ],
)
def test_results_have_the_names_of_the_original_scripts(tmp_path: Path, setting: Setting, path: str) -> None:
    assert results_path(tmp_path, "gpt", setting, CELL) == tmp_path / path
    response = Response(request_key(CELL, setting, "1"), "ok", "d", "x")
    write_results(tmp_path, "gpt", stored(tmp_path, response, setting=setting))
    written = {str(file.relative_to(tmp_path)) for file in tmp_path.glob("results_*/**/*") if file.is_file()}
    assert written == {path, f"results_{setting.label}/summary.json"}


def test_answers_stand_by_ascending_number_and_unescaped(tmp_path: Path) -> None:
    store = stored(tmp_path, answer(10, "دس"), answer(2, 'Mbili "2"\nna'), answer(1, "一\u2028<b>"))
    write_results(tmp_path, "gpt", store)
    content = results_path(tmp_path, "gpt", Setting(), CELL).read_bytes().decode("utf-8")
    assert content == '{\n  "1": "一\u2028<b>",\n  "2": "Mbili \\"2\\"\\nna",\n  "10": "دس"\n}\n'
    assert json.loads(content) == {"1": "一\u2028<b>", "2": 'Mbili "2"\nna', "10": "دس"}


def test_what_is_no_answer_is_counted_and_not_written(tmp_path: Path) -> None:
    store = stored(
        tmp_path,
        answer(1, "x"),
        Response(request_key(CELL, Setting(), "2"), "failed", "d", error=Failure("500", "Error: no.")),
        Response(request_key(CELL, Setting(), "3"), "refused", "d", "I cannot help with that."),
        Response(request_key(CELL, Setting(), "4"), "truncated", "d", "The picture sh"),
        Response(request_key(CELL, Setting(), "5"), "truncated", "d", error=Failure("no text", "Raise it.")),
    )
    summary = write_results(tmp_path, "gpt", store)
    assert json.loads(results_path(tmp_path, "gpt", Setting(), CELL).read_text("utf-8")) == {"1": "x"}
    assert summary["status"] == {"ok": 1, "truncated": 2, "refused": 1, "failed": 1}


def test_a_cell_without_any_answer_has_an_empty_file(tmp_path: Path) -> None:
    failed = Response(request_key(CELL, Setting(), "2"), "failed", "d", error=Failure("500", "Error: no."))
    write_results(tmp_path, "gpt", stored(tmp_path, failed))
    assert json.loads(results_path(tmp_path, "gpt", Setting(), CELL).read_text("utf-8")) == {}


def test_an_answer_that_is_asked_again_stays_until_the_new_one_is_there(tmp_path: Path) -> None:
    store = stored(tmp_path, answer(1, "old"))
    path = results_path(tmp_path, "gpt", Setting(), CELL)
    store.ask_again(CELL, "1", "stale")
    write_results(tmp_path, "gpt", store)
    assert json.loads(path.read_text("utf-8")) == {"1": "old"}
    store.append(answer(1, "new"))
    write_results(tmp_path, "gpt", store)
    assert json.loads(path.read_text("utf-8")) == {"1": "new"}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_answers_that_are_the_same_under_several_ids_are_in_the_summary(tmp_path: Path) -> None:
    long, other = "The same sentence about every one of the pictures.", "And another sentence that two pictures share."
    texts = [long, "own words", long, "Yes.", "Yes.", other, other, long]
    store = stored(tmp_path, *(answer(number, text) for number, text in enumerate(texts, 1)))
    summary = write_results(tmp_path, "gpt", store)
    assert summary["same_answers"] == {CELL: [["1", "3", "8"], ["6", "7"]]}
    (sentence,) = describe_summary(summary, store.variant)
    assert "5 answers are letter by letter the same as another's: 2 texts are, the most frequent under" in sentence
    assert "the IDs 1, 3, 8;" in sentence


def test_the_summary_counts_by_cell_and_in_all_and_adds_up_the_tokens(tmp_path: Path) -> None:
    english = make_cell("En", 1)
    store = stored(
        tmp_path,
        answer(1, "x", usage=Usage(100, 20, 5, None)),
        answer(2, "x", usage=Usage(10, 2, None, 3)),
        answer(1, "x", english, Usage(7, 1, None, None)),
        Response(request_key(english, Setting(), "2"), "failed", "d", error=Failure("500", "no")),
    )
    summary = write_results(tmp_path, "gpt", store)
    assert summary == {
        "name": "gpt",
        "setting": "1shot_rationales",
        "status": {"ok": 3, "failed": 1},
        "cost_usd": None,
        "due": 1,
        "rerun_usd": None,
        "cells": {
            "En-t1": {
                "status": {"ok": 1, "failed": 1},
                "usage": {"input_tokens": 7, "output_tokens": 1, "cached_tokens": 0, "thinking_tokens": 0},
                "cost_usd": None,
                "due": 1,
                "rerun_usd": None,
            },
            "Ur-t7": {
                "status": {"ok": 2},
                "usage": {"input_tokens": 110, "output_tokens": 22, "cached_tokens": 5, "thinking_tokens": 3},
                "cost_usd": None,
                "due": 0,
                "rerun_usd": 0.0,
            },
        },
    }
    assert summary == summarise("gpt", store)
    assert json.loads((tmp_path / "results_1shot_rationales/summary.json").read_text("utf-8")) == summary


def test_results_are_the_same_after_the_store_was_opened_again(tmp_path: Path) -> None:
    first = stored(tmp_path, answer(3, "c"), answer(1, "a"))
    path = results_path(tmp_path, "gpt", Setting(), CELL)
    summary, content = write_results(tmp_path, "gpt", first), path.read_bytes()
    first.close()
    again = CheckpointStore(tmp_path, Setting(), writable=False)
    assert write_results(tmp_path, "gpt", again) == summary
    assert path.read_bytes() == content


def test_results_that_cannot_be_written_are_one_sentence(tmp_path: Path) -> None:
    store = stored(tmp_path, answer(1, "x"))
    (tmp_path / "results_1shot_rationales").write_text("a file stands in the way")
    with pytest.raises(VluresError, match="results_1shot_rationales"):
        write_results(tmp_path, "gpt", store)
