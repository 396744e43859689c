"""Watch the heartbeats of workers: within a second of silence another worker accepts for the one that is blocked.

A heartbeat is at most a quarter of a second old while a loop turns (`ipc.scoreboard`). The next check is when the
oldest one becomes a second old, so that the master wakes up about once a second, and finds silence when it begins and
not up to an interval later.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from reactorhost.ipc.counters import SILENT_SECONDS
from reactorhost.master.context import MasterContext
from reactorhost.master.plan.worker_table import WorkerRecord, WorkerState
from reactorhost.master.supervisor import Supervisor
from reactorhost.system.rate_limit import RateLimit

# While a worker is silent nothing says when it turns again.
_POLL_SECONDS = 0.25
_SOONEST_SECONDS = 0.02
_LINE_SECONDS = 60.0


@dataclass(slots=True)
class HeartbeatWatch:
    """Reports silent workers, and those that turn again, to the planner, the status and the log.

    The status has each of them. The log has a line a minute for each slot: a plugin that blocks for a second or two in
    every message would fill it.
    """

    context: MasterContext
    supervisor: Supervisor
    _lines: RateLimit = field(default_factory=lambda: RateLimit(1, _LINE_SECONDS))
    _noted: set[int] = field(default_factory=set)
    _logged: set[int] = field(default_factory=set)

    def check(self) -> None:
        """Check now, and again when a worker may have become silent or turn again."""
        now = time.monotonic()
        heartbeats = self.context.monitor.heartbeats()
        for worker in self.context.planner.table.note_heartbeats(heartbeats, now):
            self.supervisor.schedule()
            self._note(worker, now - heartbeats[worker.pid])
        self._noted &= heartbeats.keys()
        self._logged &= heartbeats.keys()
        for pid in self._noted - self._logged:
            self._log(pid, now - heartbeats[pid], now)
        self.context.reactor.call_later(self._next_seconds(list(heartbeats.values()), now), self.check)

    @staticmethod
    def _next_seconds(heartbeats: list[float], now: float) -> float:
        due = [SILENT_SECONDS - (now - turned_at) for turned_at in heartbeats]
        soonest = min((seconds if seconds > 0 else _POLL_SECONDS for seconds in due), default=SILENT_SECONDS)
        return max(_SOONEST_SECONDS, soonest)

    def _note(self, worker: WorkerRecord, seconds: float) -> None:
        slot, pid = worker.slot, worker.pid
        if worker.silent:
            # In a debugger it may stand at a breakpoint.
            if worker.state is WorkerState.READY and not self.context.planner.settings.debug:
                self._noted.add(pid)
                place = self._place(pid)
                self.context.log.remember(
                    "warning", "worker_blocked", slot=slot, pid=pid, seconds=round(seconds, 1), **place
                )
        elif pid in self._noted:
            self._noted.discard(pid)
            self.context.log.remember("info", "worker_unblocked", slot=slot, pid=pid)
            if pid in self._logged:
                self._logged.discard(pid)
                log = self.context.log.bind()
                log.info("worker_unblocked", slot=slot, pid=pid)
            else:
                self._lines.note_suppressed(slot)

    def _log(self, pid: int, seconds: float, now: float) -> None:
        """Log a silent worker, at once or as soon as its slot may have a line again."""
        slot = self.context.planner.workers[pid].slot
        if not self._lines.has_room(now, slot):
            return
        self._lines.note_logged(now, slot)
        self._logged.add(pid)
        suppressed = self._lines.take_suppressed(slot)
        # Not to the status, which has it.
        log = self.context.log.bind()
        log.warning(
            "worker_blocked",
            slot=slot,
            pid=pid,
            seconds=round(seconds, 1),
            **self._place(pid),
            suppressed=suppressed,
        )

    def _place(self, pid: int) -> dict[str, str]:
        stall = self.context.pool.stall(pid)
        return {} if stall is None else stall.fields()
