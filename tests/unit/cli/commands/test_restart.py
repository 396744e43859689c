"""What a host replies to `restart` is checked, and only its settings become the environment of the new host."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from reactorhost.address import parse
from reactorhost.cli import client
from reactorhost.cli.app import _run
from reactorhost.cli.commands.launch import Launch, resolved
from reactorhost.cli.commands.restart import _check_addresses, _checked, restart
from reactorhost.cli.commands.stop import Stopped
from reactorhost.config.resolve import Location, resolve
from reactorhost.dashboard.output.progress import ProgressView
from reactorhost.errors import ReactorhostError, StoppedEarlyError

run: Callable[..., None] = restart.callback  # type: ignore[assignment]  # not None
restart_module = sys.modules[_checked.__module__]
REPLY = {
    "status": 0,
    "arguments": ["--traceback", "start", "-d", "--plugin", "echo"],
    "directory": "/srv/chat",
    "environment": {"REACTORHOST_WORKERS": "2"},
    "prefix": "/srv/venv",
}


def test_the_arguments_are_those_around_the_command() -> None:
    launch = Launch.from_reply(REPLY)
    assert (launch.before, launch.after) == (("--traceback",), ("-d", "--plugin", "echo"))


def test_options_before_the_command_select_the_host_of_the_next_start() -> None:
    arguments = ["--name", "start", "--run-dir", "/srv/run", "start", "-d", "echo"]
    launch = Launch.from_reply({**REPLY, "arguments": arguments})
    assert launch.after == ("-d", "echo")
    _, settings = resolved(launch)
    assert (settings.name, str(settings.run_dir), settings.services[0].plugins) == ("start", "/srv/run", ("echo",))


def test_the_quietness_of_the_first_start_is_not_that_of_the_next() -> None:
    launch = Launch.from_reply({**REPLY, "arguments": ["-q", "start", "echo", "--quiet", "-d"]})
    assert (launch.before, launch.after) == ((), ("echo", "-d"))


def test_an_older_host_reports_no_prefix() -> None:
    older = {name: value for name, value in REPLY.items() if name != "prefix"}
    assert Launch.from_reply(older).prefix == sys.prefix


@pytest.mark.parametrize(
    "wrong",
    [
        {"arguments": None},
        {"arguments": "start"},
        {"arguments": ["-c", "import evil"]},
        {"arguments": ["start", 1]},
        {"arguments": ["start", "a\0b"]},
        {"directory": None},
        {"directory": "/srv\0"},
        {"environment": None},
        {"environment": ["X"]},
        {"environment": {"X": 1}},
        {"environment": {"X": "\0"}},
        {"prefix": 1},
    ],
)
def test_a_reply_that_cannot_be_executed_is_refused_before_the_stop(wrong: dict[str, Any]) -> None:
    with pytest.raises(ReactorhostError, match="does not report how it was started"):
        Launch.from_reply({**REPLY, **wrong})


@pytest.fixture
def replied(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let a host in /srv/run reply to the requests of a restart; returns its status document."""
    status: dict[str, Any] = {"services": [], "state": "running"}
    replies = {"launch": {**REPLY, "name": "chat"}, "status": {"document": status}}
    monkeypatch.setattr(restart_module, "location_from", lambda flags: Location("chat", Path("/srv/run"), False))
    monkeypatch.setattr(client, "request", lambda location, verb: replies[verb])
    return status


@pytest.mark.parametrize(
    ("state", "goes_on"),
    [("running", "keeps serving"), ("leaving", "continues to stop"), ("stopping", "continues to stop")],
)
def test_an_interrupt_of_the_check_says_what_the_host_does(
    monkeypatch: pytest.MonkeyPatch, replied: dict[str, Any], state: str, goes_on: str
) -> None:
    replied["state"] = state
    monkeypatch.setattr(restart_module, "_checked", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(StoppedEarlyError) as interrupted:
        run(as_json=True)
    assert interrupted.value.what == f"interrupted: host 'chat' in /srv/run is not restarted and {goes_on}"


@pytest.mark.usefixtures("replied")
@pytest.mark.parametrize(
    ("words", "executed"),
    [
        ("restart", ["start", "-d", "--plugin", "echo"]),
        ("restart -q", ["start", "--quiet", "-d", "--plugin", "echo"]),
        ("-q restart --json", ["start", "--json", "--quiet", "-d", "--plugin", "echo"]),
    ],
)
def test_the_new_start_prints_what_the_restart_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, words: str, executed: list[str]
) -> None:
    execute = executing(monkeypatch, Stopped("chat"))
    assert _run(words.split()) == 0
    assert execute.call_args.args[1][-len(executed) :] == executed


def executing(monkeypatch: pytest.MonkeyPatch, stopped: Stopped) -> Mock:
    """Return what is called in place of execve(2), after a stop that ends so."""
    monkeypatch.setattr(restart_module, "_checked", Mock())
    monkeypatch.setattr(restart_module, "stop_and_wait", Mock(return_value=stopped))
    execute = Mock()
    monkeypatch.setattr(restart_module.os, "execve", execute)
    return execute


@pytest.mark.usefixtures("replied")
def test_a_host_whose_stop_was_not_complete_is_started_again_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    execute = executing(monkeypatch, Stopped("chat", ReactorhostError("the host has stopped before store was done")))
    assert _run(["restart"]) == 0
    execute.assert_called_once()
    assert "reactorhost: warning: the host has stopped before store was done\n" in capsys.readouterr().err


@pytest.mark.usefixtures("replied")
def test_the_commands_in_a_refusal_select_the_host() -> None:
    with pytest.raises(ReactorhostError) as refused:
        run(as_json=True)
    assert refused.value.hint is not None
    assert refused.value.hint.startswith("use `/srv/venv/bin/reactorhost restart --run-dir /srv/run`, ")


def test_a_command_of_another_environment_is_refused() -> None:
    with pytest.raises(
        ReactorhostError, match="the host runs in the environment /srv/venv, this command in"
    ) as refused:
        _checked(Launch.from_reply(REPLY), (), ProgressView("restarting", shown=False))
    assert refused.value.hint is not None
    assert refused.value.hint.startswith("use `/srv/venv/bin/reactorhost restart`, ")


def test_only_settings_and_variables_that_settings_name_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    callers = {"PATH": "/bin", "REACTORHOST_WORKERS": "9", "XDG_RUNTIME_DIR": "/run/user/7", "PWD": "/here"}
    for name in ("PATH", "TMPDIR", "REACTORHOST_SET", "X_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in callers.items():
        monkeypatch.setenv(name, value)
    sent = {"PYTHONPATH": "/evil", "LD_PRELOAD": "/evil.so", "PATH": "/evil", "REACTORHOST_LOG_LEVEL": "debug"}
    found, _ = resolved(Launch.from_reply({**REPLY, "environment": sent}))
    ours = {name: found.get(name) for name in (*callers, *sent)}
    assert ours == {
        "PATH": "/bin",
        "PWD": "/srv/chat",
        "REACTORHOST_WORKERS": None,
        "XDG_RUNTIME_DIR": None,
        "PYTHONPATH": None,
        "LD_PRELOAD": None,
        "REACTORHOST_LOG_LEVEL": "debug",
    }


@pytest.mark.parametrize(
    ("address", "itself"), [("unix://{0}/a.sock", "unix://{0}/./a.sock"), ("unix://@{0}", "unix://@{0}")]
)
def test_a_unix_socket_in_use_is_refused(tmp_path: Path, address: str, itself: str) -> None:
    listen = parse(address.format(tmp_path))
    settings = resolve({"plugins": ("echo",), "listen": (str(listen),)}, {}, tmp_path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(listen.unix_name)
        other.listen()
        # Its own, also by another name.
        _check_addresses(settings, [itself.format(tmp_path)])
        with pytest.raises(ReactorhostError, match="is in use by another process"):
            _check_addresses(settings, ["tcp://127.0.0.1:9"])
    _check_addresses(settings, [])


def test_the_address_of_the_endpoint_must_be_free_if_the_host_does_not_have_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        admin = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        settings = resolve({"plugins": ("echo",), "listen": ("tcp://127.0.0.1:0",), "admin": admin}, {}, tmp_path)
        _check_addresses(settings, [admin])
        with pytest.raises(ReactorhostError, match="is in use by another process"):
            _check_addresses(settings, [])
