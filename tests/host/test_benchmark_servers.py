"""A server of the benchmarks ends with all its processes."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

from servers import free_port, given_port

_SERVER = """
import os, signal, socket, sys
if os.fork() == 0:
    # A worker that hangs: it does not end with its master.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kept = open(sys.argv[2], "wb", 0)
    kept.write(b"x")
    signal.pause()
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        listener.accept()[0].close()
"""


def test_a_worker_that_outlives_its_master_is_killed(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    reading = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    port = free_port()
    with given_port([sys.executable, "-c", _SERVER, str(port), str(alive)], port, dict(os.environ)):
        assert select.select([reading], [], [], 10)[0]
        assert os.read(reading, 1) == b"x"
    assert select.select([reading], [], [], 10)[0], "the worker has exited"
    assert os.read(reading, 1) == b""
    os.close(reading)
