"""What a shell offers for a word."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.shell_completion import CompletionItem, ShellComplete

from reactorhost.cli.app import reactorhost
from reactorhost.cli.command_table import COMMANDS
from reactorhost.config.settings import TABLE
from reactorhost.config.values import LOG_PATH, PATH
from reactorhost.dashboard.tables import columns


def items(words: str) -> list[CompletionItem]:
    """Return what is offered for the last of the words, which may be empty."""
    *before, last = words.split(" ")
    return ShellComplete(reactorhost, {}, "reactorhost", "_REACTORHOST_COMPLETE").get_completions(before, last)


def offered(words: str) -> list[str]:
    return [item.value for item in items(words)]


@pytest.mark.parametrize(
    "setting", [each for each in TABLE if each.kind in (PATH, LOG_PATH)], ids=lambda each: each.name
)
def test_every_path_is_completed_by_the_shell(setting: object) -> None:
    kind = "dir" if setting.name == "run_dir" else "file"  # type: ignore[attr-defined]
    [item] = items(f"start {setting.flag} /e")  # type: ignore[attr-defined]
    assert (item.value, item.type) == ("/e", kind)


def test_plugins_are_completed_as_arguments_and_in_options() -> None:
    for words in ("start ec", "start accesslog ec", "start --plugin ec", "plugins ec", "logs --plugin ec"):
        assert offered(words) == ["echo"]
    [item] = items("start ./gr")
    assert item.type == "file"


def test_the_options_of_plugins_are_completed(tmp_path: Path) -> None:
    assert {"accesslog.", "echo."} <= set(offered("start --set "))
    assert offered("start --set acc") == ["accesslog."]
    assert "accesslog.format=" in offered("start --set accesslog.f")
    assert "accesslog.format=" in offered("start accesslog echo --set ")
    assert offered("start --plugin echo --set accesslog.no_such") == []
    path = tmp_path / "hello.py"
    path.write_text(
        "from reactorhost import Option, hookimpl\n@hookimpl\n"
        "def options():\n    return [Option('greeting', str, default='', help='the first line')]\n"
    )
    [item] = items(f"start {path} --set hello.gr")
    assert (item.value, item.help) == ("hello.greeting=", "the first line")
    assert "hello" not in sys.modules


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "workers.pid").write_text("0 17 2\n1 18 2\n1 11 1\n10 19 2\n")
    return tmp_path


@pytest.mark.parametrize("words", ["logs --run-dir {} --slot ", "--run-dir {} logs --slot "])
def test_slots_are_those_of_the_selected_host(host: Path, words: str) -> None:
    assert offered(words.format(host)) == ["0", "1", "10"]
    assert offered(words.format(host) + "1") == ["1", "10"]


def test_a_host_that_does_not_run_has_no_slots(tmp_path: Path) -> None:
    assert offered(f"logs --run-dir {tmp_path} --slot ") == []
    assert offered("logs --name /wrong/ --slot ") == []


def test_columns_are_completed_with_their_headings() -> None:
    names = [column.name for column in columns.ALL]
    assert offered("top --sort ") == names
    assert [item.help for item in items("top --sort cpu")] == ["CPU%"]
    assert "pid,cpu" in offered("top --columns pid,c")
    assert all(value.startswith("pid,c") for value in offered("top --columns pid,c"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("help ", list(COMMANDS)),
        ("help sta", ["start", "status"]),
        ("help config ", ["show"]),
        ("help stop ", []),
        ("help no-such ", []),
        ("start --log-format ", ["auto", "text", "json"]),
        ("stop --qu", ["--quiet"]),
    ],
)
def test_words_are_completed(words: str, expected: list[str]) -> None:
    assert offered(words)[: len(expected) or None] == expected


@pytest.mark.parametrize("words", ["--name ", "stop --name ", "--name x stop --name "])
def test_hosts_are_completed_before_and_behind_the_command(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reactorhost.master.instances.running", lambda bases: {"chat": Path("/a"), "blue": Path("/b")})
    assert offered(words) == ["chat", "blue"]
    assert offered(f"{words}b") == ["blue"]
