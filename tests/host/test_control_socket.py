"""The control socket: no input disturbs the host or other clients."""

from __future__ import annotations

import errno
import json
import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, cast

import pytest

from clients import answers, ended
from kernel import descriptors
from reactorhost.logs import EventLog
from reactorhost.master.admin import control_server
from reactorhost.master.admin.control_server import ControlServer
from reactorhost.reactor import READ, Reactor, new_poller
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.socket_table import inodes_of
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]


def speak(host: LiveHost) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(DEADLINE_SECONDS)
    try:
        client.connect(str(host.run_dir / "control.sock"))
    except OSError:
        client.close()
        raise
    return client


def unanswered(client: socket.socket, data: bytes) -> bool:
    """Send data; returns whether the host closes the connection without a response."""
    try:
        client.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return True
    return ended(client)


NO_REQUESTS = {
    "no json": b"hello\n",
    "half an object": b'{"verb": "status"\n',
    "a list": b'["status"]\n',
    "a number": b"1\n",
    "no text": b"\xff\xfe\x00\n",
    "deeply nested": b"[" * 100_000 + b"\n",
    "an empty line": b"\n",
    "a line without end": b"x" * (5 << 20),
    "a request for a web page": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a large number": b'{"verb": ' + b"9" * 10_000 + b"}\n",
}


@pytest.mark.parametrize("what", NO_REQUESTS)
def test_invalid_input_disconnects_only_its_client(echo_host: LiveHost, what: str) -> None:
    with speak(echo_host) as other, speak(echo_host) as client:
        assert unanswered(client, NO_REQUESTS[what])
        other.sendall(b'{"verb": "status"}\n')
        with other.makefile("rb") as lines:
            assert json.loads(lines.readline())["document"]["state"] == "running"
    with echo_host.connect() as served:
        assert answers(served)


@pytest.mark.parametrize(
    ("request_text", "what", "hint"),
    [
        ('{"verb": "statsu"}', "there is no verb 'statsu'", "did you mean 'status'?"),
        ('{"verb": "zzz"}', "there is no verb 'zzz'", "verbs: "),
        ('{"verb": ["status"]}', "there is no verb", "did you mean 'status'?"),
        ('{"verb": "\\ud800"}', "there is no verb", "verbs: "),
        ("{}", "there is no verb 'None'", "verbs: "),
    ],
)
def test_an_unknown_verb_gets_a_suggestion_and_exit_status_2(
    echo_host: LiveHost, request_text: str, what: str, hint: str
) -> None:
    with speak(echo_host) as client, client.makefile("rb") as lines:
        client.sendall(request_text.encode() + b"\n")
        answer = json.loads(lines.readline())
        assert answer["status"] == 2
        assert answer["what"].startswith(what)
        assert hint in answer["hint"]
        # The connection stays usable.
        client.sendall(b'{"verb": "status"}\n')
        assert json.loads(lines.readline())["status"] == 0


def test_requests_arrive_in_pieces_or_several_at_once(echo_host: LiveHost) -> None:
    with speak(echo_host) as client, client.makefile("rb") as lines:
        for piece in (b'{"ve', b'rb": "sta', b'tus"}\n{"verb": "launch"}\n{"verb"', b': "status"}\n'):
            client.sendall(piece)
        first, second, third = (json.loads(lines.readline()) for _ in range(3))
    assert "document" in first
    assert "arguments" in second
    assert "document" in third


def test_a_client_that_never_reads_does_not_delay_others(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with speak(host) as silent:
        silent.sendall(b'{"verb": "status"}\n' * 2000)
        assert host.status()["state"] == "running"
        with host.connect() as served:
            assert answers(served)
        assert host.command("reload").returncode == 0
        # The client can still read all of it.
        with silent.makefile("rb") as lines:
            assert all(json.loads(lines.readline())["status"] == 0 for _ in range(2000))


def test_a_client_that_never_reads_does_not_delay_a_stop(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with speak(host) as silent:
        silent.sendall(b'{"verb": "status"}\n' * 2000)
        assert host.stop() == 0


def test_clients_that_disconnect_leave_no_descriptor(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    host.status()
    before = descriptors(host.pid)
    for _ in range(5):
        for _ in range(10):
            with speak(host) as vanishing:
                vanishing.sendall(b'{"verb": "connections"}\n{"verb": "sta')
        # One after the other, so that the queue never fills up.
        host.status()
    with ExitStack() as stack:
        clients = [stack.enter_context(speak(host)) for _ in range(20)]
        for client in clients:
            client.sendall(b"garbage\n")
        assert all(ended(client) for client in clients)
    until(lambda: descriptors(host.pid) <= before, "the end of every descriptor")


def test_a_worker_has_no_descriptor_of_a_control_client(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with speak(host) as client:
        client.sendall(b'{"verb": "status"}\n')
        assert client.recv(1)
        assert host.command("reload").returncode == 0
        host.until(lambda status: len(status["workers"]) == 1)
        (new,) = host.workers()
        # Forked while a client was connected: the listener is the only socket of the master that it has.
        assert len(inodes_of(new["pid"]) & inodes_of(host.pid)) == 1


class FullListener:
    """A listener of a process that has no descriptor left at first."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.refused = 0

    def accept(self) -> Any:
        if not self.refused:
            self.refused += 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)


def test_without_descriptors_the_control_socket_is_not_polled_in_every_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_server, "_RETRY_SECONDS", 0.05)
    with closing(Reactor(new_poller("epoll"))) as reactor, socket.socket(socket.AF_UNIX) as client:
        verbs = {"ping": lambda session, message: session.done()}
        log = EventLog(logging.getLogger("test"))
        server = ControlServer(reactor, ForkRegistry(), tmp_path / "control.sock", verbs, log)
        server.open()
        monkeypatch.setattr(server, "_listener", FullListener(cast("socket.socket", server._listener)))
        client.connect(str(tmp_path / "control.sock"))
        client.sendall(b'{"verb":"ping"}\n')
        client.setblocking(False)
        reactor.call_later(DEADLINE_SECONDS, reactor.stop)
        reactor.register(client.fileno(), READ, lambda events: reactor.stop())
        reactor.run()
        # The refused accept, the retry, the accept, the request, the response.
        assert reactor.turns < 10
        assert json.loads(client.recv(100)) == {"status": 0}
        server.close()
