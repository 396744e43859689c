"""Requests of commands: what the host says is put in words for this shell, and an interrupt says what goes on."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, Self
from unittest.mock import Mock

import pytest

from reactorhost.cli import client
from reactorhost.config.resolve import Location
from reactorhost.errors import BootError, ReactorhostError, StoppedEarlyError
from reactorhost.ipc.messages import Message

LOCATION = Location("chat", Path("/srv/chat"), False)


class FakeClient:
    """A connection to the host `chat`, which replies with these messages; an exception among them is raised."""

    def __init__(self, *replies: Any) -> None:
        self.socket = Mock()
        self.replies_left = list(replies)
        self.sent = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def send(self, verb: str, **fields: object) -> None:
        self.sent = verb

    def receive(self) -> list[Message]:
        if self.sent == "ping":
            return [{"status": 0, "name": "chat"}]
        reply = self.replies_left.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(reply, signal.Signals):
            signal.raise_signal(reply)
            return []
        return [reply]


def request(monkeypatch: pytest.MonkeyPatch, *replies: Any) -> tuple[Message, list[Message]]:
    """Request a reload, and return its result and the messages before."""
    monkeypatch.setattr(client, "connect", lambda location: FakeClient(*replies))
    messages: list[Message] = []
    return client.request(LOCATION, "reload", messages.append), messages


def test_the_commands_in_what_a_host_says_select_it(monkeypatch: pytest.MonkeyPatch) -> None:
    warning = {"progress": "old code until `reactorhost upgrade`", "warning": True}
    result, messages = request(monkeypatch, warning, {"status": 0, "generation": 2})
    assert messages == [{"progress": "old code until `reactorhost upgrade --run-dir /srv/chat`", "warning": True}]
    assert result["generation"] == 2
    failure = BootError("no worker", hint="use `reactorhost restart`").as_fields()
    with pytest.raises(BootError) as failed:
        request(monkeypatch, failure)
    assert failed.value.hint == "use `reactorhost restart --run-dir /srv/chat`"


def test_a_host_that_ends_is_named_with_the_command_that_shows_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReactorhostError) as failed:
        request(monkeypatch, ConnectionResetError())
    assert failed.value.lines() == [
        "host 'chat' in /srv/chat ended before it answered",
        "  hint: see `reactorhost logs --run-dir /srv/chat`",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_says_that_the_host_goes_on_and_how_to_follow_it(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedEarlyError) as interrupted:
        request(monkeypatch, {"progress": "1 of 2"}, number)
    assert interrupted.value.lines() == [
        "interrupted, but host 'chat' in /srv/chat continues the reload",
        "  hint: follow it with `reactorhost top --run-dir /srv/chat`",
    ]
    assert interrupted.value.exit_status == 130
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_view_goes_on_while_the_host_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made = FakeClient({"progress": "1 of 2"}, {"status": 0})
    monkeypatch.setattr(client, "connect", lambda location: made)
    view = Mock()
    client.request(LOCATION, "reload", view=view)
    view.show.assert_called_once_with("waiting for an answer of the master", step_seconds=0.0)
    # The ping has a limit, the request has none.
    assert [each.args for each in view.wait.call_args_list] == [([made.socket], 5.0), *[([made.socket], None)] * 2]


def test_a_master_that_does_not_answer_the_ping_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "connect", lambda location: FakeClient())
    monkeypatch.setattr(client, "running_pid", lambda location: 7)
    view = Mock()
    view.wait.return_value = []
    with pytest.raises(ReactorhostError, match=r"the master of the host in /srv/chat \(pid 7\) does not answer"):
        client.request(LOCATION, "reload", view=view)


@pytest.mark.parametrize(
    ("by_name", "hint"),
    [
        (True, "running: ops (--name ops)"),
        # Its namesake elsewhere would be stopped in its place.
        (False, "`reactorhost ls` lists the hosts that run, and where"),
    ],
)
def test_a_host_that_does_not_run_is_not_confused_with_another(
    monkeypatch: pytest.MonkeyPatch, by_name: bool, hint: str
) -> None:
    monkeypatch.setattr(client, "base_dirs", lambda environ, uid: [Path("/run/reactorhost")])
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.delenv("REACTORHOST_RUN_DIR", raising=False)
    others = {"ops": Path("/run/reactorhost/ops")}
    monkeypatch.setattr("reactorhost.master.instances.running", lambda bases: others)
    assert client.not_running(Location("chat", Path("/srv/chat"), by_name)).hint == hint
