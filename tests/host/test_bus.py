"""The bus between the workers of a host: what its clients see of groups, topics and references."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from line_clients import LineClient, on_each_worker
from pki import Pki
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]

PLUGIN = """
import os

from reactorhost.framing import Lines

@hookimpl
def framing(service):
    return Lines()

@hookimpl
ASYNC def worker_start(worker):
    global this
    this = worker
    worker.subscribe("news*", forward)

@hookimpl
ASYNC def worker_stop(worker):
    worker.publish("news", b"stopped")

ASYNC def forward(topic, data):
    if data == b"bad":
        raise ValueError("bad news")
    this.send_to(topic, data, local=True)

@hookimpl
ASYNC def receive(connection, data):
    command, name, *rest = data.decode("unicode_escape").split(" ")
    reply = None
    match command:
        case "join":
            connection.join(name, b"member")
            reply = "joined"
        case "count":
            reply = len(this.presence(name))
        case "say":
            for number in range(int(rest[0]), int(rest[1])):
                this.send_to(name, b"%d:%d" % (os.getpid(), number))
        case "publish":
            this.publish(name, rest[0].encode())
        case "large":
            this.send_to(name, bytes(int(rest[0])))
        case "ref":
            reply = connection.ref
        case "to":
            reply = this.send_to_ref(name, rest[0].encode())
        case "close":
            reply = this.close_ref(name)
    if reply is not None:
        connection.send_message(str(reply).encode())
"""

KINDS = {"plain": ("", ()), "asyncio": ("async ", ()), "uvloop": ("async ", ("--event-loop", "uvloop"))}

StartHost = Callable[..., LiveHost]


@pytest.fixture
def start(live_host: Hosts, write_plugin: Callable[..., str]) -> StartHost:
    """Return a function that starts a host of this many workers."""

    def start(workers: int, *arguments: str, kind: str = "plain") -> LiveHost:
        if kind == "uvloop":
            pytest.importorskip("uvloop")
        word, event_loop = KINDS[kind]
        plugin = write_plugin(PLUGIN.replace("ASYNC ", word))
        return live_host("--plugin", plugin, "--workers", str(workers), *event_loop, *arguments)

    return start


def meet(clients: list[LineClient], group: str = "room", *, others: int = 0) -> None:
    """Let clients join a group, and wait until the worker of each knows all of them, and `others`."""
    for client in clients:
        assert client.request(f"join {group}") == "joined"
    everyone = str(len(clients) + others)
    for client in clients:
        until(lambda client=client: client.request(f"count {group}") == everyone, f"a group of {everyone}")  # type: ignore[misc]


def messages(client: LineClient, count: int) -> dict[str, list[int]]:
    """Read this many messages; returns the numbers of each sender, as they came."""
    read: dict[str, list[int]] = {}
    for _ in range(count):
        sender, _, number = client.line().partition(":")
        read.setdefault(sender, []).append(int(number))
    return read


@pytest.mark.parametrize("kind", KINDS)
def test_a_broadcast_reaches_the_members_of_every_worker_in_order(start: StartHost, kind: str) -> None:
    with ExitStack() as stack:
        clients = on_each_worker(start(4, kind=kind), stack)
        meet(clients)
        for client in clients:
            client.send("say room 0 200")
        for client in clients:
            read = messages(client, 4 * 200)
            assert list(read.values()) == [list(range(200))] * 4


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_published_reaches_the_functions_of_every_worker_once(start: StartHost, kind: str) -> None:
    with ExitStack() as stack:
        clients = on_each_worker(start(3, kind=kind), stack)
        meet(clients, "news.today")
        for number, client in enumerate(clients):
            client.send(f"publish news.today {number}")
        for client in clients:
            assert sorted(client.line() for _ in clients) == ["0", "1", "2"]
            # Nothing is left: the next line is the answer.
            assert client.request("count news.today") == "3"


@pytest.mark.parametrize("kind", ["plain", "asyncio"])
def test_what_worker_stop_publishes_reaches_the_others(start: StartHost, kind: str) -> None:
    host = start(2, kind=kind)
    with ExitStack() as stack:
        clients = on_each_worker(host, stack)
        meet(clients, "news")
        clients[0].close()
        os.kill(host.workers()[0]["pid"], signal.SIGTERM)
        assert clients[1].line() == "stopped"


def test_references_reach_connections_of_other_workers(start: StartHost) -> None:
    with ExitStack() as stack:
        one, two = on_each_worker(start(2), stack)
        meet([one, two])
        ref = two.request("ref -")
        assert one.request(f"to {ref} hello") == "True"
        assert two.line() == "hello"
        assert one.request(f"close {ref}") == "True"
        with pytest.raises(EOFError):
            two.line()
        # Its worker is there, so this one cannot know.
        assert one.request(f"to {ref} hello") == "True"
        # The host has no such worker.
        assert one.request(f"to {ref[:17]}{'0' * 16}-1 hello") == "False"


def test_members_of_draining_workers_stay_members_in_a_reload(start: StartHost) -> None:
    host = start(2)
    with ExitStack() as stack:
        old = on_each_worker(host, stack)
        meet(old)
        sent = 0
        before = {worker["pid"] for worker in host.workers()}
        host.signal(signal.SIGHUP)
        # In the middle of everything that a reload does.
        while len({worker["pid"] for worker in host.workers()} - before) < 2:
            old[0].send(f"say room {sent} {sent + 10}")
            sent += 10
        new = on_each_worker(host, stack)
        old[0].send(f"say room {sent} {sent + 10}")
        for client in old:
            assert list(messages(client, sent + 10).values()) == [list(range(sent + 10))]
        meet(new, others=2)
        for client in (old[1], new[1]):
            client.send("say room 0 100")
        for client in (*old, *new):
            assert list(messages(client, 200).values()) == [list(range(100))] * 2
        assert {worker["pid"] for worker in host.workers("draining")} == before


def test_members_of_a_worker_that_is_killed_are_gone_and_the_others_stay(
    start: StartHost, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    host = start(3)
    with ExitStack() as stack:
        clients = on_each_worker(host, stack)
        meet(clients)
        clients[1].send("say room 0 5000")
        os.kill(host.workers()[1]["pid"], signal.SIGKILL)
        others = clients[0], clients[2]
        for client in others:
            until(lambda client=client: count_of_group(client) == 2, "a group of 2")  # type: ignore[misc]
        for client in others:
            client.send("say room 9000 9001")
        for client in others:
            client.until(":9000")
            client.until(":9000")


def count_of_group(client: LineClient) -> int:
    """Return how many members the worker of a client knows, and skip messages of the group before the answer."""
    client.send("count room")
    while ":" in (line := client.line()):
        pass
    return int(line)


def test_a_function_that_raises_is_logged_and_called_again(start: StartHost, expected_errors: list[str]) -> None:
    expected_errors.append("hook_failed")
    host = start(2)
    with ExitStack() as stack:
        clients = on_each_worker(host, stack)
        meet(clients, "news")
        clients[0].send("publish news bad")
        clients[0].send("publish news good")
        assert [client.line() for client in clients] == ["good", "good"]
        log = host.wait_for_log("hook_failed", 2)
    assert log.count('plugin=made hook=subscribe error="ValueError: bad news"') == 2


def test_what_cannot_be_sent_closes_the_connection_with_a_line_in_the_log(
    start: StartHost, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    host = start(1, "--bus-max-message", "1KiB")
    malformed = "the name of a group has a character that cannot be printed:"
    for number, (command, error) in enumerate(
        [
            (
                "large room 1025",
                "worker.send_to got a message of 1025 bytes, more than the setting max_message of [bus]",
            ),
            (r"join a\0b", rf"{malformed} 'a\\x00b'"),
            (r"say a\nb 0 1", rf"{malformed} 'a\\nb'"),
            ("close 1-2-3", "not a reference to a connection: '1-2-3'"),
        ],
        1,
    ):
        with LineClient(host.connect()) as client:
            client.send(command)
            with pytest.raises(EOFError):
                client.line()
        assert f"ValueError: {error}" in host.wait_for_log("error hook_failed", number)


def test_members_of_every_kind_of_address_are_reached(start: StartHost, tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    pki.issue("server", "localhost")
    path = tmp_path / "socket"
    listen = [
        word for url in ("tcp://127.0.0.1:0", "tls://127.0.0.1:0", f"unix://{path}") for word in ("--listen", url)
    ]
    host = start(2, *listen, *pki.arguments("server"))
    ports = [int(each.rpartition(":")[2]) for each in host.status()["services"][0]["addresses"][:2]]
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)) for port in ports
        ]
        sockets[1] = stack.enter_context(pki.wrap(sockets[1]))
        sockets.append(stack.enter_context(socket.socket(socket.AF_UNIX)))
        sockets[2].settimeout(DEADLINE_SECONDS)
        sockets[2].connect(str(path))
        clients = [stack.enter_context(LineClient(sock)) for sock in sockets]
        meet(clients)
        for client in clients:
            client.send("say room 0 3")
        for client in clients:
            numbers = [line.partition(":")[2] for line in (client.line() for _ in range(9))]
            assert sorted(numbers) == sorted("012" * 3)
