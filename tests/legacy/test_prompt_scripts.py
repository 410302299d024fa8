"""The original scripts' prompts as packs. Two example scripts, one in each shape, say what they would ask."""

import json
import re
import runpy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.benchmarks.loading import questions_of
from tests.conftest import Command, make_dataset
from vlures.benchmarks.vlures.benchmark import load_prompts
from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.benchmarks.vlures.prompts import load_pack
from vlures.benchmarks.vlures.prompts.writing import write_toml
from vlures.benchmarks.vlures.settings import Setting, parse_cell
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.cli import call
from vlures.errors import VluresError
from vlures.legacy.prompts.dictionaries import CONFIGS, EXAMPLES, PARTS
from vlures.legacy.prompts.importing import import_script
from vlures.legacy.prompts.usage import FIELDS, ROLES
from vlures.runs.config import load_config

SCRIPTS = Path(__file__).parent / "prompt_scripts"
ARTICLE = 'First line {task} {{x}} "quoted"\n\\ 100 % {text_content}\nLast line.'


@pytest.fixture
def vlures_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """The command in this process and in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = call([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def write_script(folder: Path, head: str = "", tail: str = "", **parts: str) -> Path:
    """A script for English alone, each part as Python writes it. head and tail go before and after its dictionaries."""
    parts = {
        "examples": repr({n: {"question": f"Question {n}", "example_response": f"Response {n}"} for n in TASKS}),
        "system": "'You see.'",
        "image_only": "'Example: {one_shot_example} Task: {task_description}'",
        "image_text": "'Example: {one_shot_example} Text: {text_content} Task: {task_description}'",
        "tasks": repr({n: f"Wording {n}" for n in TASKS}),
        "more": "",
        **parts,
    }
    path = folder / "script.py"
    path.write_text(
        f"""{head}
EXAMPLES = {parts["examples"]}
LANGUAGE_CONFIGS = {{
    "English": {{
        "code": "En",
        "system_prompt": {parts["system"]},
        "prompt_template_image_only": {parts["image_only"]},
        "prompt_template_image_text": {parts["image_text"]},
        "tasks": {parts["tasks"]},
        {parts["more"]}
    }},
}}
{tail}
""",
        encoding="utf-8",
    )
    return path


def asked(folder: Path, language: str, setting: Setting | None = None, **options: object) -> dict[int, tuple[str, str]]:
    """What a run with the packs of a folder asks in each task it has: the system prompt and the user's turn."""
    setting = setting or Setting()
    options = {"languages": language, "shots": setting.shots, "rationales": setting.rationales, **options}
    prompts = load_prompts(questions_of({"prompts": str(folder), **options}))
    return {parse_cell(cell)[1]: ((prompt := made.fill(ARTICLE)).system, prompt.user) for cell, made in prompts.items()}


@pytest.mark.parametrize("name", ["in_batches", "many_at_a_time"])
def test_what_is_asked_with_the_packs_is_letter_by_letter_what_the_script_asks(
    vlures_here: Callable[..., Any], name: str
) -> None:
    script = SCRIPTS / f"{name}.py"
    code, out, err = vlures_here("prompts", "import", script, "--out", "packs")
    assert (code, "error" in err) == (0, False), err
    assert "The prompts are the script's, letter by letter" in out
    script_ask = runpy.run_path(str(script))["ask"]

    def ask(*question: object) -> tuple[str, str]:
        match json.loads(script_ask(*question)):
            case {"messages": [{"content": system}, {"content": [{"text": prompt}, *_]}]}:
                return system, prompt
            case {"system_instruction": system, "contents": [prompt, _]}:
                return system, prompt
        raise AssertionError(question)

    for language in LANGUAGES.values():
        expected = {task: ask(language.name, task, ARTICLE) for task in TASKS}
        assert asked(Path("packs"), language.code) == expected
        text = Path("packs", f"{language.name}.toml").read_text(encoding="utf-8")
        assert ask(language.name, 1, "")[0].strip() in text  # Urdu and Japanese stay legible in the file
    code, out, err = vlures_here("prompts", "check", "packs")
    assert (code, out.count("1-8"), out.count("1shot_rationales"), out.count("rtl")) == (0, 4, 4, 1)
    code, out, err = vlures_here("prompts", "import", script, "--out", "packs")
    assert code == 1
    assert "packs has packs already (English.toml, Japanese.toml, Swahili.toml, Urdu.toml)" in err
    assert "--force" in err
    code, out, err = vlures_here("prompts", "import", script, "--out", "packs", "--force")
    assert (code, out.count("(replaced)")) == (0, 4)


LITERALS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TEXTS = LITERALS.filter(lambda text: bool(text.strip()))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pieces=st.lists(LITERALS, min_size=7, max_size=7), texts=st.lists(TEXTS, min_size=3, max_size=3))
def test_any_template_and_any_text_come_along_letter_by_letter(
    tmp_path: Path, pieces: list[str], texts: list[str]
) -> None:
    literals = [piece.replace("{", "{{").replace("}", "}}") for piece in pieces]
    a, b, c, d, e, f, g = literals
    only = f"{a}{{task_description}}{b}{{one_shot_example}}{c}"
    both = f"{d}{{one_shot_example}}{e}{{text_content}}{f}{{task_description}}{g}"
    system, wording, response = texts
    script = write_script(
        tmp_path,
        system=repr(system),
        image_only=repr(only),
        image_text=repr(both),
        tasks=repr(dict.fromkeys(TASKS, wording)),
        examples=repr({n: {"question": "?", "example_response": response} for n in TASKS}),
    )
    imported = import_script(script)
    assert imported.is_whole
    (tmp_path / "English.toml").write_bytes(imported.packs[0].text.encode())
    values = {"one_shot_example": response, "task_description": wording}
    of_image = (system, only.format(**values))
    of_both = (system, both.format(**values, text_content=ARTICLE))
    assert asked(tmp_path, "En") == {n: of_both if task.needs_text else of_image for n, task in TASKS.items()}


@given(LITERALS | st.text('ab "\\\n\r\t\x00\x7f\u200f\u2028é界', max_size=12))
def test_any_text_is_kept_by_the_file_of_a_pack(text: str) -> None:
    assert tomllib.loads(write_toml({"system": text, "tasks": {"1": text}}, ["a\nremark"])) == {
        "system": text,
        "tasks": {"1": text},
    }


def test_a_blank_at_the_end_of_a_line_is_not_left_to_the_editor() -> None:
    assert all(line == line.rstrip() for line in write_toml({"a": "x  \ny\t\n z "}).splitlines())


UNFIT: dict[str, tuple[dict[str, str], str]] = {
    "an f-string": (
        {"system": "f'You see {1 + 1}.'"},
        r"script\.py:6: LANGUAGE_CONFIGS\['English'\]\['system_prompt'\] is computed",
    ),
    "an f-string of names": ({"head": "S = 'x'", "system": "f'{S}'"}, r"script\.py:6: .*is computed when"),
    "a computed value": (
        {"system": "' '.join(str(n) for n in range(3))"},
        r"script\.py:6: .*is computed when the script runs",
    ),
    "a call": (
        {"tasks": "load_tasks()"},
        r"script\.py:9: LANGUAGE_CONFIGS\['English'\]\['tasks'\] is computed when the script runs",
    ),
    "a name of nothing": ({"system": "SYSTEM"}, r"script\.py:6: .*is not certain: the script does not set SYSTEM"),
    "a name that is set twice": (
        {"head": "S = 'a'\nS = 'b'", "system": "S"},
        r"script\.py:2: .*is not certain: this line sets or changes S again",
    ),
    "a name set under a condition": (
        {"head": "if 1:\n    S = 'a'", "system": "S"},
        r"script\.py:2: .*is not certain: S is not set by a plain `S = …` at the top level",
    ),
    "a text that a method makes": (
        {"system": "' You see. '.strip()"},
        r"script\.py:6: .*is computed when the script runs",
    ),
    "texts that are joined": ({"system": "''.join(['You ', 'see.'])"}, r"script\.py:6: .*is computed when"),
    "a text that a function cleans": (
        {"head": "from textwrap import dedent", "system": "dedent(' You see.')"},
        r"script\.py:6: .*is computed when the script runs",
    ),
    "a text looked up elsewhere": (
        {"head": "PARTS = {'system': 'You see.'}", "system": "PARTS['system']"},
        r"script\.py:6: .*is computed when the script runs",
    ),
    "a dictionary of keywords": (
        {"tasks": f"dict({', '.join(f'task{n}={n!r}' for n in TASKS)})"},
        r"script\.py:9: .*\['tasks'\] is computed when the script runs",
    ),
    "a dictionary with another one in it": (
        {"head": "OTHERS = {8: 'x'}", "tasks": "{1: 'One', **OTHERS}"},
        r"script\.py:9: .*\['tasks'\] has `\*\*` or a key that is computed",
    ),
    "a key that is computed": (
        {"tasks": "{1: 'One', len('x'): 'Another'}"},
        r"script\.py:9: .*\['tasks'\] has `\*\*` or a key that is computed",
    ),
    "a name set in a function too": (
        {"head": "S = 'You see.'\ndef f():\n    global S\n    S = 'You look.'", "system": "S"},
        r"script\.py:3: .*is not certain: this line sets or changes S again",
    ),
    "a name deleted": (
        {"head": "S = 'You see.'\ndel S", "system": "S"},
        r"script\.py:2: .*is not certain: this line sets or changes S again",
    ),
    "a name set by a walrus": (
        {"head": "print(S := 'You see.')", "system": "S"},
        r"script\.py:1: .*is not certain: S is not set by a plain `S = …` at the top level",
    ),
    "a name that grows": (
        {"head": "S = 'You '\nS += 'see.'", "system": "S"},
        r"script\.py:2: .*is not certain: this line sets or changes S again",
    ),
    "bytes": ({"system": "b'You see.'"}, r"script\.py:6: .*is of type bytes, not a text"),
    "an f-string with a form": ({"head": "S = 'x'", "system": "f'{S!r}'"}, r"script\.py:6: .*is computed when"),
    "a name that means itself": (
        {"head": "S = S + 'a'", "system": "S"},
        r"script\.py:1: .*is not certain: S is set only below",
    ),
    "a text that doubles and doubles": (
        {
            "head": f"S0 = '{'ha' * 2500}'\n" + "".join(f"S{n} = S{n - 1} + S{n - 1}\n" for n in range(1, 12)),
            "system": "S11",
        },
        r"script\.py:[0-9]+: .*has more than 1,000,000 characters",
    ),
    "a number": ({"system": "7"}, r"script\.py:6: .*is of type int, not a text"),
    "an empty text": ({"system": "' '"}, r"script\.py:6: .*is not a text with something in it"),
    "half a character": ({"system": r"'\ud83e'"}, r"script\.py:6: .*half of a character"),
    "a task that is missing": ({"tasks": "{1: 'One'}"}, r"script\.py:4: English: `tasks\.2`, .*, `tasks\.8`: missing"),
    "an example that is missing": (
        {"examples": "{1: {'example_response': 'One'}}"},
        r"script\.py:4: English: `examples\.2\.answer`, .*, `examples\.8\.answer`: missing",
    ),
    "an example without its response": (
        {"examples": repr({n: {"question": "?", **({"example_response": "!"} if n != 4 else {})} for n in TASKS})},
        r"script\.py:2: English: the example of task 4 has no 'example_response'",
    ),
    "an example in two words": (
        {
            "examples": repr({n: {"response": "?", "answer": "!"} for n in TASKS}),
            "tail": "def f(t, n):\n    a = EXAMPLES[n]['response']\n    t.format(one_shot_example=a)\n"
            "    t.format(one_shot_example=EXAMPLES[n]['answer'])",
        },
        r"script\.py:2: English: the example of task 1 is filled in by its 'answer' and its 'response'",
    ),
    "a template that str.format refuses": (
        {"image_only": "'{one_shot_example} } {task_description}'"},
        r"script\.py:7: English: the template image_only has braces that str\.format rejects",
    ),
    "a placeholder that nobody knows": (
        {"image_only": "'{one_shot_example} {mood} {task_description}'"},
        r"has the unknown placeholder \{mood\} \(known",
    ),
    "a placeholder without a name": ({"image_only": "'{} {task_description}'"}, r"has the unknown placeholder \{\} "),
    "a placeholder with a format": (
        {"image_only": "'{one_shot_example} {task_description:>9}'"},
        r"has the unknown placeholder \{task_description:>9\}",
    ),
    "a placeholder twice": (
        {"image_only": "'{one_shot_example} {task_description} {task_description}'"},
        r"script\.py:7: .*the placeholder \{task\} occurs 2 times; it must occur once",
    ),
    "a template without the text": (
        {"image_text": "'{one_shot_example} {task_description}'"},
        r"script\.py:8: .*the placeholder \{article\} is missing",
    ),
    "an example that is a text": (
        {"examples": repr(dict.fromkeys(TASKS, "Response"))},
        r"script\.py:2: EXAMPLES\[1\] is not a dictionary; left out until you write it out",
    ),
    "two dictionaries of examples": (
        {"more": "'examples': {1: {'example_response': 'Another'}},"},
        r"script\.py:10: .*\['examples'\] stands beside EXAMPLES: which of them is shown is not certain",
    ),
    "an example that would hold the article": (
        {
            "tail": "def f(t):\n    print(t.format(text_content='{text_content}'))",
            "examples": repr({key: {"example_response": "So it says: {text_content}"} for key in TASKS}),
        },
        r"script\.py:2: English: braces in this text are read again",
    ),
}


@pytest.mark.parametrize(("parts", "reason"), UNFIT.values(), ids=UNFIT)
def test_what_cannot_come_along_is_named_with_its_line_and_the_rest_comes(
    vlures_here: Callable[..., Any], tmp_path: Path, parts: dict[str, str], reason: str
) -> None:
    code, out, err = vlures_here("prompts", "import", write_script(tmp_path, **parts), "--out", "packs")
    assert code == 1
    assert re.search(reason, err), err
    assert "letter by letter" not in out
    content = tomllib.loads(Path("packs/English.toml").read_text(encoding="utf-8"))
    if "tasks" not in parts:
        assert content["tasks"]["3"] == "Wording 3"
    if "examples" not in parts:
        assert content["examples"]["3"]["answer"] == "Response 3"
    if "system" not in parts:
        assert content["system"] == "You see."


CHANGED = {
    "a loop": ("for config in LANGUAGE_CONFIGS.values():\n    config['tasks'].update({8: 'x'})", 13),
    "an update in a function": ("def f():\n    EXAMPLES.update({8: 'x'})", 14),
    "a key that is computed": ("EXAMPLES[len('x')] = 'y'", 13),
    "a line below": ("LANGUAGE_CONFIGS['English']['tasks'][8] = 'Another'", 13),
    "a whole part": ("LANGUAGE_CONFIGS['English']['tasks'] = {8: 'Another'}", 13),
    "more to a text": ("LANGUAGE_CONFIGS['English']['tasks'][8] += ' Be brief.'", 13),
    "a deletion": ("del EXAMPLES[8]", 13),
    "another name": ("chosen = LANGUAGE_CONFIGS['English']\nchosen['system_prompt'] = 'You look.'", 14),
    "another name for part of it": (
        "def f():\n    for language in LANGUAGE_CONFIGS:\n        one = LANGUAGE_CONFIGS[language]\n"
        "        its = one.get('tasks')\n        its[8] += ' Be brief.'",
        17,
    ),
    "what a function returns": (
        "def choose(language):\n    return LANGUAGE_CONFIGS[language]\n"
        "config = choose('English')\nconfig |= {'system_prompt': 'x'}",
        14,
    ),
    "what a function is given": ("def f(given):\n    given['system_prompt'] += ' Be brief.'", 14),
    "what a function is given, by any key": (
        "def f(given):\n    for key in given:\n        given[key] = 'x'\nf(LANGUAGE_CONFIGS['English'])",
        14,
    ),
    "what a method is given": (
        "class Fix:\n    def run(self, given):\n        given.clear()\nFix().run(given=LANGUAGE_CONFIGS['English'])",
        16,
    ),
    "what an object keeps": (
        "class A:\n    def __init__(self):\n        self.config = LANGUAGE_CONFIGS['English']\n"
        "    def f(self, key):\n        self.config[key] = 'x'",
        15,
    ),
    "a shallow copy": ("config = dict(LANGUAGE_CONFIGS['English'])\nconfig.update(code='x')", 13),
    "a lambda": ("list(map(lambda given: given.clear(), LANGUAGE_CONFIGS.values()))", 13),
    "an operator": ("import operator\noperator.setitem(EXAMPLES, 8, 'x')", 14),
    "a comprehension": ("[config.pop('tasks') for config in LANGUAGE_CONFIGS.values()]", 13),
    "the variables": ("vars()['EXAMPLES'] = {}", 13),
    "another module": ("import patches\npatches.apply(LANGUAGE_CONFIGS)", 14),
    "a prompt that is stripped afterwards": ("def f(t, x):\n    return t.format(task_description=x).strip()", 14),
    "a prompt with an end put to it": ("def f(t, x):\n    return t.format(task_description=x) + ' Be brief.'", 14),
    "a prompt in an f-string": (
        "def f(t, x):\n    p = t.format(task_description=x)\n    return f'{p} Be brief.'",
        15,
    ),
    "a prompt that grows by and by": (
        "def f(t, x):\n    p = t.format(task_description=x)\n    p += ' Be brief.'\n    return p",
        15,
    ),
    "a prompt that is cut elsewhere": (
        "def f(t, x):\n    return t.format(task_description=x)\ndef g(t):\n    p = f(t, EXAMPLES[1])\n    p = p[:99]",
        14,
    ),
    "a prompt that a function cleans": (
        "def f(t, x):\n    p = t.format(task_description=x)\n    p = clean(p)\n    return p",
        15,
    ),
    "a prompt that is joined": ("def f(t, x):\n    return ' '.join([t.format(task_description=x), 'Be brief.'])", 14),
    "a part of a prompt with another": (
        "def f():\n    return {**LANGUAGE_CONFIGS['English'], 'system_prompt': 'x'}",
        14,
    ),
    "a system prompt with an end put to it": (
        "def f(language):\n    return LANGUAGE_CONFIGS[language]['system_prompt'] + ' Be brief.'",
        14,
    ),
    "an article that is cut": ("def f(t, x):\n    return t.format(text_content=x[:500])", 14),
    "an article that is cut first": (
        "def f(t, p):\n    text = open(p).read()\n    text = text[:3000]\n    return t.format(text_content=text)",
        16,
    ),
    "an example that is put together": (
        "def f(t, e):\n    return t.format(one_shot_example=e['question'] + e['example_response'])",
        14,
    ),
    "an example that is filled in later": ("def f(t):\n    return t.format(one_shot_example='{one_shot_example}')", 14),
    "a template from elsewhere": ("T = '{task}'\ndef f():\n    return T.format(task=EXAMPLES[1])", 15),
    "a task from elsewhere": ("T = {1: 'x'}\ndef f(t):\n    return t.format(task_description=T[1])", 15),
    "a task that the caller makes up": (
        "def f(t, task):\n    print(t.format(task_description=task))\nf('{task_description}', EXAMPLES[1])\n"
        "f('{task_description}', 'Sing.')",
        16,
    ),
    "an article that the caller cuts": (
        "def f(t, text):\n    print(t.format(text_content=text))\ndef g(t, text):\n    f(t, text[:500])",
        14,
    ),
    "a filling with whatever": ("def f(t, x):\n    return t.format(**x)", 14),
    "a filling by replace": ("def f(t, x):\n    return t.replace('{text_content}', x)", 14),
    "a filling in two ways": (
        "def f(t, x, y):\n    t.format(text_content='{text_content}')\n    return t.format(task=x, text_content=y)",
        15,
    ),
    "an entry that a class keeps": ("class A:\n    entry = EXAMPLES[8]\nA.entry.clear()", 14),
    "a function in a list": ("def f():\n    return EXAMPLES[8]\nfor g in [f]:\n    g().clear()", 14),
    "a function for another module": ("def f():\n    return EXAMPLES[8]\npatches.apply(f)", 14),
    "a prompt that is appended": (
        "def f(t, x):\n    p = []\n    p.append(t.format(task_description=x))\n    p[0] = p[0][:99]",
        15,
    ),
    "a list of both": ("for table in [LANGUAGE_CONFIGS, EXAMPLES]:\n    table.clear()", 13),
    "an attribute": ("import __main__ as here\nhere.EXAMPLES = {}", 14),
    "what an attribute names": ("import __main__ as here\nhere.EXAMPLES.clear()", 14),
    "an import of itself": ("from __main__ import EXAMPLES as shown\nshown.clear()", 13),
    "a name in a text": ("import __main__\ngetattr(__main__, 'EXAMPLES').clear()", 14),
    "eval": ("eval('EXAMPLES.clear()')", 13),
    "a list of entries": ("entries = [LANGUAGE_CONFIGS['English']]\nentries[0].clear()", 13),
    "a list of entries that grows": ("entries = []\nentries.append(EXAMPLES[8])\nentries[0].clear()", 14),
    "a list of entries in a loop": ("for entry in [EXAMPLES[7], EXAMPLES[8]]:\n    entry['question'] = 'x'", 13),
    "a dictionary of entries": ("by_code = {'En': LANGUAGE_CONFIGS['English']}\nby_code['En'].pop('tasks')", 13),
    "a key of a dictionary": ("kept = {}\nkept['En'] = LANGUAGE_CONFIGS['English']\nkept['En'].popitem()", 14),
    "entries that are unpacked": ("seven, eight = EXAMPLES[7], EXAMPLES[8]\neight.clear()", 13),
    "entries side by side": ("for n, entry in zip(range(4), LANGUAGE_CONFIGS.values()):\n    entry.clear()", 13),
    "entries with their keys": ("for n, example in EXAMPLES.items():\n    example['example_response'] += '.'", 13),
    "entries in a comprehension": ("entries = [EXAMPLES[n] for n in EXAMPLES]\nentries[7].clear()", 13),
    "an entry of a lambda": ("pick = lambda n: EXAMPLES[n]\npick(8).clear()", 13),
    "an entry of a generator": ("def f():\n    yield EXAMPLES[8]\nnext(f()).clear()", 14),
    "an entry as a default": ("def f(example=EXAMPLES[8]):\n    example.clear()", 13),
    "an entry in a with": ("with opened(EXAMPLES[8]) as example:\n    example.clear()", 13),
    "an entry in a match": ("match EXAMPLES[8]:\n    case example:\n        example.clear()", 13),
    "entries in a tuple of arguments": (
        "def f(n, entry):\n    entry.clear()\ngiven = (EXAMPLES[8],)\nf(1, *given)",
        14,
    ),
    "arguments for another module": ("from patches import patch\ngiven = (EXAMPLES[8],)\npatch(*given)", 14),
    "a function by another name": ("def f(entry):\n    entry.clear()\ng = f\ng(EXAMPLES[8])", 14),
    "a function with a decorator": ("@patched\ndef f(entry):\n    return len(entry)\nf(EXAMPLES[8])", 16),
    "a function with any arguments": ("def f(*entries):\n    entries[0].clear()\nf(EXAMPLES[8])", 15),
    "a function that is set again": ("def f(entry):\n    return len(entry)\nfrom patches import f\nf(EXAMPLES[8])", 16),
    "a part for another module": ("import patches\npatches.apply(LANGUAGE_CONFIGS['English'])", 14),
    "a function that is mapped": ("list(map(patch, LANGUAGE_CONFIGS.values()))", 13),
    "a method of dict": ("dict.update(LANGUAGE_CONFIGS['English'], code='x')", 13),
    "a method by its name": ("getattr(EXAMPLES[8], 'clear')()", 13),
    "a method kept for later": ("change = EXAMPLES[8].update\nchange(question='x')", 13),
    "a name of its own with a star": ("first, *others = [LANGUAGE_CONFIGS['English']]\nfirst.clear()", 13),
    "a prompt in a list": ("def f(t, x):\n    p = [t.format(task_description=x)]\n    p[0] += ' Be brief.'", 15),
    "a request": (
        "def f(t, x):\n    p = {'content': t.format(task_description=x)}\n    p['content'] = p['content'][:99]",
        15,
    ),
    "a prompt that another module cleans": (
        "from patches import clean\ndef f(t, x):\n    return clean(t.format(task_description=x))",
        15,
    ),
    "an article that grows": ("def f(t, text):\n    text += ' End.'\n    return t.format(text_content=text)", 15),
    "globals": ("globals()['EXAMPLES'] = {}", 13),
    "exec": ("exec('EXAMPLES = {}')", 13),
    "a star": ("from mine import *", 13),
}


@pytest.mark.parametrize(("tail", "line"), CHANGED.values(), ids=CHANGED)
def test_a_script_that_may_change_its_prompts_is_refused_with_the_line_and_nothing_is_written(
    vlures_here: Callable[..., Any], tmp_path: Path, tail: str, line: int
) -> None:
    code, out, err = vlures_here("prompts", "import", write_script(tmp_path, tail=tail), "--out", "packs", "--fill")
    assert (code, out, err.count("\n"), Path("packs").exists()) == (1, "", 1, False), err
    assert re.search(rf"script\.py:{line}: the script (has|changes|sets|fills) .*Nothing was written\.", err), err


@pytest.mark.parametrize(
    ("tail", "line"),
    [
        ("LANGUAGE_CONFIGS = {}", 13),
        ("if input():\n    LANGUAGE_CONFIGS = {}", 14),
        ("def f(LANGUAGE_CONFIGS):\n    pass", 13),
        ("class Prompts:\n    LANGUAGE_CONFIGS = {}", 14),
        ("from mine import prompts as LANGUAGE_CONFIGS", 13),
        ("LANGUAGE_CONFIGS |= {'Urdu': {}}", 13),
        ("del LANGUAGE_CONFIGS", 13),
        ("match input():\n    case LANGUAGE_CONFIGS:\n        pass", 14),
    ],
)
def test_a_dictionary_that_is_set_twice_is_not_taken(
    vlures_here: Callable[..., Any], tmp_path: Path, tail: str, line: int
) -> None:
    code, out, err = vlures_here("prompts", "import", write_script(tmp_path, tail=tail), "--out", "packs")
    assert (code, out, err.count("\n"), Path("packs").exists()) == (1, "", 1, False), err
    assert f"script.py:{line}: LANGUAGE_CONFIGS is not certain: this line sets or changes LANGUAGE_CONFIGS again" in err


@pytest.mark.parametrize(
    ("tail", "line"),
    [
        ("for n in WORDINGS:\n    WORDINGS[n] += ' Be brief.'", 14),
        ("for n, wording in WORDINGS.items():\n    WORDINGS[n] = wording.strip()", 13),
        ("WORDINGS.update({8: 'Another'})", 13),
        ("WORDINGS.setdefault(9, 'Another')", 13),
        ("WORDINGS.pop(8)", 13),
        ("WORDINGS.append('Another')", 13),
        ("WORDINGS[8] = 'Another'", 13),
        ("WORDINGS[8] += ' Be brief.'", 13),
        ("WORDINGS[8], rest = 'Another', 1", 13),
        ("for WORDINGS[8] in ['Another']:\n    pass", 13),
        ("del WORDINGS[8]", 13),
        ("WORDINGS |= {8: 'Another'}", 13),
        ("def change():\n    global WORDINGS\n    WORDINGS = {}\nchange()", 14),
        ("if input():\n    WORDINGS = {}", 14),
        ("try:\n    from mine import WORDINGS\nexcept ImportError:\n    pass", 14),
        ("WORDINGS = {n: f'{n}.' for n in WORDINGS}", 13),
        ("[WORDINGS.pop(n) for n in (7, 8)]", 13),
        ("for WORDINGS in [{}]:\n    pass", 13),
        ("with opened() as WORDINGS:\n    pass", 13),
        ("others = WORDINGS\nothers[8] = 'Another'", 14),
        ("(others := WORDINGS).clear()", 13),
        ("WORDINGS.__setitem__(8, 'Another')", 13),
    ],
)
def test_a_part_that_is_changed_after_its_definition_is_named_with_the_line(
    vlures_here: Callable[..., Any], tmp_path: Path, tail: str, line: int
) -> None:
    head = f"WORDINGS = { ({n: f'Wording {n}' for n in TASKS}) }"
    code, out, err = vlures_here(
        "prompts", "import", write_script(tmp_path, head, tail, tasks="WORDINGS"), "--out", "packs"
    )
    assert (code, "letter by letter" in out) == (1, False), err
    assert f"script.py:{line}: " in err
    for pack in Path().glob("packs/*"):
        assert "tasks" not in tomllib.loads(pack.read_text(encoding="utf-8"))


def test_what_leaves_the_prompts_alone_is_no_change(tmp_path: Path) -> None:
    tail = """
chosen = LANGUAGE_CONFIGS["English"]
def ask(template, path, n):
    text = ""
    if n >= 6:
        text = open(path).read()
    prompt = template.format(task_description=chosen["tasks"][n], text_content=text)
    print(f"{n}: {prompt[:80]}" + prompt)
    logger.info("asked " + prompt)
    client.chat.completions.create(messages=[{"role": "user", "content": [{"text": prompt}]}])
def keep(answers, results):
    kept = {}
    for language in LANGUAGE_CONFIGS:
        kept[language] = answers[language]
        answers[language]["code"] = LANGUAGE_CONFIGS[language]["code"]
        results.update({f"{language}.json": kept})
    return kept
def process_batch(client, messages, retry_count=0):
    try:
        return client.chat.completions.create(messages=messages).choices[0].message.content
    except Exception:
        return process_batch(client, messages, retry_count + 1)
async def main(args):
    config = LANGUAGE_CONFIGS.get(args.language)
    if not config or args.language not in LANGUAGE_CONFIGS:
        return
    task = config["tasks"].get(args.task)
    example = EXAMPLES[args.task]["example_response"]
    folder = os.path.join(args.folder, config["code"])
    prompt = config["prompt_template_image_only"].format(task_description=task, one_shot_example=example)
    content = [{"type": "text", "text": prompt}]
    content.append({"type": "image_url"})
    model = genai.GenerativeModel("a-model", system_instruction=LANGUAGE_CONFIGS[args.language]["system_prompt"])
    response = await asyncio.to_thread(model.generate_content, [prompt, "image"])
    messages = [{"role": "system", "content": config["system_prompt"]}, {"role": "user", "content": content}]
    answer = process_batch(client, messages)
    if len(content) == 1:
        return
parser.add_argument("--language", choices=LANGUAGE_CONFIGS.keys())
"""
    imported = import_script(write_script(tmp_path, tail=tail))
    assert imported.is_whole, imported.findings


def test_prompts_that_are_handed_on_in_a_tuple_are_no_change(tmp_path: Path) -> None:
    tail = """
def of_image(paths, config, prompt, model):
    lines = []
    for path in paths:
        lines.append(json.dumps({"model": model, "system": config["system_prompt"], "prompt": prompt}))
    return lines
def of_pair(pairs, config, prompt_template, model):
    lines = []
    for path in pairs:
        request = {"model": model, "prompt": prompt_template.format(text_content=read(path))}
        lines.append(json.dumps(request))
    return lines
def in_batches(language, n, items, model):
    config = LANGUAGE_CONFIGS[language]
    task = config["tasks"][n]
    if n >= 6:
        template = config["prompt_template_image_text"]
        shown = EXAMPLES[n]["example_response"]
        ready = template.format(task_description=task, text_content="{text_content}", one_shot_example=shown)
        make = of_pair
        given = (config, ready, model)
    else:
        template = config["prompt_template_image_only"]
        make = of_image
        given = (config, template.format(task_description=task), model)
    return make(items, *given)
"""
    imported = import_script(write_script(tmp_path, tail=tail))
    assert imported.is_whole, imported.findings


def test_a_pack_with_gaps_says_what_it_has_and_is_refused_for_what_it_lacks(
    vlures_here: Callable[..., Any], tmp_path: Path
) -> None:
    wordings = "{1: 'One', 2: f'{__name__}', 6: 'Six'}"
    script = write_script(tmp_path, tasks=wordings)
    code, out, err = vlures_here("prompts", "import", script, "--out", "packs")
    assert code == 1
    assert "packs/English.toml: tasks 1, 6; 1shot_rationales; example parts: answer" in out
    assert re.search(
        r"script\.py:9: LANGUAGE_CONFIGS\['English'\]\['tasks'\]\[2\] is computed when the script runs",
        err,
    )
    assert "`tasks.2`, `tasks.3`, `tasks.4`, `tasks.5`, `tasks.7`, `tasks.8`: missing" in err
    for language in ("Japanese", "Swahili", "Urdu"):
        assert f"has no {language}; a run uses the package's own." in err
    assert asked(Path("packs"), "En", tasks="1,6")[1][1] == "Example: Response 1 Task: One"
    refused = {
        ("--tasks", "1-3"): "packs/English.toml has no task 2, only 1, 6; choose with --tasks",
        ("--tasks", "1", "--shots", "0"): "has no prompts for 0shot_rationales, only for 1shot_rationales",
        (
            "--tasks",
            "1",
            "--example-language",
            "Sw",
        ): "show answer of an example, but those of vlures/benchmarks/vlures/prompts/Swahili.toml have question",
    }
    make_dataset(Path("data"), samples=1)
    for arguments, reason in refused.items():
        code, out, err = vlures_here(
            "prompt", "--dataset", "data", "--languages", "En", "--prompts", "packs", *arguments
        )
        assert (code, reason in err) == (1, True), err

    code, out, err = vlures_here("prompts", "import", script, "--out", "filled", "--fill")
    assert (code, "letter by letter" in out) == (0, False)
    assert "`tasks.2`, `tasks.3`, `tasks.4`, `tasks.5`, `tasks.7`, `tasks.8`: the package's own" in err
    assert tomllib.loads(Path("filled/English.toml").read_text())["tasks"]["2"] == load_pack(LANGUAGES["En"]).tasks[2]
    assert len(asked(Path("filled"), "En")) == 8


def test_a_missing_system_prompt_is_asked_for_and_never_replaced_in_silence(
    vlures_here: Callable[..., Any], tmp_path: Path
) -> None:
    vlures_here("prompts", "import", write_script(tmp_path, system="make()"), "--out", "packs")
    code, out, _ = vlures_here("prompts", "check", "packs")
    assert (code, "packs/English.toml: the key `system` is missing" in out) == (1, True)
    with pytest.raises(VluresError, match="`system` is missing"):
        load_pack(LANGUAGES["En"], Path("packs"))
    path = Path("packs/English.toml")
    path.write_text(path.read_text().replace("[has]", 'system = "Look."\n[has]', 1))
    assert asked(Path("packs"), "En")[1][0] == "Look."


BROKEN = {
    "a syntax error": (
        "EXAMPLES = {\n1: 'x'\n2: 'y'}",
        r"broken\.py:[23]: this is not valid Python \(.*\); correct it\. Nothing was written",
    ),
    "a text that does not end": ("\n\nA = 'x", r"broken\.py:3: this is not valid Python"),
    "another encoding": (b"A = '\xff'", r"broken\.py.*is not (valid )?Python"),
    "a nul": (b"A = 1\x00", "is not (valid )?Python"),
    "no dictionaries": (
        "PROMPT_TEXTS = {}\nx = 1",
        r"has no LANGUAGE_CONFIGS \(its names in capitals: PROMPT_TEXTS\)",
    ),
    "a dictionary that is made": (
        "LANGUAGE_CONFIGS = make()",
        r"broken\.py:1: LANGUAGE_CONFIGS is computed when the script runs; write it out",
    ),
    "no language of ours": (
        "LANGUAGE_CONFIGS = {'French': {'system_prompt': 'x'}}",
        "spells out the prompts of no language",
    ),
}


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_script_that_says_nothing_leaves_nothing(
    vlures_here: Callable[..., Any], tmp_path: Path, content: str | bytes, reason: str
) -> None:
    (tmp_path / "broken.py").write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = vlures_here("prompts", "import", "broken.py", "--out", "packs")
    assert (code, out) == (1, "")
    assert re.search(reason, err), err
    assert err.count("\n") == 1
    assert not Path("packs").exists()


def test_nothing_of_a_script_is_run(vlures_here: Callable[..., Any], tmp_path: Path) -> None:
    head = "import openai_of_another_time\nopen('touched', 'w').close()\nraise SystemExit(9)"
    script = write_script(tmp_path, head=head, more="'note': open('touched', 'w'),")
    code, _, err = vlures_here("prompts", "import", script, "--out", "packs")
    assert (code, Path("touched").exists()) == (0, False)
    assert re.search(r"note: .*script\.py:12: .*\['note'\] is not a known part of a prompt; left out", err)


ENTRY = (
    "LANGUAGE_CONFIGS = {'English': {'system_prompt': 'You see.', 'prompt_template_image_only': "
    "'T: {task_description} E: {one_shot_example}', 'prompt_template_image_text': "
    "'T: {task_description} E: {one_shot_example} A: {text_content}', 'tasks': "
    + repr({n: f"Wording {n}" for n in TASKS})
    + "}}\n"
)
OTHER_WORDS = {
    "another name of the dictionary": (
        ENTRY.replace("LANGUAGE", "LANG"),
        ["mine.py has no LANGUAGE_CONFIGS (its names in capitals: LANG_CONFIGS); name the script"],
    ),
    "another name of a part": (
        ENTRY.replace("system_prompt", "system") + "EXAMPLES = {}",
        ["mine.py:1: LANGUAGE_CONFIGS['English']['system'] is not a known part", "mine.py:1: English: `system`, "],
    ),
    "another name of a placeholder": (
        ENTRY.replace("{text_content}", "{article}"),
        ["mine.py:1: English: the template image_text has the unknown placeholder {article} (known: task_description"],
    ),
    "a template for every task": (
        ENTRY.replace("'prompt_template_image_only': '", "'prompt_templates': {1: 'x'}, 'other': '"),
        ["mine.py:1: LANGUAGE_CONFIGS['English']['prompt_templates'] is not a known part", "`image_only`, "],
    ),
    "tasks by name": (
        ENTRY.replace("1: 'Wording 1'", "'OR': 'Wording 1'"),
        ["mine.py:1: LANGUAGE_CONFIGS['English']['tasks']['OR'] is not one of the tasks 1 to 8", "`tasks.1`, "],
    ),
    "examples by language, then by task": (
        ENTRY + "EXAMPLES = " + repr({"En": {n: {"example_response": "x"} for n in TASKS}}),
        ["mine.py:2: EXAMPLES['En'] is not one of the tasks 1 to 8", "`examples.1.answer`, "],
    ),
    "examples by task, then by language": (
        ENTRY + "EXAMPLES = " + repr({n: {"English": {"example_response": "x"}} for n in TASKS}),
        ["mine.py:2: English: the example of task 1 has no 'example_response'"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "reasons"), OTHER_WORDS.values(), ids=OTHER_WORDS)
def test_names_that_no_public_script_has_are_named_with_their_lines(
    vlures_here: Callable[..., Any], tmp_path: Path, content: str, reasons: list[str]
) -> None:
    (tmp_path / "mine.py").write_text(content, encoding="utf-8")
    code, out, err = vlures_here("prompts", "import", "mine.py", "--out", "packs")
    assert (code, "letter by letter" in out) == (1, False)
    assert [reason for reason in reasons if reason not in err] == [], err


def test_what_the_script_itself_puts_in_goes_before_what_a_name_suggests(tmp_path: Path) -> None:
    examples = repr({n: {"answer": "short", "response": "long", "question": "?"} for n in TASKS})
    filling = "def f(t, n):\n    example = EXAMPLES[n]\n    print(t.format(one_shot_example=example['response']))"
    imported = import_script(write_script(tmp_path, examples=examples, tail=filling))
    assert imported.is_whole
    (tmp_path / "English.toml").write_text(imported.packs[0].text)
    assert asked(tmp_path, "En")[1][1] == "Example: long Task: Wording 1"


def test_prompts_without_an_example_are_for_0_shots(vlures_here: Callable[..., Any], tmp_path: Path) -> None:
    script = write_script(
        tmp_path,
        image_only="'  {task_description}\\n   '",
        image_text="'{text_content}: {task_description}'",
        examples="{}",
    )
    code, _, err = vlures_here("prompts", "import", script, "--out", "packs")
    assert (code, "--setting 0shot_norationales" in err, Path("packs").exists()) == (2, True, False)
    code, _, err = vlures_here("prompts", "import", script, "--out", "packs", "--setting", "1shot_rationales")
    assert (code, "show no example, so they cannot be for 1shot_rationales" in err) == (2, True)
    code, _, err = vlures_here("prompts", "import", script, "--out", "packs", "--setting", "0shot_norationales")
    assert code == 0, err
    assert asked(Path("packs"), "En", Setting(0, False))[1] == ("You see.", "  Wording 1\n   ")
    with pytest.raises(VluresError, match="has no prompts for 1shot_rationales"):
        asked(Path("packs"), "En")


def test_folders_of_packs_are_checked_and_compared(vlures_here: Callable[..., Any], tmp_path: Path) -> None:
    script = SCRIPTS / "many_at_a_time.py"
    for folder in ("before", "after"):
        vlures_here("prompts", "import", script, "--out", folder)
    assert vlures_here("prompts", "diff", "before", "after") == (0, "The packs are the same.\n", "")
    urdu = Path("after/Urdu.toml")
    urdu.write_text(urdu.read_text().replace("منظر بیان کریں۔", "منظر بیان کریں۔\nتفصیل سے۔ "), encoding="utf-8")
    Path("after/Swahili.toml").unlink()
    code, out, _ = vlures_here("prompts", "diff", "before", "after")
    assert (code, "── Urdu: tasks.2\n" in out, "\n+تفصیل سے۔·\n" in out) == (0, True, True)
    assert "── Swahili: system (only in before)\n" in out
    assert "Japanese" not in out
    Path("after/urdu.toml").write_text("x = 1")
    Path("after/Japanese.toml").write_text("x = 1")
    code, out, _ = vlures_here("prompts", "check", "after")
    assert code == 1
    assert re.search(r"Swahili +missing: the package's own is used", out)
    assert "error: after/Japanese.toml: the key `language` is missing" in out
    assert "after/urdu.toml is not read: a pack has the name" in out
    assert vlures_here("prompts", "check", "own")[0] == 0
    code, out, _ = vlures_here("prompts", "diff", "own", "before")
    assert "── Japanese: image_only.0shot_rationales (only in own)" in out
    code, _, err = vlures_here("prompts", "diff", "own", "nowhere")
    assert (code, "nowhere does not exist" in err) == (1, True)


# The four axes: language of the texts, language of the prompt and answer, shots, rationales


def numbered(folder: Path, first: int) -> Path:
    """A dataset of two pictures and texts with IDs from `first`."""
    made = make_dataset(folder, samples=2)
    for number in (2, 1):
        (made / f"image{number}.png").rename(made / f"image{first + number}.png")
        (made / f"text{number}.txt").rename(made / f"text{first + number}.txt")
    return made


def test_one_dataset_for_all_languages_works_as_it_did_and_shares_no_folder_with_texts_in_another_language(
    vlures: Command,
) -> None:
    numbered(vlures.folder / "ImagesTextEn1K", 100)
    numbered(vlures.folder / "ImagesTextJp1K", 200)
    run = ("run", "--sandbox", "--backend", "gemini", "--tasks", "1,6", "--name", "axes")
    first = vlures(*run, "--dataset", "ImagesTextEn1K")
    assert first.code == 0, first
    assert "Jp over texts in English (ImagesTextEn1K), Sw over texts in English" in first.err
    before = vlures.answers("sandbox-axes")
    assert len(before) == 4 * 2 * 2
    folder = vlures.folder / "outputs/sandbox-axes/checkpoints_1shot_rationales"
    assert json.loads((folder / "run.json").read_text())["text_languages"] == dict.fromkeys(LANGUAGES, "En")

    other = vlures(*run, "--dataset", "ImagesTextJp1K", "--languages", "Jp")
    assert other.code == 1, other
    assert "holds answers in Japanese about texts in English, and ImagesTextJp1K has texts in Japanese" in other.err
    assert "--name, such as axes-texts-Jp" in other.err
    assert vlures("plan", *run[1:], "--dataset", "ImagesTextJp1K", "--languages", "Jp").err == other.err
    assert vlures.answers("sandbox-axes") == before

    by_choice = vlures(*run, "--dataset", "ImagesTextJp1K", "--languages", "Jp", "--text-language", "Jp=En")
    assert by_choice.code == 0, by_choice
    assert len(vlures.answers("sandbox-axes")) == len(before) + 4


def test_the_language_of_the_texts_is_chosen_apart_from_that_of_the_prompt(vlures_here: Callable[..., Any]) -> None:
    for code in ("En", "Jp"):
        folder = numbered(Path(f"data/Sample{code}"), 0)
        (folder / "text1.txt").write_text({"En": "A cup.", "Jp": "茶碗。"}[code], encoding="utf-8")
    ask = ("prompt", "--languages", "Jp", "--task", "6", "--sample", "1")
    own, english = load_pack(LANGUAGES["Jp"]), load_pack(LANGUAGES["En"])
    shown = {words: vlures_here(*ask, *words.split())[1] for words in (
        "", "--text-language En", "--text-language Jp=En --example-language English", "--dataset Jp=data/SampleEn",
        "--dataset data", "--dataset data --text-language En"
    )}  # fmt: skip
    for words, prompt in shown.items():
        assert own.tasks[6] in prompt
        assert ("A cup." in prompt, "茶碗。" in prompt) == ("En" in words, "En" not in words)
        crossed = "English" in words
        assert (english.examples[6].answer in prompt, own.examples[6].answer in prompt) == (crossed, not crossed)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("Fr", "'Fr' is not one of the languages"),
        ("Jp=", "'' is not one of the languages"),
        ("Jp=En,Sw", "'' is not one of the languages"),
        (5, "5 must be a text"),
        ({"Jp": "Klingon"}, "'Klingon' is not one"),
    ],
)
def test_a_language_of_texts_that_is_none_is_refused(value: object, reason: str) -> None:
    with pytest.raises(VluresError, match="text_language") as refusal:
        load_config(None, {"text_language": value}, keywords=True)
    assert reason in str(refusal.value)


def test_the_language_of_texts_needs_a_folder() -> None:
    with pytest.raises(VluresError, match="names no folder for Swahili"):
        load_config(None, {"dataset": {"En": "a"}, "languages": "En,Sw", "text_language": "Jp"})
    config = load_config(None, {"dataset": {"En": "a", "Jp": "b"}, "languages": "Jp,Sw", "text_language": "En"})
    assert {
        str(config.benchmark_options.dataset_folder(language)) for language in config.benchmark_options.run_languages
    } == {"a"}


def test_the_page_for_those_who_come_from_the_scripts_names_every_name_that_is_understood() -> None:
    page = (Path(__file__).parents[2] / "docs/from-the-scripts.md").read_text(encoding="utf-8")
    understood = [CONFIGS, EXAMPLES, *PARTS, *FIELDS.values(), *ROLES]
    assert [name for name in understood if f"`{name}`" not in page] == []
    example = page.partition("```toml\n")[2].partition("```")[0]
    config = load_config(None, tomllib.loads(example))
    assert (
        config.run_name,
        {str(config.benchmark_options.dataset_folder(one)) for one in config.benchmark_options.run_languages},
    ) == (
        "gpt-4o",
        {"data/ImagesTextEn1K"},
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('settings = ["1shot_rationales"]', 'settings = ["2shot"]', "`has.settings` must be a list of some of these"),
        ('settings = ["1shot_rationales"]', "settings = []", "`has.settings` must be a list"),
        ('settings = ["1shot_rationales"]', "tasks = [1, 9]", "`has.tasks` must be a list of some of these: 1, 2"),
        ('settings = ["1shot_rationales"]', "tasks = [[1]]", "`has.tasks` must be a list"),
        ('settings = ["1shot_rationales"]', 'colour = "red"', "is missing"),
        ('example = ["answer"]', 'example = ["question"]', "`has.example` lacks answer"),
        ('example = ["answer"]', 'example = ["question", "answer"]', "the placeholder {question} is missing"),
        ('braces = "doubled"', 'braces = "single"', '`braces` is \'single\'; it can only be "doubled"'),
        ('braces = "doubled"', "", "the placeholder {task} occurs 2 times"),
        ("{answer}", "{answer} }", "`image_only.1shot_rationales` has unbalanced braces"),
        ("[tasks]", "[tasks]\n9 = 'x'", "`tasks.9` is not one that a pack has"),
        ('settings = ["1shot_rationales"]', 'settings = ["1shot_rationales"]\ntasks = [1, 6]', ""),
    ],
)  # fmt: skip
def test_what_a_pack_says_it_has_is_checked(tmp_path: Path, old: str, new: str, reason: str) -> None:
    only = "'{one_shot_example} {{task}} {task_description}'"
    text = import_script(write_script(tmp_path, image_only=only)).packs[0].text
    assert old in text
    (tmp_path / "English.toml").write_text(text.replace(old, new, 1))
    if not reason:  # what waits for what it lacks is no fault
        assert set(asked(tmp_path, "En", tasks="1,6")) == {1, 6}
        return
    with pytest.raises(VluresError) as refusal:
        load_pack(LANGUAGES["En"], tmp_path)
    assert reason in str(refusal.value)
