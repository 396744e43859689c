"""The worker pool: what a fork that fails leaves behind."""

from __future__ import annotations

import errno
import os
import signal
import socket
from typing import Any, cast
from unittest.mock import Mock

import pytest

from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.master.listen.slot_socket import Group, SlotSocket
from reactorhost.master.workers.pool import WorkerHandle, WorkerPool
from reactorhost.reactor import Reactor
from reactorhost.system import oom
from reactorhost.system.fork import ForkRegistry
from reactorhost.testing.fakes import FakeClock, FakePoller


def new_pool() -> WorkerPool:
    clock = FakeClock()
    return WorkerPool(
        Reactor(FakePoller(clock), clock), ForkRegistry(), Scoreboard(1), lambda spec, descriptor: 0, None
    )


@pytest.mark.parametrize("failing", [(socket, "socketpair"), (os, "memfd_create")], ids=["socketpair", "memfd_create"])
def test_a_fork_without_free_descriptors_leaves_none_open(
    monkeypatch: pytest.MonkeyPatch, failing: tuple[Any, str]
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    pool = new_pool()
    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(*failing, refuse)
    with pytest.raises(OSError, match="Too many open files"):
        pool.fork(cast("Any", Mock(services=())), 0, 1, 1, [], bus_used=False)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(
    ("kills", "killed", "words"),
    [
        (3, False, "signal 9 (SIGKILL)"),
        (4, False, "signal 9 (SIGKILL), sent by the kernel: out of memory"),
        (None, False, "signal 9 (SIGKILL)"),
        # The count may be that of the machine, and the master has sent the signal.
        (4, True, "signal 9 (SIGKILL)"),
    ],
)
def test_a_kill_is_the_kernels_if_its_count_grew(
    monkeypatch: pytest.MonkeyPatch, kills: int | None, killed: bool, words: str
) -> None:
    pool = new_pool()
    pool._oom_kills = 3
    monkeypatch.setattr(oom, "kills", lambda: kills)
    assert pool._describe(signal.SIGKILL, killed=killed) == words


def test_a_worker_gets_a_shared_socket_that_was_made_again_only_in_place_of_one_that_it_has() -> None:
    pool = new_pool()
    one, other = (Group(name, "unix", socket.AF_UNIX, f"/{name}") for name in ("one", "other"))
    old, new, foreign = (SlotSocket(None, group, cast("Any", Mock())) for group in (one, one, other))
    own = SlotSocket(0, Group("one", "tcp", socket.AF_INET, ("127.0.0.1", 9000)), cast("Any", Mock()))
    line = Mock()
    pool._handles[7] = WorkerHandle(7, line, 0, -1, sockets=[own, old])
    pool.lend_again(7, [old, foreign])
    assert not line.send.called
    pool.lend_again(7, [new, foreign])
    assert line.send.call_args.args[0]["slot"] is None
    assert pool.borrowed(7) == [own, new]
    pool.lend_again(7, [new, foreign])
    assert line.send.call_count == 1


def test_the_exit_of_a_worker_that_closed_its_line_is_awaited() -> None:
    pool = new_pool()
    line = Mock(closed=False)
    pool._handles[7] = WorkerHandle(7, line, 0, -1)
    assert not pool.awaits_exit
    line.closed = True
    assert pool.awaits_exit
