"""What a host replies to `restart` is checked, and only its settings become the environment of the new host."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from reactorhost.address import parse
from reactorhost.cli.launch import Launch, resolved
from reactorhost.cli.restart import _check_addresses, _checked
from reactorhost.config.resolve import resolve
from reactorhost.errors import ReactorhostError

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


def test_a_command_of_another_environment_is_refused() -> None:
    with pytest.raises(
        ReactorhostError, match="the host runs in the environment /srv/venv, this command in"
    ) as refused:
        _checked(Launch.from_reply(REPLY), ())
    assert refused.value.hint is not None
    assert refused.value.hint.startswith("restart it with /srv/venv/bin/reactorhost")


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
