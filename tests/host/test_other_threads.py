"""Functions that threads, signal handlers and forked children of a plugin pass to the loop of a real worker."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clients import read_exactly
from reactorhost.testing import LiveHost

KINDS = {"plain": ("", ()), "asyncio": ("async ", ()), "uvloop": ("async ", ("--event-loop", "uvloop"))}

PASSES_ON = """
import os, signal, threading

def answer(text):
    threading.main_thread() is threading.current_thread() or os.abort()
    for connection in worker.connections:
        connection.send(text)

def work():
    # Of its own, so that the host does not wait for it: the loop is idle by then.
    for letter in b"thread":
        worker.call_soon_threadsafe(answer, bytes([letter]))

@hookimpl
def worker_start(worker):
    globals()["worker"] = worker
    signal.signal(signal.SIGWINCH, lambda number, frame: worker.call_soon_threadsafe(answer, b"signal"))

def use(data):
    if data == b"signal":
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGWINCH)).start()
    elif data == b"thread":
        threading.Timer(0.05, work).start()
    else:
        pid = os.fork()
        if not pid:
            worker.call_soon_threadsafe(answer, b"child")
            os._exit(0)
        os.waitpid(pid, 0)
        worker.call_soon_threadsafe(answer, b"parent")
"""


@pytest.mark.parametrize("kind", KINDS)
def test_threads_signal_handlers_and_forks_have_functions_called_in_an_idle_loop(
    live_host: Callable[..., LiveHost], write_plugin: Callable[..., str], kind: str
) -> None:
    if kind == "uvloop":
        pytest.importorskip("uvloop")
    prefix, settings = KINDS[kind]
    receive = f"@hookimpl\n{prefix}def receive(connection, data):\n    use(data)\n"
    host = live_host("--plugin", write_plugin(PASSES_ON + receive), "--workers", "1", *settings)
    with host.connect() as client:
        for word in (b"thread", b"signal", b"parent", b"thread"):
            client.sendall(word)
            assert read_exactly(client, len(word)) == word


AT_THE_END = """
import threading

drained = threading.Event()
seen = []

@hookimpl
def worker_start(worker):
    globals()["worker"] = worker

@hookimpl
def receive(connection, data):
    worker.run_in_thread(work)
    connection.send(data)

def work():
    drained.wait()
    for number in range(250):
        worker.call_soon_threadsafe(seen.append, number)

@hookimpl
def drain(connection):
    connection.abort()
    drained.set()

@hookimpl
def worker_stop(worker):
    print("seen", len(seen), seen == sorted(seen), flush=True)
"""


def test_what_a_thread_has_passed_on_before_it_ended_is_called_before_the_worker_stops(
    live_host: Callable[..., LiveHost], write_plugin: Callable[..., str]
) -> None:
    # The loop calls a hundred of them in a turn, and the end of the thread would stop it.
    host = live_host("--plugin", write_plugin(AT_THE_END), "--workers", "1", "--stop-timeout", "60")
    with host.connect() as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
        assert host.stop() == 0
        assert host.read_line() == "seen 250 True"
