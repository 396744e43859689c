"""Descriptors that a plugin has the loop of a real worker watch."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clients import read_exactly
from reactorhost.testing import LiveHost

KINDS = {
    "epoll": ("", ()),
    "selectors": ("", ("--poller", "selectors")),
    "asyncio": ("async ", ()),
    "uvloop": ("async ", ("--event-loop", "uvloop")),
}

WATCHES = """
import os, stat, subprocess

@hookimpl
def worker_start(worker):
    globals()["worker"] = worker

def start(connection):
    program = subprocess.Popen(["sh", "-c", "echo one; read line; echo two"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)

    PREFIXdef read():
        data = os.read(program.stdout.fileno(), 100)
        if data:
            connection.send(data)
            return
        watch.cancel()
        program.stdout.close()
        connection.send(b"end %d\\n" % program.wait())

    def write():
        os.write(program.stdin.fileno(), b"line\\n")
        writes.cancel()
        program.stdin.close()

    watch = worker.watch(program.stdout, on_readable=read)
    writes = worker.watch(program.stdin, on_writable=write)
    # A forked child has the descriptor itself.
    pid = os.fork()
    if not pid:
        os._exit(not stat.S_ISFIFO(os.fstat(program.stdout.fileno()).st_mode))
    connection.send(b"child %d\\n" % os.waitpid(pid, 0)[1])

@hookimpl
PREFIXdef receive(connection, data):
    start(connection)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_the_output_of_a_program_is_read_when_it_comes(
    live_host: Callable[..., LiveHost], write_plugin: Callable[..., str], kind: str
) -> None:
    if kind == "uvloop":
        pytest.importorskip("uvloop")
    prefix, settings = KINDS[kind]
    host = live_host("--plugin", write_plugin(WATCHES.replace("PREFIX", prefix)), "--workers", "1", *settings)
    wanted = b"child 0\none\ntwo\nend 0\n"
    with host.connect() as client:
        for _ in range(2):
            client.sendall(b"x")
            assert read_exactly(client, len(wanted)) == wanted
