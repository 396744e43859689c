"""Members of groups in all workers of a host, the history of groups, and the repetition of what was dropped."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from kernel import is_stopped
from line_clients import LineClient, on_each_worker, pid_of
from reactorhost.testing import LiveHost
from waiting import until

# Each line of a client is a command, and its answer a line. The hooks note what they are called with.
ROOMS = """
from reactorhost import Lines

workers = []
events = []

@hookimpl
def framing(service):
    return Lines()

@hookimpl
def worker_start(worker):
    workers.append(worker)
    worker.keep_history("kept*", messages=100_000)

@hookimpl
def receive(connection, data):
    worker = workers[0]
    command, *words = data.decode().split(" ")
    answer = "ok"
    if command == "join":
        connection.join(words[0], words[1].encode())
    elif command == "leave":
        connection.leave(words[0])
    elif command == "burst":
        for number in range(int(words[1]), int(words[1]) + int(words[2])):
            worker.send_to(words[0], b"%d %s" % (number, b"." * 100), exclude=connection)
    elif command == "who":
        answer = " ".join(sorted(member.info.decode() for member in worker.presence(words[0])))
    elif command == "events":
        answer = " ".join(events)
    elif command == "history":
        worker.history(
            words[0], on_result=lambda found: connection.send_message(b" ".join(each.split()[0] for each in found))
        )
        return
    connection.send_message(answer.encode())

@hookimpl
def joined(worker, group, member):
    if group == "room":
        events.append("+" + member.info.decode())

@hookimpl
def left(worker, group, member):
    if group == "room":
        events.append("-" + member.info.decode())

@hookimpl
def gap(worker, group, recovered):
    worker.send_to(group, f"gap {recovered}".encode(), local=True)
"""


@pytest.fixture
def rooms(live_host: Callable[..., LiveHost], write_plugin: Callable[..., str]) -> Callable[..., LiveHost]:
    """Return a function that starts a host whose clients join rooms."""
    return lambda *arguments: live_host("--plugin", write_plugin(ROOMS), *arguments)


def meet(clients: list[LineClient], room: str) -> None:
    """Let clients join a room with the names a, b and so on, and wait until each worker knows all of them."""
    names = [chr(ord("a") + number) for number in range(len(clients))]
    for client, name in zip(clients, names, strict=True):
        assert client.request(f"join {room} {name}") == "ok"
    for client in clients:
        wait_for(client, f"who {room}", " ".join(names))


def wait_for(client: LineClient, request: str, answer: str) -> None:
    until(lambda: client.request(request) == answer, f"{answer!r} as the answer to {request!r}")


@pytest.mark.parametrize("end", ["leave", "disconnect", "kill"])
def test_every_worker_is_notified_of_every_member_once(
    rooms: Callable[..., LiveHost], expected_errors: list[str], end: str
) -> None:
    host = rooms("--workers", "4")
    with ExitStack() as stack:
        clients = on_each_worker(host, stack)
        # The workers know each other then: what a worker finds when it starts is not reported.
        meet(clients, "hall")
        meet(clients, "room")
        *others, last = clients
        if end == "leave":
            last.request("leave room")
        elif end == "disconnect":
            last.close()
        else:
            expected_errors.append("worker_crashed")
            os.kill(pid_of(host, last), signal.SIGKILL)
        for client in others:
            wait_for(client, "who room", "a b c")
            until(lambda client=client: "-d" in client.request("events"), "the call of left")  # type: ignore[misc]
            assert sorted(client.request("events").split()) == ["+a", "+b", "+c", "+d", "-d"]


def test_members_of_a_stopped_worker_leave_and_join_again(rooms: Callable[..., LiveHost]) -> None:
    host = rooms("--workers", "2", "--bus-down-period", "2")
    with ExitStack() as stack:
        first, second = on_each_worker(host, stack)
        meet([first, second], "hall")
        meet([first, second], "room")
        stopped = pid_of(host, second)
        os.kill(stopped, signal.SIGSTOP)
        try:
            wait_for(first, "who room", "a")
        finally:
            os.kill(stopped, signal.SIGCONT)
        wait_for(first, "who room", "a b")
        until(lambda: first.request("events").endswith("-b +b"), "the calls of left and joined")


@pytest.mark.parametrize("end", ["reload", "kill"])
def test_new_workers_have_the_history_of_those_before_them(
    rooms: Callable[..., LiveHost], expected_errors: list[str], end: str
) -> None:
    host = rooms("--workers", "2")
    with ExitStack() as stack:
        first, second = on_each_worker(host, stack)
        meet([first, second], "hall")
        first.request("burst kept 1 20")
        wait_for(second, "history kept", " ".join(map(str, range(1, 21))))
        second.request("burst kept 21 20")
        wait_for(first, "history kept", " ".join(map(str, range(1, 41))))
        if end == "reload":
            # Without the clients the old workers end, so that no other process has the history.
            first.close()
            second.close()
            host.command("reload")
            host.until(lambda status: len(status["workers"]) == 2, "the end of the old workers")
        else:
            expected_errors.append("worker_crashed")
            killed = pid_of(host, first)
            os.kill(killed, signal.SIGKILL)
            until(lambda: len({each["pid"] for each in host.workers()} - {killed}) == 2, "the next worker")
        for client in on_each_worker(host, stack):
            assert client.request("history kept") == " ".join(map(str, range(1, 41)))


@pytest.mark.parametrize("group", ["kept", "room"])
def test_what_a_stopped_worker_has_missed_is_repeated_if_it_is_kept(rooms: Callable[..., LiveHost], group: str) -> None:
    host = rooms("--workers", "2", "--bus-max-queue", "128KiB")
    with ExitStack() as stack:
        first, second = on_each_worker(host, stack)
        meet([first, second], group)
        stopped = pid_of(host, second)
        os.kill(stopped, signal.SIGSTOP)
        try:
            until(lambda: is_stopped(stopped), "the stop")
            sent = 0
            while "bus_messages_dropped" not in host.log():
                assert first.request(f"burst {group} {sent} 100") == "ok"
                sent += 100
        finally:
            os.kill(stopped, signal.SIGCONT)
        *messages, gap = second.until("gap ")
        numbers = [int(line.partition(" ")[0]) for line in messages]
        assert gap == f"gap {group == 'kept'}"
        assert numbers == list(range(sent if group == "kept" else len(numbers)))
        assert len(numbers) == sent or group != "kept"
        assert first.request(f"burst {group} {sent} 1") == "ok"
        assert second.line().startswith(f"{sent} ")
