"""Two hosts on one Redis server: groups, topics, presence and single connections reach from one to the other."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reactorhost.testing import LiveHost
from redis_server import RedisServer
from talk_plugin import PLUGIN, Client


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


Start = Callable[..., LiveHost]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a host with the plugin, on a server."""
    plugin = tmp_path / "talk.py"
    plugin.write_text(PLUGIN)
    with ExitStack() as hosts:

        def start(server: RedisServer, *arguments: str) -> LiveHost:
            name = f"host{len(list(tmp_path.iterdir()))}"
            url = f"{server.url}?retry=0.3"
            host = LiveHost(
                tmp_path / name, "--name", name, "--plugin", str(plugin), "--bus-url", url, "--workers", "1", *arguments
            )
            hosts.enter_context(host)
            # None at first, as the bus itself is.
            host.until(lambda status: ((status["bus"] or {}).get("backend") or {}).get("state") == "up", "a bus")
            return host

        yield start


@pytest.fixture
def clients() -> Iterator[Callable[[LiveHost], Client]]:
    opened: list[Client] = []

    def connect(host: LiveHost) -> Client:
        opened.append(Client(host))
        return opened[-1]

    yield connect
    for client in opened:
        client.close()


def test_what_one_host_sends_the_other_receives(
    server: RedisServer, start: Start, clients: Callable[[LiveHost], Client]
) -> None:
    one, other = start(server), start(server)
    ann, bob = clients(one), clients(other)
    assert ann.ask("join room Ann") == "ok"
    assert ann.read() == "joined Ann"
    assert bob.ask("join room Bob") == "ok"
    assert ann.until("joined Bob") == []
    bob.until("joined Bob")
    ann.send("say room hello")
    bob.until("hello")
    assert ann.read() == "hello"
    assert ann.ask("who room") == "who Ann,Bob"
    ann.send("publish news.today rain")
    bob.until("topic news.today rain")
    assert ann.read() == "topic news.today rain"
    assert bob.ask(f"to {ann.ask('ref')} psst") == "1"
    assert ann.read() == "psst"
    bob.close()
    assert ann.read() == "left Bob"
    ann.send("say kept.room 1")
    ann.send("say kept.room 2")
    carl = clients(other)
    # The topic reaches the connections that are accepted.
    assert carl.ask("who room") == "who Ann"
    # In order with the topic, which is published after.
    ann.send("publish news.end .")
    carl.until("topic news.end .")
    assert carl.ask("history kept.room") == "history 1,2"


def test_an_outage_is_a_gap_on_both_hosts_and_shown(
    server: RedisServer, start: Start, clients: Callable[[LiveHost], Client]
) -> None:
    one, other = start(server), start(server)
    ann, bob = clients(one), clients(other)
    for client in (ann, bob):
        assert client.ask("join room") == "ok"
    server.kill()
    for host in (one, other):
        down = host.until(lambda status: status["bus"]["backend"]["state"] == "down")
        assert down["bus"]["backend"]["reason"]
    ann.send("say room lost")
    assert ann.read() == "lost"
    server.start()
    for client in (ann, bob):
        client.until("gap room 0")
    ann.send("say room back")
    # Perhaps after a second gap: what was lost on its way to the server is notified too.
    assert set(bob.until("back")) <= {"gap room 0"}


def test_members_leave_with_a_host_that_stops(
    server: RedisServer, start: Start, clients: Callable[[LiveHost], Client]
) -> None:
    # At once, and not because the workers of the other host are silent for `down_period`.
    period = ("--bus-down-period", "1h")
    one, other = start(server, *period), start(server, *period, "--stop-timeout", "1.5")
    ann, bob = clients(one), clients(other)
    assert ann.ask("join room") == "ok"
    assert bob.ask("join room Bob") == "ok"
    ann.until("joined Bob")
    other.stop()
    ann.until("left Bob")


def test_members_leave_with_a_worker_that_is_killed(
    server: RedisServer, start: Start, clients: Callable[[LiveHost], Client]
) -> None:
    # As above.
    period = ("--bus-down-period", "1h")
    one, other = start(server, *period), start(server, *period, "--workers", "3")
    ann, bob = clients(one), clients(other)
    assert ann.ask("join room") == "ok"
    assert bob.ask("join room Bob") == "ok"
    ann.until("joined Bob")
    status = other.until(lambda status: [each["connections"] for each in status["workers"]].count(1) == 1, "Bob")
    os.kill(next(each["pid"] for each in status["workers"] if each["connections"]), signal.SIGKILL)
    # By the other workers of the host. What the worker had not sent is missing.
    assert ann.until("left Bob") == []
    assert ann.read() == "gap room 0"


def test_a_reload_of_one_host_loses_nothing_for_members_that_stay(
    server: RedisServer, start: Start, clients: Callable[[LiveHost], Client]
) -> None:
    one, other = start(server), start(server)
    ann, bob = clients(one), clients(other)
    assert ann.ask("join room") == "ok"
    assert bob.ask("join room") == "ok"
    before = other.workers()[0]["pid"]
    # Both directions, while the worker of one host is replaced and after.
    other.signal(signal.SIGUSR1)
    sent = 0
    while other.workers()[:1] == [] or other.workers()[0]["pid"] == before:
        ann.send(f"say room {sent}")
        bob.send(f"say room b{sent}")
        sent += 1
    assert sent, "nothing was sent during the reload: this test shows nothing"
    ann.send("say room end")
    bob.send("say room bend")
    for client in (ann, bob):
        found = [client.read() for _ in range(2 * sent + 2)]
        assert [each for each in found if not each.startswith("b")] == [*map(str, range(sent)), "end"]
        assert [each for each in found if each.startswith("b")] == [*(f"b{n}" for n in range(sent)), "bend"]
