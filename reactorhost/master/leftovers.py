"""Workers of a master that was killed, found by the next master of the run directory.

Such a worker drains by itself: TERM comes from the kernel, and the line to its master has ended. One that is stuck in C
code with the interpreter's lock, blocks its signals or is stopped does none of that, and keeps the addresses for ever.
No signal that the kernel could send in the moment of the master's end distinguishes the two; the next master can, by
the listeners: a worker that drains has closed its own.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterable

from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.system import procfs, socket_table

GRACE_SECONDS = 3.0
"""How long a worker may take to close its listeners after its master has ended, and to leave after its deadline."""


class Leftovers:
    """The processes of `records` that still run: pairs of a process id and the time of its start (`procfs`).

    A process with another time of start only has the id of one that ended, and is left alone.
    """

    def __init__(self, records: Iterable[tuple[int, int]], log: EventLog) -> None:
        self._log = log
        self._pidfds: dict[int, int] = {}
        self._killed: set[int] = set()
        for pid, started in records:
            # The descriptor first: it stays with the process whose start is read then.
            with contextlib.suppress(OSError):
                self._pidfds[pid] = os.pidfd_open(pid)
                if procfs.start_time(pid) != started:
                    os.close(self._pidfds.pop(pid))

    def running(self) -> list[int]:
        """Return the ids of those that have not ended."""
        poll = select.poll()
        pids = {pidfd: pid for pid, pidfd in self._pidfds.items()}
        for pidfd in pids:
            poll.register(pidfd, select.POLLIN)
        for pidfd, _ in poll.poll(0):
            os.close(self._pidfds.pop(pids[pidfd]))
        return list(self._pidfds)

    def end_listening(self) -> bool:
        """End those that still have listeners, which is none that drains; returns whether there were any."""
        listeners = socket_table.listening_inodes()
        listening = [pid for pid in self.running() if listeners & socket_table.inodes_of(pid)]
        return self._end(listening, "it still listens")

    def end_all(self) -> bool:
        """End those whose time to drain is over; returns whether there were any."""
        return self._end(self.running(), "its time to drain is over")

    def schedule(self, reactor: Reactor, stop_timeout: float) -> None:
        """End those that do not leave in time, while this host runs."""
        if self._pidfds:
            reactor.call_later(GRACE_SECONDS, self.end_listening)
            reactor.call_later(stop_timeout + GRACE_SECONDS, self.end_all)

    def close(self) -> None:
        """Close the descriptors; called in forked children too."""
        while self._pidfds:
            os.close(self._pidfds.popitem()[1])

    def _end(self, pids: Iterable[int], why: str) -> bool:
        # Once each: a process in uninterruptible sleep ends when it can.
        found = [pid for pid in pids if pid not in self._killed]
        for pid in found:
            self._killed.add(pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._pidfds[pid], signal.SIGKILL)
                self._log.warning("leftover_killed", pid=pid, reason=why)
        return bool(found)
