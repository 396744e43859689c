"""The crew: the worker processes as the master holds them; forks, orders, signals, hears, buries."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from reactorhost.config.settings import Settings
from reactorhost.errors import BootError, ReactorhostError, error_from_fields
from reactorhost.ipc.jsonlines import JsonLine, Message
from reactorhost.ipc.messages import Report
from reactorhost.ipc.scoreboard import Counters, Scoreboard
from reactorhost.ipc.worker_spec import BorrowedListener, WorkerSpec
from reactorhost.master.listen.listeners import SlotSocket
from reactorhost.master.stats.samples import Sample
from reactorhost.master.workers import exit_status, stack_dump
from reactorhost.master.workers.stack_dump import StackDump
from reactorhost.reactor import Reactor
from reactorhost.system.fork import ForkRegistry, fork
from reactorhost.worker.boot import run_worker


class PoolListener(Protocol):
    """Who hears of what workers report."""

    def worker_reported(self, pid: int, message: Message) -> None:
        """Take what a worker said, other than that it failed."""


@dataclass(slots=True, eq=False)
class WorkerHandle:
    """One worker process: the line to it, its page, where its stack goes when it dies, and what it said of itself."""

    pid: int
    line: JsonLine
    page: int
    stack_descriptor: int
    failure: ReactorhostError | None = None
    plugins: list[Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ExitReport:
    """What is known of a worker that ended: in words, its last figures, its stack, and the failure that it told."""

    why: str
    status: int
    last: Sample
    stack: StackDump | None
    failure: ReactorhostError | None

    def boot_error(self, slot: int, pid: int, reason: str | None) -> ReactorhostError:
        """Return why a worker did not become ready; `reason` is why the master ended it, if it did."""
        if self.failure is not None:
            return self.failure
        what = f"the worker in slot {slot} (pid {pid}) did not become ready: {reason or self.why}"
        if self.stack is None:
            return BootError(what, hint="its plugin may have ended the process")
        return BootError(what, where=self.stack.where, details=self.stack.text)


class WorkerPool:
    """Every worker process of a host."""

    def __init__(
        self, reactor: Reactor, registry: ForkRegistry, scoreboard: Scoreboard, listener: PoolListener
    ) -> None:
        self._reactor = reactor
        self._registry = registry
        self._scoreboard = scoreboard
        self._listener = listener
        self._handles: dict[int, WorkerHandle] = {}
        self._oom_kills = exit_status.out_of_memory_kills()

    def fork(
        self,
        settings: Settings,
        account: tuple[int, int, str] | None,
        slot: int,
        generation: int,
        sockets: Sequence[SlotSocket],
    ) -> WorkerHandle:
        """Fork a worker that borrows `sockets`.

        Raises:
            OSError: the system has no room for it.
        """
        stack_descriptor = os.memfd_create(f"stack-{slot}")
        ours, theirs = socket.socketpair()
        page = self._scoreboard.take_page()
        borrowed = tuple(
            BorrowedListener(each.slot, each.group.service, each.group.scheme, each.socket) for each in sockets
        )
        task = WorkerSpec(settings, slot, generation, os.getpid(), theirs, borrowed, self._scoreboard, page, account)

        # Before the fork, so that the worker's copy of this end is closed with the other lines.
        line = JsonLine(self._reactor, ours, self, self._registry)
        try:
            pid = fork(partial(run_worker, task, stack_descriptor), self._registry, sockets)
        except OSError:
            os.close(stack_descriptor)
            line.close()
            self._scoreboard.give_back(page)
            raise
        finally:
            theirs.close()
        handle = WorkerHandle(pid, line, page, stack_descriptor)
        self._registry.add(handle, partial(os.close, stack_descriptor))
        self._handles[pid] = handle
        return handle

    def order(self, pid: int, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send an order to a worker, if it lives."""
        handle = self._handles.get(pid)
        if handle is not None:
            handle.line.send(message, descriptors)

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a worker that was not reaped yet, so its process id is still its own."""
        if pid in self._handles:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def reap(self, pid: int, status: int) -> ExitReport | None:
        """Take a reaped process out of the crew; returns what is known of its end, or None for a stranger."""
        handle = self._handles.get(pid)
        if handle is None:
            return None
        handle.line.read_rest()
        del self._handles[pid]
        handle.line.close()
        self._registry.discard(handle)
        last = self._sample(handle, time.monotonic())
        self._scoreboard.give_back(handle.page)
        return ExitReport(self._words(status), status, last, stack_dump.take(handle.stack_descriptor), handle.failure)

    def counters(self, pid: int) -> Counters:
        """Return what a worker stored last, alive or stuck."""
        return self._scoreboard.read(self._handles[pid].page)

    def samples(self, now: float) -> dict[int, Sample]:
        """Return what every worker stored last."""
        return {pid: self._sample(handle, now) for pid, handle in self._handles.items()}

    def plugins(self) -> dict[str, Message]:
        """Return what the newest worker that is ready said of each plugin, by name."""
        for handle in reversed(self._handles.values()):
            if handle.plugins:
                return {plugin["name"]: plugin for plugin in handle.plugins}
        return {}

    def pids(self) -> list[int]:
        """Return the process ids of all workers."""
        return list(self._handles)

    # What lines tell.

    def message_received(self, line: JsonLine, message: Message) -> None:
        """Remember what a worker says of itself, and pass the rest on."""
        handle = next((handle for handle in self._handles.values() if handle.line is line), None)
        if handle is None:
            return
        if message["report"] == Report.FAILED:
            handle.failure = error_from_fields(message)
            return
        if message["report"] == Report.READY:
            handle.plugins = message["plugins"]
        self._listener.worker_reported(handle.pid, message)

    def line_closed(self, line: JsonLine) -> None:
        """Wait for the end of the process: it is what tells the rest."""

    def _sample(self, handle: WorkerHandle, now: float) -> Sample:
        names = tuple(plugin["name"] for plugin in handle.plugins)
        timings = self._scoreboard.read_timings(handle.page, len(names))
        return Sample(now, self._scoreboard.read(handle.page), timings, names)

    def _words(self, status: int) -> str:
        words = exit_status.decode(status)
        if exit_status.killed(status):
            kills = exit_status.out_of_memory_kills()
            if kills is not None and self._oom_kills is not None and kills > self._oom_kills:
                words += ", by the kernel for want of memory"
            self._oom_kills = kills
        return words
