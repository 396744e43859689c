"""Workers of one host send each other messages directly: introductions, crashes, reloads, stopped workers, forks."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from daemons import COMMAND
from kernel import is_stopped, leave_descriptors, resident_bytes
from line_clients import LineClient, on_each_worker, pid_of
from reactorhost.testing import LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]

# Each line of a client is a command, and its answer a line.
ROOMS = """
import os, signal
from reactorhost import Lines

workers = []

@hookimpl
def framing(service):
    return Lines()

@hookimpl
def worker_start(worker):
    workers.append(worker)

@hookimpl
def receive(connection, data):
    worker = workers[0]
    command, *words = data.decode().split(" ")
    answer = "ok"
    if command == "join":
        connection.join(words[0], words[1].encode() if len(words) > 1 else None)
    elif command == "say":
        worker.send_to(words[0], words[1].encode())
    elif command == "burst":
        for number in range(int(words[1])):
            worker.send_to(words[0], b"%d %s" % (number, b"." * int(words[2])))
    elif command == "who":
        answer = " ".join(sorted(member.info.decode() for member in worker.presence(words[0]))) or "-"
    elif command == "ref":
        answer = connection.ref
    elif command == "to":
        answer = str(worker.send_to_ref(words[0], words[1].encode()))
    elif command == "fork":
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writer, str(len(os.listdir("/proc/self/fd"))).encode())
            signal.pause()
        answer = f"{pid} {os.read(reader, 9).decode()}"
        os.close(reader)
        os.close(writer)
    connection.send_message(answer.encode())

@hookimpl
def gap(worker, group, recovered):
    for connection in worker.connections:
        connection.send_message(f"gap {group} {recovered}".encode())
"""


@pytest.fixture
def rooms(live_host: Hosts, write_plugin: Write) -> Callable[..., LiveHost]:
    """Return a function that starts a host whose clients join rooms."""
    return lambda *arguments: live_host("--plugin", write_plugin(ROOMS), *arguments)


def joined(client: LineClient, room: str, name: str) -> LineClient:
    assert client.request(f"join {room} {name}") == "ok"
    return client


def all_know(clients: list[LineClient], room: str, names: str) -> None:
    """Wait until the workers of all clients list these members, and so have received each other's interest."""

    def listed(client: LineClient) -> bool:
        return client.request(f"who {room}") == names

    for client in clients:
        until(partial(listed, client), f"{names} in {room}")


def test_a_message_reaches_members_in_all_workers(rooms: Callable[..., LiveHost]) -> None:
    host = rooms("--workers", "3")
    with ExitStack() as stack:
        clients = on_each_worker(host, stack)
        for client, name in zip(clients, "abc", strict=True):
            joined(client, "x", name)
        all_know(clients, "x", "a b c")
        clients[0].send("say x hello")
        assert sorted([clients[0].line(), clients[0].line()]) == ["hello", "ok"]
        assert [client.line() for client in clients[1:]] == ["hello", "hello"]


def test_a_message_for_one_connection_reaches_it_in_another_worker(rooms: Callable[..., LiveHost]) -> None:
    host = rooms("--workers", "2")
    with ExitStack() as stack:
        first, second = on_each_worker(host, stack)
        ref = second.request("ref")
        assert first.request(f"to {ref} psst") == "True"
        assert second.line() == "psst"
        # One host, two workers.
        own = first.request("ref").split("-")
        assert own[0] == ref.split("-")[0]
        assert own[1] != ref.split("-")[1]


def test_a_worker_that_first_uses_the_bus_in_worker_stop_is_introduced(live_host: Hosts, write_plugin: Write) -> None:
    stop = '@hookimpl\ndef worker_stop(worker):\n    worker.send_to("x", b"bye")\n'
    host = live_host("--plugin", write_plugin(ROOMS + stop), "--workers", "2")
    with ExitStack() as stack:
        first, second = on_each_worker(host, stack)
        joined(second, "x", "b")
        pid = pid_of(host, first)
        first.close()
        os.kill(pid, signal.SIGTERM)
        assert second.line() == "bye"


def test_what_a_worker_sends_whose_start_fails_arrives(
    live_host: Hosts, write_plugin: Write, tmp_path: Path, expected_errors: list[str]
) -> None:
    flag = tmp_path / "fail"
    start = f"""if os.path.exists({str(flag)!r}):
        worker.send_to("x", b"starting")
        raise ValueError("on purpose")"""
    rooms = ROOMS.replace("workers.append(worker)", f"workers.append(worker)\n    {start}")
    host = live_host("--plugin", write_plugin(rooms), "--workers", "1")
    expected_errors += ["worker_not_booted", "reload_failed"]
    with ExitStack() as stack:
        (client,) = on_each_worker(host, stack)
        joined(client, "x", "a")
        flag.touch()
        host.signal(signal.SIGHUP)
        assert client.line() == "starting"
        # The next line is no gap.
        assert client.request("who x") in {"a", "starting"}


def test_a_killed_worker_leaves_a_gap_its_members_leave_and_its_successor_is_introduced(
    rooms: Callable[..., LiveHost], expected_errors: list[str]
) -> None:
    host = rooms("--workers", "2")
    expected_errors.append("worker_crashed")
    with ExitStack() as stack:
        first, second = on_each_worker(host, stack)
        joined(first, "x", "a")
        joined(second, "x", "b")
        all_know([first, second], "x", "a b")
        pid = pid_of(host, second)
        # In the middle of a batch: the messages before may arrive, none is cut, and the other worker goes on.
        second.send("burst x 50000 100")
        assert first.line() == "0 " + "." * 100
        os.kill(pid, signal.SIGKILL)
        *messages, gap = first.until("gap ")
        # What it had not sent is missing.
        assert gap == "gap x False"
        assert all(line.endswith("." * 100) for line in messages)
        assert first.request("who x") == "a"
        until(lambda: len({each["pid"] for each in host.workers()} - {pid}) == 2, "the next worker")
        fresh = on_each_worker(host, stack)[1]
        joined(fresh, "x", "c")
        all_know([first, fresh], "x", "a c")


def test_members_stay_connected_to_the_bus_during_reloads(rooms: Callable[..., LiveHost]) -> None:
    host = rooms("--workers", "2")
    with ExitStack() as stack:
        old = on_each_worker(host, stack)
        for client, name in zip(old, "ab", strict=True):
            joined(client, "x", name)
        all_know(old, "x", "a b")
        with subprocess.Popen([*COMMAND, "reload", "--run-dir", str(host.run_dir)]) as reload:
            count = 0
            while reload.poll() is None:
                old[0].send(f"say x {count}")
                assert {old[0].line(), old[0].line()} == {"ok", str(count)}
                count += 1
        assert [old[1].line() for _ in range(count)] == [str(each) for each in range(count)]
        # The old workers drain, and are members as before.
        new = on_each_worker(host, stack)
        for client, name in zip(new, "cd", strict=True):
            joined(client, "x", name)
        all_know([*old, *new], "x", "a b c d")
        for sender in (old[0], new[1]):
            sender.send("say x hello")
            for client in (*old, *new):
                lines = {client.line(), client.line()} if client is sender else {client.line()}
                assert lines == ({"ok", "hello"} if client is sender else {"hello"})


def test_what_waits_for_a_stopped_worker_is_bounded_and_it_gets_a_gap(rooms: Callable[..., LiveHost]) -> None:
    host = rooms("--workers", "2", "--bus-max-queue", "256KiB", "--max-send-buffer", "1GiB")
    with ExitStack() as stack:
        first, second = on_each_worker(host, stack)
        joined(second, "x", "b")
        until(lambda: first.request("who x") == "b", "the member b")
        sender, stopped = pid_of(host, first), pid_of(host, second)
        os.kill(stopped, signal.SIGSTOP)
        try:
            until(lambda: is_stopped(stopped), "the stop")
            before = resident_bytes(sender)
            for _ in range(20):
                # 100 MB in all.
                assert first.request("burst x 5000 1000") == "ok"
            assert resident_bytes(sender) - before < 20e6
        finally:
            os.kill(stopped, signal.SIGCONT)
        *messages, gap = second.until("gap ")
        numbers = [int(line.partition(" ")[0]) for line in messages]
        assert numbers == list(range(len(numbers)))
        assert 100 < len(numbers) < 5000
        assert gap == "gap x False"
        first.request("say x after")
        assert second.line() == "after"
    host.wait_for_log("bus_messages_dropped")


def test_a_silent_workers_members_leave_and_come_back(rooms: Callable[..., LiveHost]) -> None:
    host = rooms("--workers", "2", "--bus-down-period", "0.5")
    with ExitStack() as stack:
        first, second = on_each_worker(host, stack)
        joined(second, "x", "b")
        until(lambda: first.request("who x") == "b", "the member b")
        stopped = pid_of(host, second)
        os.kill(stopped, signal.SIGSTOP)
        try:
            until(lambda: first.request("who x") == "-", "its leave")
        finally:
            os.kill(stopped, signal.SIGCONT)
        until(lambda: first.request("who x") == "b", "its return")


def test_a_forked_child_of_a_plugin_holds_no_link(rooms: Callable[..., LiveHost]) -> None:
    host = rooms("--workers", "2")
    with ExitStack() as stack:
        first, second = on_each_worker(host, stack)
        without = int(first.request("fork").split()[1])
        children = []
        joined(first, "x", "a")
        joined(second, "x", "b")
        all_know([first, second], "x", "a b")
        child, open_files = first.request("fork").split()
        children.append(int(child))
        try:
            assert int(open_files) == without
            # The end of the worker is the end of its links, although a child of it runs.
            os.kill(pid_of(host, first), signal.SIGQUIT)
            until(lambda: second.request("who x") == "b", "the leave of a")
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)


def test_workers_without_free_descriptors_are_introduced_later(rooms: Callable[..., LiveHost]) -> None:
    host = rooms("--workers", "2")
    with ExitStack() as stack:
        first, second = on_each_worker(host, stack)
        pid = pid_of(host, second)
        joined(first, "x", "a")
        leave_descriptors(pid, 0)
        joined(second, "x", "b")
        host.wait_for_log("introductions_delayed")
        assert first.request("who x") == "a"
        leave_descriptors(pid, 50)
        # The report of the gap replaces what was sent to it before.
        until(lambda: first.request("who x") in {"a b", "gap x False"}, "the introduction")
        all_know([second], "x", "a b")
