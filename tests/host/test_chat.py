"""The chat with clients on different workers: everything that one worker has to know of another."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from line_clients import LineClient, on_each_worker, pid_of
from reactorhost.testing import LiveHost
from redis_server import RedisServer
from waiting import until

Hosts = Callable[..., LiveHost]


@pytest.fixture
def host(live_host: Hosts) -> LiveHost:
    """Start a chat of two workers that accepts as many lines as a test sends."""
    return live_host("--plugin", "chat", "--set", "chat.rate=1000.0", "--workers", "2")


def named(client: LineClient, name: str) -> LineClient:
    """Change the name of a client."""
    client.send(f"/name {name}")
    client.until(f"* You are {name} now.")
    return client


def people(host: LiveHost, stack: ExitStack) -> tuple[LineClient, LineClient]:
    """Return ada and bob, who are on different workers that both know both."""
    first, second = on_each_worker(host, stack)
    ada, bob = named(first, "ada"), named(second, "bob")
    for client in (ada, bob):
        until_listed(client, {"ada", "bob"})
    return ada, bob


def until_listed(client: LineClient, names: set[str]) -> None:
    """Wait until a client is shown these people in its room, and no others."""
    until(lambda: listed(client) == names, f"the list of {names}")


def listed(client: LineClient) -> set[str]:
    """Return the people in the room as a client is shown them."""
    client.send("/who")
    return set(client.until("* In ")[-1].partition(": ")[2].rstrip(".").replace(" and ", ", ").split(", "))


def ready(status: dict[str, Any]) -> set[int]:
    """Return the process ids of the workers that are ready."""
    return {each["pid"] for each in status["workers"] if each["state"] == "ready"}


def goodbye(client: LineClient) -> None:
    """Expect the goodbye of a worker that exits, and the end of the connection."""
    client.until("* The server restarts. Please connect again.")
    with pytest.raises(EOFError):
        client.line()
    client.close()


def test_people_on_two_workers_talk_in_rooms(host: LiveHost) -> None:
    with ExitStack() as stack:
        ada, bob = people(host, stack)
        ada.send("hello")
        assert bob.until("hello")[-1] == "ada: hello"
        bob.send(b"\x1b[2Jclear\x07 hi\r")
        assert ada.until("hi")[-1] == "bob: [2Jclear  hi"
        bob.send("/join garden")
        ada.until("* bob has left.")
        ada.send("in the lobby")
        ada.send("/join garden")
        ada.until("* You are in garden with bob.")
        ada.send("in the garden")
        # The line that was sent to the lobby did not reach bob.
        assert bob.until("in the")[-1] == "ada: in the garden"


def test_a_name_of_another_worker_is_taken_until_its_client_has_left(host: LiveHost) -> None:
    with ExitStack() as stack:
        ada, bob = people(host, stack)
        bob.send("/name Ada")
        # Behind the news of ada's name, which may come after the list that has it.
        bob.until("* The name Ada is taken. Please choose another one.")
        ada.send("/quit")
        bob.until("* ada has left.")
        named(bob, "Ada")


def test_a_private_line_reaches_a_client_of_another_worker(host: LiveHost) -> None:
    with ExitStack() as stack:
        ada, bob = people(host, stack)
        ada.send("/msg bob between us")
        assert ada.until("between us")[-1] == "(private) to bob: between us"
        assert bob.until("between us")[-1] == "(private) ada: between us"


def test_a_reload_says_goodbye_and_keeps_the_history(host: LiveHost) -> None:
    with ExitStack() as stack:
        ada, bob = people(host, stack)
        ada.send("one")
        bob.until("ada: one")
        bob.send("two")
        ada.until("bob: two")
        assert host.command("reload").returncode == 0
        for client in (ada, bob):
            goodbye(client)
        host.until(lambda status: len(status["workers"]) == 2, "the end of the old workers")
        for client in on_each_worker(host, stack):
            assert client.until("| bob: two")[-3:] == ["* The last messages in lobby:", "| ada: one", "| bob: two"]
            client.send("/who")
            # The clients of the old workers are gone.
            assert "ada" not in client.until("* In lobby:")[-1]


def test_the_clients_of_a_killed_worker_have_left(host: LiveHost, expected_errors: list[str]) -> None:
    expected_errors.append("worker_crashed")
    with ExitStack() as stack:
        ada, bob = people(host, stack)
        killed = pid_of(host, bob)
        os.kill(killed, signal.SIGKILL)
        ada.until("* bob has left.")
        until_listed(ada, {"ada"})
        # The worker in its place has the name free, and the people of the other one.
        host.until(lambda status: len(ready(status) - {killed}) == 2)
        first, second = on_each_worker(host, stack)
        for client in (named(first, "bob"), named(second, "cy")):
            until_listed(client, {"ada", "bob", "cy"})


def test_people_on_two_hosts_talk_and_are_notified_of_what_is_lost(
    live_host: Hosts, expected_errors: list[str]
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer())
        flags = ("--plugin", "chat", "--set", "chat.rate=1000.0", "--workers", "1", "--bus-url", server.url)
        clients = []
        for name in ("ada", "bob"):
            host = live_host(*flags)
            # None at first, as the bus itself is.
            host.until(lambda status: ((status["bus"] or {}).get("backend") or {}).get("state") == "up", "the server")
            clients.append(named(stack.enter_context(LineClient(host.connect())), name))
        ada, bob = clients
        for client in clients:
            until_listed(client, {"ada", "bob"})
        ada.send("hello")
        assert bob.until("hello")[-1] == "ada: hello"
        bob.send("/msg ada between us")
        assert ada.until("between us")[-1] == "(private) bob: between us"
        server.restart()
        ada.until("* Some messages were lost.")
        bob.until("* Some messages were lost.")
        ada.send("again")
        assert bob.until("again")[-1] == "ada: again"
