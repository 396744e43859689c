"""An exception in a plugin is logged and closes its own connection, and no other."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import ended
from plugin_files import ECHO, WITNESS, plugin_file, told, told_until
from reactorhost.testing import LiveHost

Hosts = Callable[..., LiveHost]

FAILING = {
    "connect": """
        @hookimpl
        def connect(connection):
            if bad(connection):
                raise ValueError("in connect")

        @hookimpl
        def receive(connection, data):
            connection.send(data)
        """,
    "receive": """
        @hookimpl
        def receive(connection, data):
            if data == b"fail":
                raise ValueError("in receive")
            connection.send(data)
        """,
    "close": """
        @hookimpl
        def receive(connection, data):
            connection.send(data)
            if data == b"fail":
                connection.close()

        @hookimpl
        def close(connection, reason):
            if bad(connection):
                raise ValueError("in close")
        """,
    "timer": """
        def late():
            raise ValueError("in timer")

        @hookimpl
        def receive(connection, data):
            if data == b"fail":
                connection.call_later(0.01, late)
            else:
                connection.send(data)
        """,
}

# Hooks that do not see data fail for the second client of a worker.
BAD = """
def bad(connection):
    return connection.id == 2
"""


@pytest.mark.parametrize("hook", FAILING)
def test_an_exception_closes_only_its_own_connection(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str], hook: str
) -> None:
    expected_errors.append("hook_failed")
    failing = plugin_file(tmp_path, "failing", BAD, FAILING[hook])
    witness = plugin_file(tmp_path, "witness", WITNESS)
    host = live_host("--plugin", failing, "--plugin", witness, "--workers", "1")
    with host.connect() as other:
        other.sendall(b"one")
        assert other.recv(3) == b"one"
        assert told(host) == {"event": "connect", "id": 1}
        with host.connect() as client:
            client.sendall(b"fail")
            answer = b"".join(iter(lambda: client.recv(100), b""))
            assert answer == (b"fail" if hook == "close" else b"")
            peer = "{}:{}".format(*client.getsockname())
        # Every other plugin is called as for any connection: connect once, close once.
        assert told(host) == {"event": "connect", "id": 2}
        closed = told(host)
        assert (closed["event"], closed["id"]) == ("close", 2)
        assert closed["reason"] == ("local" if hook == "close" else "error")
        other.sendall(b"two")
        assert other.recv(3) == b"two"
    assert told(host)["id"] == 1
    log = host.wait_for_log("hook_failed")
    line = next(line for line in log.splitlines() if "hook_failed" in line)
    assert " error hook_failed " in line
    for fact in ("plugin=failing", f"hook={hook}", f"peer={peer}", "connection=2", "ValueError: in"):
        assert fact in line
    assert "Traceback (most recent call last)" in log
    assert re.search(r'File ".*/failing\.py", line \d+, in ', log)
    assert log.count("hook_failed") == 1
    host.until(lambda status: status["totals"]["hook_errors"] == 1)


def test_an_exception_in_drain_closes_its_connection_and_the_others_drain(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    plugin = plugin_file(
        tmp_path,
        "failing",
        WITNESS,
        ECHO,
        """
        @hookimpl
        def drain(connection):
            if connection.id == 1:
                raise ValueError("in drain")
            connection.send(b"going")
        """,
    )
    host = live_host("--plugin", plugin, "--workers", "1")
    with host.connect() as first, host.connect() as second:
        for client in (first, second):
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        assert host.command("reload").returncode == 0
        assert first.recv(10) == b""
        assert second.recv(10) == b"going"
        second.sendall(b"y")
        assert second.recv(1) == b"y"
    reasons = {fact["id"]: fact["reason"] for fact in (told(host) for _ in range(4)) if fact["event"] == "close"}
    assert reasons == {1: "error", 2: "peer"}
    assert "plugin=failing hook=drain" in host.wait_for_log("hook_failed")


def test_every_plugin_is_called_although_one_raises(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    source = """
        @hookimpl
        def connect(connection):
            tell("connect", by=__name__.rpartition(".")[2])
            raise ValueError

        @hookimpl
        def close(connection, reason):
            tell("close", by=__name__.rpartition(".")[2], reason=reason.value)
            raise ValueError
        """
    plugins = [plugin_file(tmp_path, name, source) for name in ("one", "two", "three")]
    host = live_host(*(word for plugin in plugins for word in ("--plugin", plugin)), "--workers", "1")
    with host.connect() as client:
        assert client.recv(1) == b""
    facts = [told(host) for _ in range(6)]
    assert [fact["event"] for fact in facts] == ["connect"] * 3 + ["close"] * 3
    assert {fact["reason"] for fact in facts[3:]} == {"error"}
    assert len({fact["by"] for fact in facts[:3]}) == len({fact["by"] for fact in facts[3:]}) == 3
    log = host.wait_for_log("hook_failed", 6)
    for name in ("one", "two", "three"):
        assert log.count(f"hook_failed worker={worker(host)} slot=0 plugin={name} ") == 2


def worker(host: LiveHost) -> int:
    return int(host.workers()[0]["pid"])


@pytest.mark.parametrize("hook", ["connect", "receive"])
def test_no_exception_ends_the_worker(live_host: Hosts, tmp_path: Path, expected_errors: list[str], hook: str) -> None:
    expected_errors.append("hook_failed")
    arguments = "connection" if hook == "connect" else "connection, data"
    raised = ("SystemExit", "RecursionError", "MemoryError")
    source = f"errors = [{', '.join(raised)}]\n@hookimpl\ndef {hook}({arguments}):\n    raise errors.pop(0)(3)\n"
    host = live_host("--plugin", plugin_file(tmp_path, "failing", source), "--workers", "1")
    pid = worker(host)
    for failures in range(1, len(raised) + 1):
        with host.connect() as client:
            client.sendall(b"x")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
        log = host.wait_for_log(" hook_failed ", failures)
    assert [text in log for text in ("sys.exit(3)", "RecursionError: 3", "MemoryError: 3")] == [True] * 3
    assert worker(host) == pid


def test_an_exception_in_a_worker_timer_is_logged_and_closes_no_connection(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    plugin = plugin_file(
        tmp_path,
        "failing",
        ECHO,
        """
        count = 0

        def once():
            raise ValueError("once")

        def again(worker):
            global count
            count += 1
            tell("again", count=count, slot=worker.slot)
            if count < 3:
                raise ValueError("again")

        @hookimpl
        def worker_start(worker):
            worker.call_later(0.01, once)
            worker.call_every(0.02, again, worker)
        """,
    )
    host = live_host("--plugin", plugin, "--workers", "1")
    with host.connect() as client:
        # Log lines from before the host was ready are not visible here.
        first = told(host)["count"]
        assert [told(host)["count"] for _ in range(4)] == [first + number for number in range(1, 5)]
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    log = host.wait_for_log("hook_failed", 3)
    assert log.count("plugin=failing hook=timer") == 3
    assert log.count("ValueError: once") >= 1
    assert host.log().count("hook_failed") == 3


def test_an_exception_in_worker_stop_does_not_prevent_the_others(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    source = """
        @hookimpl
        def worker_stop(worker):
            tell("worker_stop", slot=worker.slot)
            raise ValueError
        """
    plugins = [plugin_file(tmp_path, name, source) for name in ("one", "two")]
    host = live_host("--plugin", plugins[0], "--plugin", plugins[1], "--workers", "1")
    assert host.stop() == 0
    assert [told(host)["event"] for _ in range(2)] == ["worker_stop"] * 2
    assert host.log().count("hook=worker_stop") == 2


def test_failures_of_a_service_do_not_affect_others(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    plugin_file(tmp_path, "failing", "@hookimpl\ndef receive(connection, data):\n    raise ValueError\n")
    config = tmp_path / "host.toml"
    config.write_text(
        '[service.bad]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["./failing.py"]\n'
        '[service.good]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["echo"]\n'
    )
    host = live_host("--config", str(config), "--workers", "1")
    with host.connect("good") as good, host.connect("bad") as bad:
        bad.sendall(b"x")
        assert bad.recv(1) == b""
        good.sendall(b"x")
        assert good.recv(1) == b"x"
    assert "plugin=failing hook=receive" in host.wait_for_log("hook_failed")


def test_close_is_called_exactly_once_for_each_failed_connection(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    plugin = plugin_file(
        tmp_path,
        "failing",
        WITNESS,
        """
        @hookimpl
        def receive(connection, data):
            # Every way to close a connection, all at once.
            connection.close()
            connection.abort()
            raise ValueError
        """,
    )
    host = live_host("--plugin", plugin, "--workers", "1")
    with host.connect() as client:
        client.sendall(b"x")
        assert ended(client)
    with host.connect():
        facts = told_until(host, "connect") + told_until(host, "connect")
    assert [(fact["event"], fact["id"]) for fact in facts] == [("connect", 1), ("close", 1), ("connect", 2)]


def test_the_events_count_every_failure_as_the_plugin_does(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    host = live_host("--plugin", plugin_file(tmp_path, "failing", FAILING["receive"]), "--workers", "1")
    for _ in range(12):
        with host.connect() as client:
            client.sendall(b"fail")
            assert ended(client)

    def counted(document: dict[str, Any]) -> tuple[list[int], list[int]]:
        events = [each["count"] for each in document["events"] if each["event"] == "hook_failed"]
        return events, [each["errors"] for each in document["plugins"]]

    host.until(lambda document: counted(document) == ([12], [12]), "all failures")
