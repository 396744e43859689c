"""The crew: the worker processes as the master holds them; forks, orders, signals, hears, buries."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from reactorhost.config.settings import Settings
from reactorhost.errors import BootError, ReactorhostError, error_from_fields
from reactorhost.jsonline import JsonLine, Message
from reactorhost.master import obituary, spawn, stacks
from reactorhost.master.listeners import SlotSocket
from reactorhost.master.sampling import Sample
from reactorhost.master.stacks import Stack
from reactorhost.reactor import Reactor
from reactorhost.scoreboard import Counters, Scoreboard
from reactorhost.worker.boot import run_worker
from reactorhost.worker.messages import Report
from reactorhost.worker.task import BorrowedListener, WorkerTask


class CrewListener(Protocol):
    """Who hears of what workers report."""

    def worker_reported(self, pid: int, message: Message) -> None:
        """Take what a worker said, other than that it failed."""


@dataclass(slots=True)
class Mate:
    """One worker process: the line to it, its page, where its stack goes when it dies, and what it said of itself."""

    pid: int
    line: JsonLine
    page: int
    stack_descriptor: int
    failure: ReactorhostError | None = None
    plugins: list[Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Death:
    """What is known of a worker that ended: in words, its last figures, its stack, and the failure that it told."""

    why: str
    status: int
    last: Sample
    stack: Stack | None
    failure: ReactorhostError | None

    def boot_error(self, slot: int, pid: int, reason: str | None) -> ReactorhostError:
        """Return why a worker did not become ready; `reason` is why the master ended it, if it did."""
        if self.failure is not None:
            return self.failure
        what = f"the worker in slot {slot} (pid {pid}) did not become ready: {reason or self.why}"
        if self.stack is None:
            return BootError(what, hint="its plugin may have ended the process")
        return BootError(what, where=self.stack.where, details=self.stack.text)


class Crew:
    """Every worker process of a host."""

    def __init__(self, reactor: Reactor, scoreboard: Scoreboard, listener: CrewListener) -> None:
        self._reactor = reactor
        self._scoreboard = scoreboard
        self._listener = listener
        self._mates: dict[int, Mate] = {}
        self._oom_kills = obituary.out_of_memory_kills()

    def fork(
        self,
        settings: Settings,
        account: tuple[int, int, str] | None,
        slot: int,
        generation: int,
        sockets: Sequence[SlotSocket],
        close_inherited: Callable[[], None],
    ) -> Mate:
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
        task = WorkerTask(settings, slot, generation, os.getpid(), theirs, borrowed, self._scoreboard, page, account)

        def close_ours() -> None:
            ours.close()
            self.close_inherited()
            close_inherited()

        try:
            pid = spawn.fork(partial(run_worker, task, stack_descriptor), close_ours)
        except OSError:
            os.close(stack_descriptor)
            ours.close()
            self._scoreboard.give_back(page)
            raise
        finally:
            theirs.close()
        mate = Mate(pid, JsonLine(self._reactor, ours, self), page, stack_descriptor)
        self._mates[pid] = mate
        return mate

    def order(self, pid: int, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send an order to a worker, if it lives."""
        mate = self._mates.get(pid)
        if mate is not None:
            mate.line.send(message, descriptors)

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a worker that was not reaped yet, so its process id is still its own."""
        if pid in self._mates:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def bury(self, pid: int, status: int) -> Death | None:
        """Take a reaped process out of the crew; returns what is known of its end, or None for a stranger."""
        mate = self._mates.get(pid)
        if mate is None:
            return None
        mate.line.read_rest()
        del self._mates[pid]
        mate.line.close()
        last = self._sample(mate, time.monotonic())
        self._scoreboard.give_back(mate.page)
        return Death(self._words(status), status, last, stacks.take(mate.stack_descriptor), mate.failure)

    def counters(self, pid: int) -> Counters:
        """Return what a worker stored last, alive or stuck."""
        return self._scoreboard.read(self._mates[pid].page)

    def samples(self, now: float) -> dict[int, Sample]:
        """Return what every worker stored last."""
        return {pid: self._sample(mate, now) for pid, mate in self._mates.items()}

    def plugins(self) -> dict[str, Message]:
        """Return what the newest worker that is ready said of each plugin, by name."""
        for mate in reversed(self._mates.values()):
            if mate.plugins:
                return {plugin["name"]: plugin for plugin in mate.plugins}
        return {}

    def pids(self) -> list[int]:
        """Return the process ids of all workers."""
        return list(self._mates)

    def close_inherited(self) -> None:
        """Close a forked worker's copies of the lines to its siblings: they must end when the master does."""
        for mate in self._mates.values():
            mate.line.close_inherited()
            os.close(mate.stack_descriptor)

    # What lines tell.

    def message_received(self, line: JsonLine, message: Message) -> None:
        """Remember what a worker says of itself, and pass the rest on."""
        mate = next((mate for mate in self._mates.values() if mate.line is line), None)
        if mate is None:
            return
        if message["report"] == Report.FAILED:
            mate.failure = error_from_fields(message)
            return
        if message["report"] == Report.READY:
            mate.plugins = message["plugins"]
        self._listener.worker_reported(mate.pid, message)

    def line_closed(self, line: JsonLine) -> None:
        """Wait for the end of the process: it is what tells the rest."""

    def _sample(self, mate: Mate, now: float) -> Sample:
        names = tuple(plugin["name"] for plugin in mate.plugins)
        timings = self._scoreboard.read_timings(mate.page, len(names))
        return Sample(now, self._scoreboard.read(mate.page), timings, names)

    def _words(self, status: int) -> str:
        words = obituary.decode(status)
        if obituary.killed(status):
            kills = obituary.out_of_memory_kills()
            if kills is not None and self._oom_kills is not None and kills > self._oom_kills:
                words += ", by the kernel for want of memory"
            self._oom_kills = kills
        return words
