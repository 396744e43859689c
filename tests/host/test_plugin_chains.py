"""Several plugins on one service: each is called for the right events, in the order in which they are named."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from plugin_files import ECHO, WITNESS, plugin_file, told, told_until
from reactorhost.testing import LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]


def chain(*plugins: str) -> list[str]:
    return [word for plugin in plugins for word in ("--plugin", plugin)]


def test_access_log_with_echo_writes_a_line_for_each_connection(live_host: Hosts) -> None:
    host = live_host("--plugin", "accesslog", "--plugin", "echo", "--workers", "1")
    pid = host.workers()[0]["pid"]
    for number in range(1, 4):
        with host.connect() as client:
            client.sendall(b"x" * number)
            assert client.recv(10) == b"x" * number
            peer = "{}:{}".format(*client.getsockname())
        line = host.read_line()
        assert re.fullmatch(
            rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z default {re.escape(peer)} \d+\.\d{{3}}s"
            rf" in={number} out={number} reason=peer id={number} pid={pid}",
            line,
        )


def test_access_log_of_several_workers_contains_every_connection_once(live_host: Hosts, tmp_path: Path) -> None:
    file = tmp_path / "access"
    config = tmp_path / "host.toml"
    config.write_text(
        f'[service.web]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["accesslog", "echo"]\n'
        f'[plugin.accesslog]\nformat = "json"\nfile = "{file}"\n'
    )
    host = live_host("--config", str(config), "--workers", "3")
    address = host.address()
    peers = []
    for _ in range(60):
        with socket.create_connection(address, timeout=30) as client:
            client.sendall(b"hello")
            assert client.recv(5) == b"hello"
            peers.append("{}:{}".format(*client.getsockname()))
    until(lambda: file.read_text().count("\n") == 60, "a line for every connection")
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert sorted(entry["peer"] for entry in entries) == sorted(peers)
    assert {(entry["service"], entry["bytes_in"], entry["bytes_out"]) for entry in entries} == {("web", 5, 5)}
    assert {entry["pid"] for entry in entries} == {worker["pid"] for worker in host.workers()}


def test_access_log_contains_the_close_reason(live_host: Hosts, tmp_path: Path) -> None:
    plugin = plugin_file(tmp_path, "closer", "@hookimpl\ndef receive(connection, data):\n    connection.close()\n")
    host = live_host(*chain("accesslog", plugin), "--workers", "1")
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b""
    assert " in=1 out=0 reason=local " in host.read_line()


def test_a_plugin_can_refuse_a_client_before_the_handler(live_host: Hosts, tmp_path: Path) -> None:
    guard = plugin_file(
        tmp_path,
        "guard",
        """
        @hookimpl
        def connect(connection):
            connection.abort()
        """,
    )
    handler = plugin_file(
        tmp_path,
        "handler",
        WITNESS,
        """
        @hookimpl
        def receive(connection, data):
            tell("receive")
        """,
    )
    host = live_host(*chain(guard, handler), "--workers", "1")
    # The reset can arrive as early as in the client's connect.
    with pytest.raises(ConnectionResetError), host.connect() as client:
        client.recv(1)
    # Every plugin sees connect once and close once, also of a client that was refused.
    assert [told(host) for _ in range(2)] == [
        {"event": "connect", "id": 1},
        {"event": "close", "id": 1, "reason": "local", "read": 0, "sent": 0},
    ]


def test_plugins_are_called_in_the_named_order_until_one_consumes(live_host: Hosts, tmp_path: Path) -> None:
    source = """
        @hookimpl
        def connect(connection):
            tell("connect", by="{0}")

        @hookimpl
        def receive(connection, data):
            tell("receive", by="{0}")
            if data == b"{0}":
                connection.send(b"mine: {0}")
                return True
        """
    first, second, third = (plugin_file(tmp_path, name, source.format(name)) for name in ("b", "c", "a"))
    host = live_host(*chain(first, second, third), "--workers", "1")
    with host.connect() as client:
        assert [told(host)["by"] for _ in range(3)] == ["b", "c", "a"]
        for data, asked in ((b"c", ["b", "c"]), (b"b", ["b"]), (b"a", ["b", "c", "a"])):
            client.sendall(data)
            assert client.recv(20) == b"mine: " + data
            assert [told(host)["by"] for _ in asked] == asked


def test_falsy_results_consume_and_none_does_not(live_host: Hosts, tmp_path: Path) -> None:
    plugins = [
        plugin_file(tmp_path, "zero", '@hookimpl\ndef receive(data):\n    return 0 if data == b"0" else None\n'),
        plugin_file(tmp_path, "echo2", ECHO),
    ]
    host = live_host(*chain(*plugins), "--workers", "1")
    with host.connect() as client:
        client.sendall(b"0")
        host.until(lambda status: status["totals"]["messages"] == 1)
        client.sendall(b"1")
        assert client.recv(10) == b"1"


def test_plugins_can_change_the_order(live_host: Hosts, tmp_path: Path) -> None:
    plugins = [
        plugin_file(tmp_path, name, f'@hookimpl{mark}\ndef connect(connection):\n    tell("connect", by="{name}")\n')
        for name, mark in (("last", "(trylast=True)"), ("middle", ""), ("first", "(tryfirst=True)"))
    ]
    host = live_host(*chain(*plugins), "--workers", "1")
    with host.connect():
        assert [told(host)["by"] for _ in range(3)] == ["first", "middle", "last"]


def test_a_wrapper_wraps_the_handler(live_host: Hosts, tmp_path: Path) -> None:
    wrapper = plugin_file(
        tmp_path,
        "wrapper",
        """
        @hookimpl(wrapper=True)
        def receive(connection, data):
            connection.send(b"<")
            result = yield
            connection.send(b">")
            tell("result", result=result)
            return result
        """,
    )
    handler = plugin_file(
        tmp_path,
        "handler",
        """
        @hookimpl
        def receive(connection, data):
            connection.send(data)
            return "consumed"
        """,
    )
    host = live_host(*chain(wrapper, handler), "--workers", "1")
    with host.connect() as client:
        client.sendall(b"x")
        answer = b""
        while len(answer) < 3:
            answer += client.recv(3)
        assert answer == b"<x>"
        assert told(host)["result"] == "consumed"


def test_a_wrapper_can_suppress_an_exception(live_host: Hosts, tmp_path: Path) -> None:
    wrapper = plugin_file(
        tmp_path,
        "wrapper",
        """
        @hookimpl(wrapper=True)
        def receive(connection, data):
            try:
                return (yield)
            except ValueError:
                connection.send(b"caught")
                return True
        """,
    )
    handler = plugin_file(tmp_path, "handler", "@hookimpl\ndef receive(data):\n    raise ValueError\n")
    host = live_host(*chain(wrapper, handler), "--workers", "1")
    with host.connect() as client:
        for _ in range(2):
            client.sendall(b"x")
            assert client.recv(10) == b"caught"


DRAINING = """
import os

slot = None

@hookimpl
def worker_start(worker):
    global slot
    slot = worker.slot

@hookimpl
def connect(connection):
    tell("connect", slot=slot)

@hookimpl
def drain(connection):
    tell("drain", id=connection.id)
    connection.send(b"goodbye")
    connection.close()

@hookimpl
def close(connection, reason):
    tell("close", reason=reason.value)

@hookimpl
def worker_stop(worker):
    if worker.slot == 1 and worker.generation == 1:
        tell("worker_stop", left=len(list(worker.connections)), pid=worker.pid)
"""


@pytest.mark.parametrize("way", ["reload", "scale", "TERM", "stop"])
def test_drain_and_worker_stop_are_called_when_a_worker_leaves(live_host: Hosts, tmp_path: Path, way: str) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "draining", DRAINING, ECHO), "--workers", "2")
    pid = next(worker["pid"] for worker in host.workers() if worker["slot"] == 1)
    client = host.connect()
    while told(host) != {"event": "connect", "slot": 1}:
        client.close()
        assert told(host)["event"] == "close"
        client = host.connect()
    with client:
        match way:
            case "reload":
                host.signal(signal.SIGUSR1)
            case "scale":
                assert host.ask("scale", workers=1)["status"] == 0
            case "TERM":
                os.kill(pid, signal.SIGTERM)
            case "stop":
                host.signal(signal.SIGTERM)
        assert client.recv(10) == b"goodbye"
        assert client.recv(10) == b""
    facts = told_until(host, "worker_stop")
    assert [fact["event"] for fact in facts] == ["drain", "close", "worker_stop"]
    assert facts[1]["reason"] == "local"
    assert facts[2] == {"event": "worker_stop", "left": 0, "pid": pid}


def test_worker_hooks_of_a_plugin_on_two_services_are_called_once(live_host: Hosts, tmp_path: Path) -> None:
    plugin_file(
        tmp_path,
        "counting",
        ECHO,
        """
        @hookimpl
        def worker_start(worker):
            worker.log.info("counting_started")

        @hookimpl
        def worker_stop(worker):
            worker.log.info("counting_stopped")
        """,
    )
    config = tmp_path / "host.toml"
    config.write_text(
        '[service.one]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["./counting.py"]\n'
        '[service.two]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["./counting.py"]\n'
    )
    host = live_host("--config", str(config), "--workers", "1")
    with host.connect("one") as one, host.connect("two") as two:
        for client in (one, two):
            client.sendall(b"x")
            assert client.recv(1) == b"x"
    assert host.stop() == 0
    assert host.log().count("counting_started") == host.log().count("counting_stopped") == 1
