"""`reactorhost NAME COMMAND`: the commands of plugins, and their failures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from daemons import COMMAND, run

Write = Callable[..., str]

CHAT = '''
import sys, time
import click
from reactorhost import Option

@hookimpl
def options():
    return [Option("limit", int), Option("key", default="", secret=True)]

@hookimpl
def configure(config):
    raise AssertionError("not called by commands")

@hookimpl
def commands(cli):
    @cli.command()
    @click.argument("name")
    @click.pass_obj
    def user(config, name):
        """Add a user."""
        click.echo(f"{name} {config['limit'] + 1}")
        return 5

    @cli.command()
    def plain():
        """Read no option."""
        click.echo("plain")

    @cli.command()
    def fails():
        raise FileNotFoundError("No such file or directory")

    @cli.command()
    async def later(): ...

    @cli.command()
    @click.argument("how")
    @click.pass_context
    def leave(context, how):
        if how == "context":
            context.exit(3)
        if how == "sys":
            sys.exit(4)
        raise click.ClickException("not today")

    @cli.command()
    def waits():
        print("waiting", flush=True)
        time.sleep(60)

    @cli.command()
    def much():
        for _ in range(100_000):
            click.echo("x" * 80)

    @cli.group()
    def deeper():
        """Nested commands."""

    @deeper.command()
    def inside():
        click.echo("inside")
'''


@pytest.fixture
def chat(write_plugin: Write) -> str:
    return write_plugin(CHAT, "chat")


def install(folder: Path, name: str, source: str) -> dict[str, str]:
    """Install a plugin into a folder, and return the environment in which it is found."""
    facts = folder / f"reactorhost_x{name}-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: reactorhost-x{name}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[reactorhost]\n{name} = reactorhost_x{name}\n")
    (folder / f"reactorhost_x{name}.py").write_text(f"from reactorhost import hookimpl\n{source}")
    return {"PYTHONPATH": str(folder)}


def completed(words: str, environment: dict[str, str]) -> list[str]:
    position = str(len(words.split(" ")) - 1)
    variables = {"_REACTORHOST_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": position}
    ended = run(environment={**environment, **variables})
    assert (ended.returncode, ended.stderr) == (0, "")
    return [line.partition(",")[2] for line in ended.stdout.splitlines() if line]


def test_commands_are_listed_and_run_with_the_plugins_options(chat: str, tmp_path: Path) -> None:
    listing = run(chat, "--help")
    assert listing.returncode == 0, listing.stderr
    assert "  user    Add a user.\n" in listing.stdout
    assert "  deeper  Nested commands.\n" in listing.stdout
    config = tmp_path / "host.toml"
    config.write_text(f"[service.a]\nlisten = 'tcp://:1'\nplugins = [{chat!r}, 'echo']\n[plugin.chat]\nlimit = 10\n")
    # Options of other plugins in REACTORHOST_SET are ignored.
    added = run(chat, "--config", str(config), "user", "bob", environment={"REACTORHOST_SET": "echo.x=1"})
    assert (added.returncode, added.stdout, added.stderr) == (0, "bob 11\n", "")
    added = run(chat, "user", "bob", environment={"REACTORHOST_CONFIG": str(config), "REACTORHOST_SET": "chat.limit=4"})
    assert (added.returncode, added.stdout) == (0, "bob 5\n")
    added = run(chat, "--set", "chat.limit=1", "user", "bob")
    assert (added.returncode, added.stdout) == (0, "bob 2\n")
    assert run(chat, "deeper", "inside").stdout == "inside\n"


def test_a_command_needs_a_configuration_only_when_it_reads_an_option(chat: str) -> None:
    assert run(chat, "plain").stdout == "plain\n"
    assert run(chat, "user", "--help").returncode == 0
    refused = run(chat, "user", "bob")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("reactorhost: plugin chat needs the option 'limit'\n")
    refused = run(chat, "--set", "chat.limit=x", "user", "bob")
    assert refused.returncode == 2
    assert "'limit' of plugin chat is 'x', which is not a whole number\n  where: --set\n" in refused.stderr


def test_an_exception_in_a_command_is_one_sentence_and_a_traceback_on_request(chat: str) -> None:
    failed = run(chat, "fails")
    line = 1 + (
        Path(chat).read_text().split("\n").index('        raise FileNotFoundError("No such file or directory")')
    )
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.splitlines() == [
        f"reactorhost: a command of plugin chat failed: FileNotFoundError: {os.strerror(2)}",
        f"  where: {chat}:{line}",
    ]
    for words in (["--traceback", chat, "fails"], [chat, "--traceback", "fails"]):
        failed = run(*words)
        assert failed.stderr.startswith("Traceback")
        assert "raise FileNotFoundError" in failed.stderr


def test_an_async_command_is_reported(chat: str) -> None:
    failed = run(chat, "later")
    assert failed.returncode == 1
    assert "a command of plugin chat is async, which is not supported" in failed.stderr
    assert "never awaited" not in failed.stderr


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (["leave", "context"], 3, ""),
        (["leave", "sys"], 4, ""),
        (["leave", "click"], 1, "reactorhost: not today\n"),
        (["usr"], 2, "there is no command 'usr'"),
        (["user"], 2, "missing argument 'NAME'"),
    ],
)
def test_a_command_exits_with_the_status_that_click_defines(
    chat: str, words: list[str], status: int, error: str
) -> None:
    ended = run(chat, *words)
    assert ended.returncode == status
    assert error in ended.stderr
    assert "Traceback" not in ended.stderr


def test_ctrl_c_ends_a_command_with_130(chat: str) -> None:
    with subprocess.Popen([*COMMAND, chat, "waits"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, b"\n")


def test_a_closed_pipe_ends_a_command_silently(chat: str) -> None:
    with subprocess.Popen([*COMMAND, chat, "much"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("source", "status", "error"),
    [
        ("@hookimpl\ndef receive(data): ...\n", 2, "plugin made has no commands"),
        ("@hookimpl\ndef commands(cli):\n    1 / 0\n", 4, "plugin made failed in commands: ZeroDivisionError"),
        ("@hookimpl\ndef commands(cli):\n    cli.add_command(len, 'x')\n", 4, "plugin made: commands added <built-in"),
        ("@hookimpl\nasync def commands(cli): ...\n", 4, "hook 'commands' is async"),
    ],
)
def test_a_plugin_without_usable_commands_is_reported(
    write_plugin: Write, source: str, status: int, error: str
) -> None:
    ended = run(write_plugin(source), "x")
    assert (ended.returncode, ended.stdout) == (status, "")
    assert error in ended.stderr


def test_only_the_named_plugin_is_imported(tmp_path: Path) -> None:
    with_commands = (
        "import click\n@hookimpl\ndef commands(cli):\n    cli.command('hello')(lambda: click.echo('hello'))\n"
    )
    install(tmp_path / "site", "fine", with_commands)
    install(tmp_path / "site", "broken", "import os\nos._exit(9)\n")
    environment = install(tmp_path / "site", "status", with_commands)
    assert run("fine", "hello", environment=environment).stdout == "hello\n"
    assert "Usage: reactorhost fine" in run("fine", "--help", environment=environment).stdout
    assert "did you mean 'fine'?" in run("fien", environment=environment).stderr
    # Importing the broken plugin would end completion and help.
    assert completed("reactorhost fi", environment) == []
    assert completed("reactorhost broken ", environment) == []
    assert completed("reactorhost plugins br", environment) == ["broken"]
    assert "Plugins may add commands" in run("--help", environment=environment).stdout
    # A built-in command comes before a plugin of the same name.
    assert run("status", "hello", "--run-dir", str(tmp_path), environment=environment).returncode == 2
    page = run("plugins", "status", "--run-dir", str(tmp_path / "run"), environment=environment)
    assert page.returncode == 0, page.stderr
    assert "hidden: `reactorhost status` is a built-in command" in page.stdout


def test_a_word_that_names_no_plugin_imports_none() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "reactorhost", "strat"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert ended.returncode == 2
    assert "did you mean 'start'?" in ended.stderr
    assert "reactorhost_echo" not in ended.stderr
