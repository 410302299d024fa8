"""What the command tells people and shells: its help, what Tab completes, `config show`, `init`."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import BufferedWriter, StringIO
from pathlib import Path
from types import FrameType
from typing import Any

import click
import pytest
from click.shell_completion import BashComplete
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import REPOSITORY, Command
from vlures.cli import COMMANDS, call, commands, main
from vlures.cli.config_report import tabulate_config, write_toml
from vlures.config.environment import check_address
from vlures.config.options import GROUPS
from vlures.errors import UsageError
from vlures.runs.config import RunConfig, all_options, load_config
from vlures.scaffold import lay_out

# Help


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    context = click.Context(commands)
    for name, text in COMMANDS.items():
        command = commands.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.help is not None
        assert command.help.startswith(text.removesuffix("."))


def test_help_loads_no_command_and_no_benchmark() -> None:
    code = "import sys; from vlures.cli import call; call(['--help']); print(*sorted(sys.modules), sep='\\n')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = {name for name in ended.stdout.splitlines() if name.startswith("vlures")}
    assert "vlures.cli.console" in loaded
    assert len(loaded) < 12, loaded
    assert not any(name in ended.stdout.splitlines() for name in ("dotenv", "msgspec", "PIL", "asyncio"))


def every_command(group: click.Group = commands, name: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each command, those of groups included."""
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        yield (*name, word)
        if isinstance(command, click.Group):
            yield from every_command(command, (*name, word))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Call a command in a terminal of 80 columns; gives back what it prints."""
    monkeypatch.setenv("COLUMNS", "80")

    def show(*arguments: str) -> str:
        assert call([*arguments]) == 0
        return capsys.readouterr().out

    return show


def find_command(line: str) -> tuple[tuple[str, ...], click.Command]:
    """The command that a line calls, and its words."""
    words: tuple[str, ...] = ()
    command: click.Command = commands
    for word in line.split():
        if isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            assert found is not None, word
            words, command = (*words, word), found
    return words, command


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_each_command_has_an_example_that_it_understands(words: tuple[str, ...], terminal: Any) -> None:
    text = terminal(*words, "--help")
    assert max(map(len, text.splitlines())) <= 80
    if isinstance(find_command(" ".join(words))[1], click.Group) or words == ("sandbox",):
        return
    examples = text.partition("Example")[2].partition("\n\n")[0].splitlines()[1:]
    shown = [part.partition("vlures ")[2] for line in examples for part in line.split("&&")]
    assert words in [find_command(line)[0] for line in shown]
    for line in shown:
        options = {option for param in find_command(line)[1].params for option in param.opts + param.secondary_opts}
        assert set(re.findall(r" (--?[a-z][a-z-]*)", line)) <= options


def test_the_commands_are_in_the_order_in_which_one_needs_them(terminal: Any) -> None:
    listed = [line.split()[0] for line in terminal("--help").partition("Commands:")[2].splitlines() if line.strip()]
    assert listed[0] == "init"
    main = [word for word in listed if word in ("init", "check", "plan", "run", "status", "export")]
    assert main == ["init", "check", "plan", "run", "status", "export"]


def test_every_option_of_a_run_stands_once_under_its_heading(terminal: Any) -> None:
    text = terminal("run", "--help")
    headings = [line.rstrip(":") for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Options", *GROUPS]
    for name, option in all_options().items():
        flag = f"  --{name.replace('_', '-')} "
        assert text.count(flag) == 1, flag
        heading = option.group
        section = text.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
        assert flag in section + " ", (flag, heading)


def test_a_command_shows_the_options_that_matter_to_it_and_takes_the_others(vlures: Command, terminal: Any) -> None:
    text = terminal("status", "--help")
    assert "--output FOLDER" in text
    assert "--concurrency" not in text
    assert "All other options of `vlures run` are accepted, too." in text
    ended = vlures("status", "--concurrency", "5")
    assert (ended.code, "There is no run under outputs yet" in ended.err) == (1, True), ended


# Tab


@pytest.fixture
def study(vlures: Command) -> Command:
    """A folder with configurations and runs."""
    for name in ("configs/openai.toml", "configs/mine.toml", "outputs/gpt/checkpoints_1shot_rationales/run.json"):
        path = vlures.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (vlures.folder / "outputs/no-run").mkdir()
    return vlures


@pytest.mark.parametrize(
    ("line", "suggested"),
    [
        ("vlures sta", ["plain,status"]),
        ("vlures run --max-c", ["plain,--max-cost"]),
        ("vlures run --backend ", ["plain,openai", "plain,gemini", "plain,local"]),
        ("vlures plan --languages En,", ["plain,En,Jp", "plain,En,Sw", "plain,En,Ur"]),
        ("vlures plan --redo tr", ["plain,truncated"]),
        ("vlures run -c ", ["plain,configs/mine.toml", "plain,configs/openai.toml"]),
        ("vlures run -c else", ["file,else"]),
        ("vlures status ", ["plain,outputs/gpt"]),
        ("vlures cancel --output nowhere ", ["dir,"]),
        ("vlures export outputs/g", ["plain,outputs/gpt"]),
        ("vlures report outputs/g", ["plain,outputs/gpt"]),
        ("vlures report --originals ", ["plain,link"]),
        ("vlures run --dataset ", ["dir,"]),
        ("vlures completion z", ["plain,zsh"]),
    ],
)
def test_tab_completes(study: Command, line: str, suggested: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study.folder)
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    complete = BashComplete(commands, {}, "vlures", "_VLURES_COMPLETE")
    assert complete.complete().splitlines() == suggested


def test_a_shell_that_reads_the_script_completes(study: Command) -> None:
    """The first Tab of a new user, in the shell itself."""
    script = (
        'eval "$(vlures completion bash)" && COMP_WORDS=(vlures run --tasks 1,) COMP_CWORD=3 && '
        '_vlures_completion vlures && printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["bash", "-c", script], cwd=study.folder, env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert ended.stdout.splitlines() == [f"1,{task}" for task in range(2, 9)], ended


def test_an_interruption_while_the_command_is_ending_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(StringIO):
        def write(self, _: str) -> int:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stderr", Interrupting())
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as ended:
            main(["nonsense"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 130


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str, terminal: Any) -> None:
    script = terminal("completion", shell)
    assert f"_VLURES_COMPLETE={shell}_complete" in script
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True).returncode == 0


# config show


@pytest.mark.warm
def test_every_option_is_shown_with_where_it_came_from_and_no_key(vlures: Command) -> None:
    (vlures.folder / "run.toml").write_text('backend = "gemini"\nlimit = 5\nconcurrency = 3\ndataset = "data"\n')
    (vlures.folder / ".env").write_text("GOOGLE_API_KEY=sk-in-file\nGOOGLE_GEMINI_BASE_URL=http://h:1/x\n")
    vlures.environment = {"OPENAI_API_KEY": "sk-in-environment", "GEMINI_API_KEY": ""}
    show = ["config", "show", "-c", "run.toml", "--limit", "7", "--no-canary", "--tasks", "1-3,8", "--output", "o" * 99]
    table = vlures(*show)
    assert table.code == 0, table
    assert table.err == ""
    assert max(map(len, table.out.splitlines())) <= 100

    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in table.out.splitlines() if line.strip()}
    assert rows["backend"] == "gemini run.toml"
    assert rows["mode"] == "live default of gemini"
    assert rows["limit"] == "7 --limit"
    assert rows["concurrency"] == "3 run.toml"
    assert rows["canary"] == "false --no-canary"
    assert rows["tasks"] == "1-3, 8 --tasks"
    assert rows["dataset"] == "data run.toml"
    assert rows["base_url"] == "http://h:1/x GOOGLE_GEMINI_BASE_URL, in .env"
    assert rows["seed"] == "– default"
    others = {"questions", "prompt_style", "cot", "groups", *vars(RunConfig(benchmark="judge").benchmark_options)}
    assert set(all_options()) - (others - {"limit", "samples"}) <= rows.keys()

    assert rows["OPENAI_API_KEY"] == "set in the environment"
    assert rows["GOOGLE_API_KEY"] == "set in .env"
    assert rows["GEMINI_API_KEY"] == "not set"
    as_toml = vlures(*show, "--format", "toml")
    assert "sk-" not in table.out + as_toml.out

    (vlures.folder / "again.toml").write_text(as_toml.out, encoding="utf-8")
    again = load_config(vlures.folder / "again.toml", {})
    assert again == load_config(
        vlures.folder / "run.toml", {"limit": 7, "canary": False, "tasks": "1-3,8", "output": "o" * 99}
    )
    assert "limit = 7  # --limit" in as_toml.out.splitlines()


def test_a_rehearsal_says_that_the_sandbox_answers() -> None:
    flags = {"sandbox": True, "base_url": "http://host/"}
    table = tabulate_config(load_config(None, flags), {"sandbox": "--sandbox"}, {"OPENAI_BASE_URL": "http://other/"})
    assert next(line.split() for line in table.splitlines() if line.startswith("base_url")) == [
        *("base_url", "the", "sandbox's", "--sandbox"),
    ]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://u:sk-p@sk-ss@host/v1?key=sk-key#sk-x", "http://…@host/v1?…"),
        ("http://host/@v1/#sk-x", "http://host/@v1/#…"),
        ("http://host/v1?", "http://host/v1?"),
        ("http://host/@v1", "http://host/@v1"),
    ],
)
def test_what_may_be_a_secret_in_an_address_is_shown_nowhere(tmp_path: Path, address: str, shown: str) -> None:
    values = {"base_url": "http://host/v1", "image_url_template": address, "image_transport": "url"}
    config = load_config(None, values)
    table, as_toml = tabulate_config(config, {}, {}), write_toml(config, {})
    assert re.search(rf"^image_url_template +{re.escape(shown)} +", table, re.MULTILINE), table
    assert "sk-" not in table + as_toml
    left_out = "# image_url_template may hold a secret, so it is left out; give it with --image-url-template"
    assert (left_out in as_toml) == (shown != address)
    file = tmp_path / "run.toml"
    file.write_text(as_toml, encoding="utf-8")
    again = {} if shown == address else {"image_url_template": address}
    assert load_config(file, again) == config


SECRET_ADDRESSES = [
    "http://u:sk-p@sk-ss@host/v1?key=sk-key#sk-x",
    "https://sk-user@host/v1",
    "https://host/v1?api_key=sk-x",
    "https://host/v1#sk-x",
    "sk-x@host/v1",
    "https://u:sk-x@",
    "https://u:sk-x@host:0/v1",
]


@pytest.mark.parametrize("address", SECRET_ADDRESSES)
def test_no_place_of_an_address_may_hold_a_secret(address: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_address(address, "--base-url")
    assert "sk-" not in str(refused.value)


@pytest.mark.parametrize("way", ["--base-url", "run.toml", "OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "HF_ENDPOINT"])
@pytest.mark.warm
def test_an_address_with_a_password_or_a_key_is_refused_and_not_shown(vlures: Command, way: str) -> None:
    address = SECRET_ADDRESSES[0]
    vlures.environment = {"OPENAI_API_KEY": "key", "GOOGLE_API_KEY": "key"}
    backend = "gemini" if way.startswith("GOOGLE") else "openai"
    command = ["run", "--backend", backend, "--mode", "live", "--dataset", "data"]
    if way == "--base-url":
        command += [way, address]
    elif way == "run.toml":
        (vlures.folder / way).write_text(f'base_url = "{address}"\n')
        command += ["-c", way]
    else:
        vlures.environment[way] = address
    ended = vlures(*(["fetch", "--yes"] if way == "HF_ENDPOINT" else command))
    assert ended.code == 2, ended
    assert "sk-" not in ended.out + ended.err
    assert not list(vlures.folder.glob("outputs/*/*/run.json"))


@pytest.mark.warm
def test_what_is_wrong_is_one_sentence(vlures: Command) -> None:
    ended = vlures("config", "show", "--backend", "azure")
    assert (ended.code, ended.out) == (2, "")
    assert "choose from openai, gemini, local. A server of your own is asked with" in ended.err
    ended = vlures("sandbox", "--nonsense")
    assert (ended.code, ended.err.splitlines()[-1]) == (2, "vlures sandbox: error: unrecognized arguments: --nonsense")


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
NAMES = WORDS.filter(str.strip)
NUMBERS = st.lists(st.integers(0, 30), min_size=1).map(lambda numbers: tuple(dict.fromkeys(numbers)))


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "dataset": st.one_of(NAMES, st.fixed_dictionaries(dict.fromkeys(("En", "Jp", "Sw", "Ur"), NAMES))),
            "model": NAMES,
            "prompts": WORDS,
            "image_url_template": WORDS.filter(lambda text: not re.search("[?#@]", text)),  # no secret may be in it
            "samples": NUMBERS,
            "tasks": st.lists(st.integers(1, 8), min_size=1, unique=True),
            "redo": st.lists(st.sampled_from(["truncated", "refused"]), unique=True),
            "temperature": st.floats(0, 2),
            "rpm": st.floats(min_value=0, exclude_min=True),
            "rationales": st.booleans(),
            "finish_live": st.just("2%"),
            "fault": st.lists(WORDS),
            "sandbox": st.just(True),
        },
    ).filter(lambda values: not values.get("fault") or "sandbox" in values),
    WORDS,
)
def test_the_configuration_as_toml_is_the_same_configuration(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any], origin: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "round-trip.toml"
    config = load_config(None, values)
    file.write_text(write_toml(config, dict.fromkeys(values, origin)), encoding="utf-8", newline="\n")
    assert load_config(file, {}) == config


def test_the_ready_made_configurations_come_back_the_same(tmp_path: Path) -> None:
    for path in set((REPOSITORY / "configs").glob("*.toml")) - {REPOSITORY / "configs/study.toml"}:
        config = load_config(path, {})
        (tmp_path / path.name).write_text(write_toml(config, {}), encoding="utf-8")
        assert load_config(tmp_path / path.name, {}) == config != RunConfig()


# init


@pytest.mark.warm
def test_init_leaves_what_is_there_and_names_it(vlures: Command) -> None:
    mine = vlures.folder / "configs/openai.toml"
    mine.parent.mkdir()
    mine.write_text("# mine\n")
    first, second = vlures("init"), vlures("init", ".")
    assert mine.read_text() == "# mine\n"
    for ended in (first, second):
        assert ended.code == 0, ended
        assert ended.err == "configs/openai.toml exists with other content and was not changed.\n"
    assert " 0 files written, " in second.out
    assert (vlures.folder / "data/SampleUr/photo_002.png").read_bytes()
    assert (vlures.folder / "data/image1.png").exists(), "other data is not its business"


@pytest.mark.warm
def test_init_says_what_is_in_its_way(vlures: Command) -> None:
    (vlures.folder / "configs").write_text("")
    ended = vlures("init")
    assert (ended.code, ended.err) == (1, "vlures: configs cannot be used (File exists); fix that and run again.\n")


def test_init_leaves_no_piece_of_a_file_behind_when_it_is_interrupted(tmp_path: Path) -> None:
    opened: list[str] = []

    def interrupt(frame: FrameType, event: str, what: Any) -> None:
        """Ctrl-C in the middle of the second file."""
        file = getattr(what, "__self__", None)
        if event == "c_call" and what.__name__ == "write" and isinstance(file, BufferedWriter):
            opened.append(Path(file.name).name)
            if len(opened) == 2:
                raise KeyboardInterrupt

    sys.setprofile(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            lay_out(tmp_path)
    finally:
        sys.setprofile(None)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == opened[:1]
    assert lay_out(tmp_path).kept == ()


# A configuration, and an empty folder

WITH_CONFIG = [
    "run",
    "plan",
    "check",
    "prompt",
    "status",
    "cancel",
    "export",
    "report",
    "show",
    "import",
    "config show",
]


@pytest.mark.parametrize("command", WITH_CONFIG)
@pytest.mark.warm
def test_a_configuration_can_be_named_without_an_option(vlures: Command, command: str) -> None:
    words = command.split()
    (vlures.folder / "mine.toml").write_text("zzz = 1\n")
    for named in (["mine.toml"], ["-c", "mine.toml"]):
        vlures(*words, *named).assert_stopped(2, "mine.toml", "`zzz` is not an option")
    vlures(*words, "mine.toml", "-c", "other.toml").assert_stopped(2, "Two configurations are named")


@pytest.mark.warm
def test_a_run_by_a_configuration_without_an_option(vlures: Command) -> None:
    (vlures.folder / "mine.toml").write_text('dataset = { En = "data" }\ntasks = "OR"\nname = "mine"\nsandbox = true\n')
    result = vlures("run", "mine.toml", "--mode", "live")
    assert result.code == 0, result
    for command in ("status", "export", "show"):
        assert vlures(command, "mine.toml").code == 0
    shown = vlures("config", "show", "mine.toml").out
    assert re.search(r"^name +mine +mine.toml", shown, re.MULTILINE)
    assert re.search(r"^languages +En ", shown, re.MULTILINE)
    assert re.search(r"^tasks +1 +mine.toml", shown, re.MULTILINE)
    assert vlures("cancel", "mine.toml").code == 0
    assert len(vlures.answers("sandbox-mine")) == 6


@pytest.mark.parametrize(
    "command",
    ["run", "run --sandbox", "plan", "check", "prompt --language En --task OR", "run -c configs/openai.toml"],
)
@pytest.mark.warm
def test_in_an_empty_folder_one_is_told_of_init(vlures: Command, command: str) -> None:
    shutil.rmtree(vlures.folder)
    vlures.folder.mkdir()
    ended = vlures(*command.split())
    assert ended.code in (1, 2), ended
    assert "`vlures init`" in ended.err + ended.out


@pytest.mark.warm
@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--limit", "x", "'x' is not a whole number"),
        ("--limit", "1.5", "not a whole number"),
        ("--rpm", "x", "'x' is not a number"),
    ],
)
def test_a_flag_that_is_no_number_is_said_in_words(vlures: Command, flag: str, value: str, words: str) -> None:
    ended = vlures("run", flag, value)
    assert (ended.code, words in ended.err) == (2, True), ended


def test_the_help_names_defaults_and_what_both_benchmarks_have(terminal: Any) -> None:
    text = " ".join(terminal("run", "--help").split())
    for said in (
        "[default: openai]",
        "[default: batch (openai), live (gemini), live (local)]",
        "[default: En=data/SampleEn, ",
        "[default: En,Jp,Sw,Ur]",
        "[default: 1-8]",
        "[default: 190,000,000]",
        "[default: yes]",
        "Benchmark table: The folder of the images",
        "Benchmark table: Which column is which",
    ):
        assert said in text, said
    assert not re.search(r"INTEGER|FLOAT", text)
