"""TOML, flags and environment become one RunConfig; what is wrong is named with its place."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.benchmarks.vlures.settings import Setting
from vlures.config.environment import read_environment
from vlures.errors import UsageError
from vlures.runs.config import RunConfig, all_options, load_config, narrow


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "run.toml"


def load(toml: Path, content: str, **flags: Any) -> RunConfig:
    toml.write_text(content, encoding="utf-8")
    return load_config(toml, flags)


# Precedence


def test_flags_win_over_the_file_and_the_file_over_the_defaults(toml: Path) -> None:
    config = load(toml, "limit = 5\nconcurrency = 3\nrationales = false\n", limit=7, rationales=None)
    assert (config.limit, config.concurrency, config.rationales, config.batch_size) == (7, 3, False, 500)


def test_a_flag_can_take_back_what_the_file_switched_on(toml: Path) -> None:
    assert load(toml, "sandbox = true\nshots = 1\n", sandbox=False, shots=0) == load_config(
        None, {"sandbox": False, "shots": 0}
    )


def test_without_a_file_or_flags_the_defaults_are_the_papers_whole_benchmark() -> None:
    config = load_config(None, {})
    assert config == RunConfig()
    assert (config.languages, config.tasks) == (("En", "Jp", "Sw", "Ur"), tuple(range(1, 9)))
    assert config.benchmark_options.setting == Setting(1, True)
    assert config.limit is None
    assert config.parameters == {}


def test_a_file_with_a_byte_order_mark_is_read(toml: Path) -> None:
    assert load(toml, "\ufefflimit = 5\n").limit == 5


def test_every_option_can_stand_in_the_file(toml: Path) -> None:
    content = """
        backend = "gemini"
        mode = "live"
        model = "gemini-x"
        name = "trial-1"
        languages = ["Sw", "Urdu"]
        tasks = [1, 2, 7]
        shots = 0
        rationales = false
        example_language = "English"
        text_language = "Jp"
        prompts = "my-prompts"
        limit = 10
        samples = [3, 4]
        text_encoding = "latin-1"
        skip_problems = true
        follow_links = true
        temperature = 1
        top_p = 0.9
        max_output_tokens = 800
        seed = 42
        image_detail = "high"
        media_resolution = "low"
        reasoning_effort = "minimal"
        thinking_level = "high"
        thinking_budget = -1
        thinking_summary = true
        keep_think_tags = true
        output = "elsewhere"
        redo = ["truncated"]
        stale = "keep"
        batch_size = 100
        batch_bytes = 1_000_000
        max_attempts = 2
        poll_s = 5
        concurrency = 20
        rpm = 500
        tpm = 1_000_000
        service_tier = "flex"
        endpoint = "responses"
        image_transport = "url"
        image_url_template = "https://example.org/{name}"
        sdk = "google-generativeai"
        device = "cpu"
        dtype = "fp32"
        quant = "8bit"
        rows = 8
        trust_remote_code = true
        timeout_s = 60.5
        retry_budget_s = 100
        first_contact_s = 1
        notify = "true"
        doubt_patience_s = 2
        result_patience_s = 3
        base_url = "http://127.0.0.1:1/v1"
        sandbox = true
        forget_lost = true
        fault = ["hang"]
        canary = false
        wait = false
        finish_live = "2.5 %"
        stall_after_s = 60
        delete_remote_files = true
        max_cost = 20
        price_input = 0.1
        price_output = 0
        [dataset]
        Sw = "data/sw"
        Urdu = "data/ur"
        [columns]
        text = "story"
    """
    config = load(toml, content)
    untouched = {name for name in config.options() if getattr(config, name) == getattr(RunConfig(), name)}
    assert untouched == {"benchmark"}
    others = {"questions", "prompt_style", "cot", "groups", *vars(RunConfig(benchmark="judge").benchmark_options)}
    assert set(config.options()) == set(all_options()) - (others - {"limit", "samples"})
    assert config.languages == ("Sw", "Ur")
    assert config.dataset == {"Sw": "data/sw", "Ur": "data/ur"}
    assert config.example_language == "En"
    assert (config.languages[-1], config.tasks[-1]) == ("Ur", 7)
    assert config.output_folder == Path("elsewhere/sandbox-trial-1")
    assert config.parameters == {
        "temperature": 1.0,
        "top_p": 0.9,
        "max_output_tokens": 800,
        "seed": 42,
        "image_detail": "high",
        "media_resolution": "low",
        "reasoning_effort": "minimal",
        "thinking_level": "high",
        "thinking_budget": -1,
    }


def test_every_option_of_a_table_can_stand_in_the_file(toml: Path) -> None:
    content = """
        benchmark = "table"
        questions = "my.csv"
        dataset = "pictures"
        columns = {image = "file"}
        limit = 3
        samples = [7, "a-1"]
        text_encoding = "latin-1"
        follow_links = true
    """
    config = load(toml, content)
    plain = RunConfig(benchmark="table")
    assert {name for name in vars(config.benchmark_options) if getattr(config, name) == getattr(plain, name)} == set()
    assert config.samples == ("7", "a-1")


def test_every_option_of_street_views_can_stand_in_the_file(toml: Path) -> None:
    content = """
        benchmark = "urban"
        questions = "test.json"
        dataset = "pictures"
        prompt_style = "template"
        cot = true
        groups = ["depth_binary", "count"]
        limit = 3
        samples = "image_1_0123456789ab"
        follow_links = true
    """
    config = load(toml, content)
    plain = RunConfig(benchmark="urban")
    assert {name for name in vars(config.benchmark_options) if getattr(config, name) == getattr(plain, name)} == set()
    assert config.groups == ("depth_binary", "count")


def test_every_option_of_a_judge_can_stand_in_the_file(toml: Path) -> None:
    toml.parent.joinpath("packs").mkdir()
    content = """
        benchmark = "judge"
        judged = "outputs/one"
        pairwise = "outputs/two"
        rubric = "packs"
        pack_language = "native"
        controls = "10%"
        control_seed = 7
        limit = 3
        samples = [7, "a-1"]
    """
    config = load(toml, content)
    plain = RunConfig(benchmark="judge")
    same = {name for name in vars(config.benchmark_options) if getattr(config, name) == getattr(plain, name)}
    assert same == {"judge_what", "repeats"}
    other = load(toml, 'benchmark = "judge"\njudged = "outputs/one"\njudge_what = "whole"\nrepeats = 2')
    assert (other.judge_what, other.repeats, other.benchmark_options.share) == ("whole", 2, 0.05)


def test_a_configuration_can_be_replaced_by_its_options_names() -> None:
    config = RunConfig(benchmark="table", questions="t.jsonl", backend="gemini", thinking_level="low")
    for changed in (replace(config, limit=4), config.replace(limit=4)):
        assert (changed.questions, changed.limit, changed.thinking_level, config.limit) == ("t.jsonl", 4, "low", None)
    assert config.replace(benchmark="vlures").languages == RunConfig().languages


def test_a_whole_number_and_its_decimal_are_the_same_temperature(toml: Path) -> None:
    """The request's digest is made from it: a file that says 1 and a flag that says 1.0 ask the same question."""
    from_file = load(toml, "temperature = 1").parameters
    assert repr(from_file) == repr(load_config(None, {"temperature": 1.0}).parameters) == "{'temperature': 1.0}"


# What is refused

REFUSED = {
    "a slip of the pen": ("batchsize = 5", ["`batchsize` is not an option", "did you mean `batch_size`?"]),
    "a flag's spelling": ("batch-size = 5", ["`batch-size`", "did you mean `batch_size`?"]),
    "something else entirely": ("zzz = 5", ["`zzz` is not an option", "vlures run --help"]),
    "a section": ("[openai]\nlimit = 5", ["`openai` is not an option"]),
    "an API key": ('api_key = "sk-1"', ["`api_key`", "does not belong", ".env"]),
    "an API key with its provider": ('openai_api_key = "sk-1"', ["`openai_api_key`", "does not belong", ".env"]),
    "an API key with dashes": ('google-api-key = "x"', ["`google-api-key`", "does not belong"]),
    "a text for a number": ('limit = "5"', ["`limit` is '5'", "a whole number; remove the quotation marks"]),
    "a decimal for a whole number": ("limit = 5.5", ["`limit` is 5.5"]),
    "a truth value for a number": ("limit = true", ["`limit` is True"]),
    "a text for a truth value": ('sandbox = "yes"', ["`sandbox` is 'yes'"]),
    "a quoted truth value": ('sandbox = "true"', ["`sandbox` is 'true'", "true or false; remove the quotation marks"]),
    "a quoted decimal": ('temperature = "0.5"', ["`temperature`", "must be a number; remove the quotation marks"]),
    "a number for a name": ("name = 5", ["`name` is 5", "a text; put it in quotation marks"]),
    "a list for a text": ('model = ["a"]', ["`model` is ['a']"]),
    "no samples at all": ("limit = 0", ["`limit` is 0", "a whole number of at least 1"]),
    "another number of shots": ("shots = 2", ["`shots` is 2", "choose from 0, 1"]),
    "an unknown backend": ('backend = "azure"', ["`backend`", "choose from openai, gemini, local."]),
    "an unknown mode": ('mode = "later"', ["`mode`", "choose from batch, live"]),
    "an unknown way with stale answers": ('stale = "drop"', ["`stale`", "choose from stop, keep, redo"]),
    "a wish to redo failures": ('redo = ["failed"]', ["`redo`", "what failed is asked again by every run"]),
    "too hot": ("temperature = 2.1", ["`temperature` is 2.1", "a number of at most 2"]),
    "a batch too long": ("batch_size = 50_001", ["`batch_size`"]),
    "a cost below nothing": ("max_cost = -1", ["`max_cost`"]),
    "a negative price": ("price_input = -0.5", ["`price_input`"]),
    "not a share": ('finish_live = "two"', ["`finish_live`", "2%"]),
    "a name of rehearsals": ('name = "sandbox-x"', ["`name`", "--sandbox"]),
    "a batch too large": ("batch_bytes = 2_000_000_001", ["`batch_bytes`"]),
    "no time at all": ("poll_s = 0", ["`poll_s` is 0", "a number above 0"]),
    "an unknown task": ("tasks = [0]", ["`tasks`", "no task 0"]),
    "a range past the end": ('tasks = "7-9"', ["`tasks`", "no task 9"]),
    "a task in words": ('tasks = "all"', ["`tasks`", "'all' is not a number"]),
    "no tasks": ("tasks = []", ["at least one language and one task"]),
    "no languages": ("languages = []", ["at least one language and one task"]),
    "an unknown language": ('languages = "En,Fr"', ["`languages`", "'Fr' is not one of", "Sw (Swahili)"]),
    "an unknown language of the example": ('example_language = "Fr"', ["`example_language`", "'Fr'"]),
    "a folder for an unknown language": ('dataset = { Fr = "x" }', ["`dataset`", "'Fr'"]),
    "a language without a folder": (
        'dataset = { En = "x" }\nlanguages = "En,Jp"',
        ["`dataset`", "no folder for Japanese"],
    ),
    "folders without their language": ('dataset = ["En=a", "b"]', ["`dataset`", "En=b"]),
    "a name with a slash": ('name = "a/b"', ["`name` is 'a/b'"]),
    "an empty model": ('model = " "', ["`model` is empty"]),
    "an empty name": ('name = ""', ["`name` is ''"]),
    "a fault for a real provider": ('fault = ["hang"]', ["--sandbox"]),
    "no TOML": ("limit 5", ["is not a readable TOML file"]),
}
NO_PLACE = {"no tasks", "no languages", "a fault for a real provider"}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_in_a_file_is_named_with_file_and_key(toml: Path, case: str) -> None:
    content, sentences = REFUSED[case]
    with pytest.raises(UsageError) as refusal:
        load(toml, content)
    for part in sentences if case in NO_PLACE else [str(toml), *sentences]:
        assert part in str(refusal.value)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"tasks": ("9",)}, "--tasks: there is no task 9"),
        ({"batch_size": 0}, "--batch-size is 0"),
        ({"languages": ("Fr",)}, "--languages: 'Fr'"),
        ({"samples": ("x",)}, "--samples: 'x'"),
    ],
)
def test_what_is_wrong_in_a_flag_is_named_by_the_flag(flags: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        load_config(None, flags)


def test_a_wrong_flag_over_a_right_file_is_blamed_on_the_flag(toml: Path) -> None:
    with pytest.raises(UsageError, match="--limit is 0"):
        load(toml, "limit = 5", limit=0)


def test_a_secret_is_not_repeated(toml: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        load(toml, 'api_key = "sk-very-secret"')
    assert "sk-very-secret" not in str(refusal.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml cannot be read.*--config"):
        load_config(tmp_path / "nowhere.toml", {})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("redo = 5", id="redo is a number: AttributeError"),
        pytest.param("dataset = 5", id="dataset is a number: taken for the folder '5'"),
        pytest.param('tasks = "1,5-3"', id="a range that runs backwards: dropped in silence"),
        pytest.param('name = ".."', id="a name that leaves the output folder"),
        pytest.param('example_language = "En,Jp"', id="a second language of the example: dropped in silence"),
    ],
)
def test_more_that_should_be_refused(toml: Path, content: str) -> None:
    with pytest.raises(UsageError, match=content.split()[0]):
        load(toml, content)


def test_a_forgotten_s_is_no_secret(toml: Path) -> None:
    with pytest.raises(UsageError, match="did you mean `max_output_tokens`"):
        load(toml, "max_output_token = 500")


def test_an_api_key_in_capitals_is_sent_to_the_environment(toml: Path) -> None:
    with pytest.raises(UsageError, match=r"\.env"):
        load(toml, 'OPENAI_API_KEY = "sk-1"')


# Forms


@pytest.mark.parametrize(
    ("value", "tasks"),
    [
        ("1-8", tuple(range(1, 9))),
        ("3", (3,)),
        ("1,2,7", (1, 2, 7)),
        (" 1 , 6-8 ", (1, 6, 7, 8)),
        (("1-3", "2-5"), (1, 2, 3, 4, 5)),
        ([7, 1], (7, 1)),
        (5, (5,)),
    ],
)
def test_tasks_are_numbers_and_ranges(value: object, tasks: tuple[int, ...]) -> None:
    assert load_config(None, {"tasks": value}).tasks == tasks


@pytest.mark.parametrize(
    ("value", "codes"),
    [
        ("Sw", ("Sw",)),
        ("sw,JAPANESE", ("Sw", "Jp")),
        (("En", "English", "Ur"), ("En", "Ur")),
        ("En, Jp, Sw, Ur", tuple(LANGUAGES)),
    ],
)
def test_languages_are_codes_or_names_each_once(value: object, codes: tuple[str, ...]) -> None:
    assert load_config(None, {"languages": value}).languages == codes


FOLDERS = {"En": "a=b", "Jp": "c"}


@pytest.mark.parametrize(
    ("value", "folders"),
    [
        ("photos", {"En": "photos", "Jp": "photos"}),
        (("photos",), {"En": "photos", "Jp": "photos"}),
        ("my=photos", {"En": "my=photos", "Jp": "my=photos"}),
        (("En=a=b", "Japanese=c"), FOLDERS),
        ({"English": "a=b", "jp": "c", "Sw": "unused"}, FOLDERS),
    ],
)
def test_the_dataset_is_one_folder_or_one_per_language(value: object, folders: dict[str, str]) -> None:
    config = load_config(None, {"dataset": value, "languages": "En,Jp"})
    assert {code: str(config.benchmark_options.dataset_folder(LANGUAGES[code])) for code in folders} == folders


@pytest.mark.parametrize("value", ["truncated,refused", ("truncated", "refused"), ["truncated,refused"]])
def test_what_to_redo_is_a_list(value: object) -> None:
    assert load_config(None, {"redo": value}).redo == ("truncated", "refused")


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({"model": "gpt-x"}, "gpt-x"),
        ({"model": "org/gpt x:1"}, "org-gpt-x-1"),
        ({"model": "gpt-x", "name": "mine"}, "mine"),
        ({"model": "gpt-x", "sandbox": True}, "sandbox-gpt-x"),
        ({"name": "mine", "sandbox": True}, "sandbox-mine"),
    ],
)
def test_the_run_is_named_after_its_model_and_a_rehearsal_says_so(flags: dict[str, Any], name: str) -> None:
    config = load_config(None, flags)
    assert config.run_name == name
    assert config.output_folder == Path("outputs") / name


@pytest.mark.parametrize(("backend", "mode"), [("openai", "batch"), ("gemini", "live")])
def test_a_backend_runs_in_the_mode_that_suits_it_unless_told_otherwise(backend: str, mode: str) -> None:
    assert load_config(None, {"backend": backend}).run_mode == mode
    other = "live" if mode == "batch" else "batch"
    assert load_config(None, {"backend": backend, "mode": other}).run_mode == other


def test_a_configuration_can_be_narrowed_to_one_prompt() -> None:
    config = narrow(load_config(None, {"limit": 3}), {"languages": "swahili", "tasks": 7, "samples": 12})
    assert (config.languages, config.tasks, config.samples, config.limit) == (("Sw",), (7,), (12,), 3)
    assert narrow(config, {"languages": None, "tasks": None, "samples": None}) == config


@pytest.mark.parametrize(("language", "task"), [("Fr", None), (None, 9)])
def test_a_configuration_cannot_be_narrowed_to_nothing(language: str | None, task: int | None) -> None:
    with pytest.raises(UsageError, match=r"--language:|--task:"):
        narrow(RunConfig(), {"languages": language, "tasks": task})


# The environment


def test_keys_come_from_the_env_file_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from the environment")
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from the file\nGEMINI_API_KEY='also from it'\nEMPTY=\n")
    found = read_environment(tmp_path)
    assert found["OPENAI_API_KEY"] == "from the environment"
    assert found["GEMINI_API_KEY"] == "also from it"
    assert found["EMPTY"] == ""


def test_the_env_file_is_that_of_the_current_folder_and_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLURES_TEST_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    assert "VLURES_TEST_KEY" not in read_environment()
    (tmp_path / ".env").write_text("VLURES_TEST_KEY=x")
    assert read_environment()["VLURES_TEST_KEY"] == "x"


def test_reading_the_env_file_changes_nothing_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLURES_TEST_KEY", raising=False)
    (tmp_path / ".env").write_text("VLURES_TEST_KEY=x")
    read_environment(tmp_path)
    assert "VLURES_TEST_KEY" not in read_environment(tmp_path / "nowhere")


def test_no_key_gets_into_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    assert "sk-very-secret" not in repr(load_config(None, {}))


# Paths in a file, and what follows from others


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration, and beside it data that the current folder, one of its own, has too, or not."""
    for name in ("study/own", "study/both", "here/both", "here/data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "study/q.csv").touch()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "study/run.toml"


@pytest.mark.parametrize(
    ("content", "name", "value"),
    [
        ('dataset = "own"', "dataset", "{}/own"),
        ('dataset = "both"', "dataset", "{}/both"),
        ('dataset = "data"', "dataset", "data"),
        ('dataset = "nowhere"', "dataset", "nowhere"),
        ('dataset = "."', "dataset", "."),
        ('dataset = ["En=own", "Jp=data"]', "dataset", {"En": "{}/own", "Jp": "data"}),
        ('[dataset]\nEn = "own"\nJp = "data"', "dataset", {"En": "{}/own", "Jp": "data"}),
        ('prompts = "own"', "prompts", "{}/own"),
        ('benchmark = "table"\nquestions = "q.csv"\ndataset = "own"', "questions", "{}/q.csv"),
        ('benchmark = "table"\nquestions = "q.csv"\ndataset = "own"', "dataset", "{}/own"),
        ('output = "own"', "output", "own"),  # a run stays where it is
    ],
)
def test_a_path_in_a_file_is_looked_for_beside_it_first(study: Path, content: str, name: str, value: Any) -> None:
    found = getattr(load(study, content), name)
    expected = value.format(study.parent) if isinstance(value, str) else value
    if isinstance(expected, dict):
        expected = {key: path.format(study.parent) for key, path in expected.items()}
    assert found == expected


def test_a_flag_is_a_path_of_the_current_folder(study: Path) -> None:
    study.write_text("")
    assert load_config(study, {"dataset": "own"}).dataset == "own"


@pytest.mark.parametrize(
    ("content", "languages"),
    [
        ('dataset = { En = "x" }', ("En",)),
        ('dataset = { Ur = "x", jp = "y" }', ("Jp", "Ur")),
        ('dataset = ["Sw=x"]', ("Sw",)),
        ('dataset = { En = "x" }\ntext_language = "Ur=En"', ("En", "Ur")),
        ('dataset = { En = "x", Jp = "y" }\nlanguages = "Jp"', ("Jp",)),
        ('dataset = "x"', ("En", "Jp", "Sw", "Ur")),
        ("limit = 1", ("En", "Jp", "Sw", "Ur")),
    ],
)
def test_folders_by_language_are_the_languages_of_a_run(toml: Path, content: str, languages: tuple[str, ...]) -> None:
    assert load(toml, content).languages == languages


@pytest.mark.parametrize(
    ("tasks", "numbers"),
    [("VQA,IC", (8, 5)), ("vqa", (8,)), ("1-2, ITM", (1, 2, 6)), (["U", 1], (7, 1)), ("OR,1", (1,))],
)
def test_tasks_can_be_given_by_code(tasks: Any, numbers: tuple[int, ...]) -> None:
    assert load_config(None, {"tasks": tasks}).tasks == numbers


def test_an_unknown_code_is_answered_with_the_codes() -> None:
    with pytest.raises(UsageError, match="--tasks: 'VQ' is not a number, a range such as 1-5 or one of the codes OR, "):
        load_config(None, {"tasks": "1,VQ"})


@pytest.mark.parametrize("name", ["model", "base_url"])
def test_blanks_around_a_name_are_not_part_of_it(name: str) -> None:
    value = {"model": "gpt-6-luna", "base_url": "http://host:1/v1"}[name]
    assert getattr(load_config(None, {name: f"  {value}\t"}), name) == value
