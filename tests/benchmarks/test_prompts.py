"""Prompts. The golden files hold every prompt word for word; `VLURES_UPDATE_GOLDEN=1 pytest
tests/benchmarks/test_prompts.py` writes them anew, and the difference is then read before it is committed."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vlures.benchmarks.vlures.prompts
from tests.benchmarks.loading import questions_of
from vlures.benchmarks.vlures.benchmark import load_prompts
from vlures.benchmarks.vlures.languages import LANGUAGES, Language
from vlures.benchmarks.vlures.prompts import SETTINGS, build_cell_prompt, load_pack, read_pack
from vlures.benchmarks.vlures.settings import Setting, make_cell
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import VluresError
from vlures.runs.config import load_config

GOLDEN = Path(__file__).parent / "golden"
ARTICLE = "First line with {task} {article} {{x}} 100 % {\n{question} %s \\1 $task }\nLast line."
LANGUAGE_SETTINGS = [
    pytest.param(language, setting, id=f"{language.name}-{setting.label}")
    for language in LANGUAGES.values()
    for setting in SETTINGS
]


def options(language: Language, setting: Setting, **more: Any) -> dict[str, Any]:
    return {"languages": language.code, "shots": setting.shots, "rationales": setting.rationales, **more}


def write_out(language: Language, setting: Setting, **more: Any) -> str:
    """The eight prompts of a language in a setting, as a text to read."""
    prompts = load_prompts(questions_of(options(language, setting, **more)))
    parts = []
    for task in TASKS.values():
        prompt = prompts[make_cell(language.code, task.number)].fill(ARTICLE if task.needs_text else None)
        parts += [f"##### task {task.number} {task.code}: user", prompt.user]
    return "\n".join([f"##### system, for every task\n{prompt.system}", *parts]) + "\n"


def compare_with_golden(name: str, written: str) -> None:
    path = GOLDEN / name
    if os.environ.get("VLURES_UPDATE_GOLDEN") == "1":
        path.write_text(written, encoding="utf-8", newline="\n")
    assert path.is_file(), f"{path} is missing; write it with VLURES_UPDATE_GOLDEN=1 and read it"
    assert written == path.read_bytes().decode("utf-8")


@pytest.mark.parametrize(("language", "setting"), LANGUAGE_SETTINGS)
def test_every_prompt_is_as_its_golden_file_says(language: Language, setting: Setting) -> None:
    compare_with_golden(f"{language.name}_{setting.label}.txt", write_out(language, setting))


def test_the_cross_lingual_example_is_as_its_golden_file_says() -> None:
    written = write_out(LANGUAGES["Sw"], Setting(), example_language="English")
    compare_with_golden("Swahili_1shot_rationales_example_English.txt", written)


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{language.name}_{setting.label}.txt" for language in LANGUAGES.values() for setting in SETTINGS}
    assert {path.name for path in GOLDEN.iterdir()} == expected | {"Swahili_1shot_rationales_example_English.txt"}


@pytest.mark.parametrize(("language", "setting"), LANGUAGE_SETTINGS)
def test_a_prompt_holds_what_its_setting_asks_for_and_no_more(language: Language, setting: Setting) -> None:
    pack = load_pack(language)
    for task in TASKS.values():
        prompt = build_cell_prompt(pack, pack, task, setting).fill(ARTICLE if task.needs_text else None)
        example = pack.examples[task.number]
        assert prompt.system == pack.system
        outside = prompt.user.replace(example.question, "")  # which may word the task alike
        assert outside.count(pack.tasks[task.number]) == 1
        assert prompt.user.count(ARTICLE) == int(task.needs_text)
        assert (example.question in prompt.user, example.answer in prompt.user) == (setting.shots == 1,) * 2
        assert (example.rationale in prompt.user) == (setting.shots == 1 and setting.rationales)


def test_the_example_of_a_language_is_in_that_language_unless_asked_otherwise() -> None:
    swahili, english = load_pack(LANGUAGES["Sw"]), load_pack(LANGUAGES["En"])
    for task in TASKS.values():
        own = build_cell_prompt(swahili, swahili, task, Setting())
        crossed = build_cell_prompt(swahili, english, task, Setting())
        for key in ("question", "rationale", "answer"):
            old, new = getattr(swahili.examples[task.number], key), getattr(english.examples[task.number], key)
            assert old in own.before
            assert old not in crossed.before
            assert new in crossed.before
        around = (crossed.before, crossed.after or "")  # the task stands before the article or after it
        assert sum(text.count(swahili.tasks[task.number]) for text in around) == 1
        assert not any(english.tasks[task.number] in text for text in around)


@settings(deadline=None)
@given(article=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), task=st.sampled_from([6, 7, 8]))
def test_any_article_is_put_in_letter_by_letter(article: str, task: int) -> None:
    pack = load_pack(LANGUAGES["En"])
    prompt = build_cell_prompt(pack, pack, TASKS[task], Setting())
    assert prompt.fill(article).user == prompt.before + article + str(prompt.after)


def test_an_article_goes_only_where_a_task_takes_one_and_is_never_forgotten() -> None:
    pack = load_pack(LANGUAGES["En"])
    assert ARTICLE not in build_cell_prompt(pack, pack, TASKS[1], Setting()).fill(ARTICLE).user
    with pytest.raises(ValueError, match="needs an article"):
        build_cell_prompt(pack, pack, TASKS[6], Setting()).fill(None)


def test_urdu_is_written_from_right_to_left_and_the_others_are_not() -> None:
    directions = {code: load_pack(language).direction for code, language in LANGUAGES.items()}
    assert directions == {"En": "ltr", "Jp": "ltr", "Sw": "ltr", "Ur": "rtl"}


# Packs of one's own

ENGLISH = (Path(vlures.benchmarks.vlures.prompts.__file__).parent / "English.toml").read_text(encoding="utf-8")


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    """A folder with an English pack in it whose first task is another."""
    changed = re.sub(r'(\[tasks\]\n1 = """\n)[^"]+', r"\g<1>Count the cups.", ENGLISH)
    (tmp_path / "English.toml").write_text("\ufeff" + changed, encoding="utf-8")
    return tmp_path


def test_a_folder_of_packs_goes_before_the_packages_own(packs: Path) -> None:
    config = load_config(None, {"languages": "En,Jp", "tasks": "1,2", "prompts": str(packs)})
    prompts = load_prompts(config.benchmark_options)
    own = load_prompts(questions_of({"languages": "En,Jp", "tasks": "1,2"}))
    assert "Count the cups." in prompts[make_cell("En", 1)].before
    assert prompts[make_cell("En", 1)] != own[make_cell("En", 1)]
    assert prompts[make_cell("En", 2)] == own[make_cell("En", 2)]
    assert prompts[make_cell("Jp", 1)] == own[make_cell("Jp", 1)]


@pytest.mark.parametrize(("folder", "reason"), [("nowhere", "does not exist"), ("empty", "holds no pack")])
def test_a_folder_without_packs_is_refused(tmp_path: Path, folder: str, reason: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(VluresError, match=f"{folder} {reason}"):
        load_pack(LANGUAGES["En"], tmp_path / folder)


def without(section: str, key: str) -> str:
    """The English pack without one key of a section."""
    head, tail = ENGLISH.split(f"[{section}]\n", 1)
    return head + f"[{section}]\n" + re.sub(rf'^{key} = """.*?"""\n', "", tail, count=1, flags=re.DOTALL | re.MULTILINE)


UNFIT = {
    "a missing task": (without("tasks", "3"), "`tasks.3` is missing"),
    "a missing example": (without(r"examples.8", "answer"), "`examples.8.answer` is missing"),
    "a missing template": (without("image_text", "1shot_rationales"), "`image_text.1shot_rationales` is missing"),
    "a missing system prompt": (ENGLISH.replace("system =", "sistem ="), "`system` is missing"),
    "an unknown placeholder": (
        ENGLISH.replace("{article}", "{articel}", 1),
        "`image_text.0shot_norationales` has the unknown placeholder {articel}",
    ),
    "an article where there is none": (
        ENGLISH.replace("{task}", "{task} {article}", 1),
        "`image_only.0shot_norationales` has the unknown placeholder {article}",
    ),
    "a forgotten placeholder": (
        ENGLISH.replace("{question}", "", 1),
        "`image_only.1shot_norationales`: the placeholder {question} is missing",
    ),
    "a doubled placeholder": (
        ENGLISH.replace("{task}", "{task} {task}", 1),
        "`image_only.0shot_norationales`: the placeholder {task} occurs 2 times",
    ),
    "an unknown key": (ENGLISH + '\nnote = "x"\n', "`examples.8.note` is not one that a pack has"),
    "an unknown task": (ENGLISH.replace("[tasks]\n", '[tasks]\n9 = "Sing."\n'), "`tasks.9` is not one"),
    "another language": (ENGLISH.replace('"English"', '"Japanese"', 1), "`language` says 'Japanese'"),
    "an unknown direction": (ENGLISH.replace('"ltr"', '"up"'), "`direction` is 'up'"),
    "an empty text": (re.sub(r'\n2 = """[^"]+"""', '\n2 = " "', ENGLISH, count=1), "`tasks.2` must be a text"),
    "a number for a text": (re.sub(r'\n2 = """[^"]+"""', "\n2 = 5", ENGLISH, count=1), "`tasks.2` must be a text"),
    "a text for a table": ('tasks = "x"\n' + ENGLISH.replace("[tasks]", "[other]"), "`tasks.1` is missing"),
    "bad TOML": (ENGLISH.replace("[tasks]", "[tasks"), "is not a readable TOML file"),
}


@pytest.mark.parametrize(("content", "reason"), UNFIT.values(), ids=UNFIT)
def test_an_unfit_pack_is_refused_with_its_file_and_key(tmp_path: Path, content: str, reason: str) -> None:
    assert content != ENGLISH
    path = tmp_path / "English.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(VluresError) as refusal:
        load_pack(LANGUAGES["En"], tmp_path)
    assert str(path) in str(refusal.value)
    assert reason in str(refusal.value)


def test_a_pack_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(VluresError, match=r"mine\.toml is not a readable TOML file"):
        read_pack(ENGLISH.encode("utf-16"), "mine.toml", LANGUAGES["En"])


@pytest.mark.parametrize("name", ["Article", "article2", " article "])
def test_a_placeholder_in_other_letters_is_unknown_too(name: str) -> None:
    content = ENGLISH.replace("{article}", f"{{article}} {{{name}}}", 1)
    with pytest.raises(VluresError, match="unknown placeholder"):
        read_pack(content.encode(), "English.toml", LANGUAGES["En"])
