"""The worker pool: what a fork that fails leaves behind."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, cast

import pytest

from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.master.workers.pool import WorkerPool
from reactorhost.reactor import Reactor
from reactorhost.system.fork import ForkRegistry
from reactorhost.testing.fakes import FakeClock, FakePoller


@pytest.mark.parametrize("failing", [(socket, "socketpair"), (os, "memfd_create")], ids=["socketpair", "memfd_create"])
def test_a_fork_without_free_descriptors_leaves_none_open(
    monkeypatch: pytest.MonkeyPatch, failing: tuple[Any, str]
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    clock = FakeClock()
    pool = WorkerPool(
        Reactor(FakePoller(clock), clock), ForkRegistry(), Scoreboard(1), lambda spec, descriptor: 0, None
    )
    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(*failing, refuse)
    with pytest.raises(OSError, match="Too many open files"):
        pool.fork(cast("Any", None), 0, 1, [])
    assert os.listdir("/proc/self/fd") == before
