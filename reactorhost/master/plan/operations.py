"""Operations: reloads and scalings that are asked for, how far they are, and who waits for their end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from reactorhost.errors import BootError, ReactorhostError, UsageError
from reactorhost.master.plan.planner import HostState, Planner, WorkerRecord


class Watcher(Protocol):
    """Somebody who waits for the end of an operation."""

    def progress(self, text: str, **fields: object) -> None:
        """Hear how far it is."""

    def done(self, **result: object) -> None:
        """Hear that it is done."""

    def failed(self, error: ReactorhostError) -> None:
        """Hear that it failed."""


@dataclass(slots=True)
class Reloads:
    """The reload on its way and those asked for meanwhile: one more after it serves them all."""

    planner: Planner
    watchers: list[Watcher] = field(default_factory=list)
    running: bool = False
    total: int = 0
    waiting: list[Watcher] = field(default_factory=list)
    wanted: bool = False

    def ask(self, watcher: Watcher | None) -> None:
        """Want a reload from now on; what a running one read already may be older than that."""
        self.wanted = True
        if watcher is not None:
            self.waiting.append(watcher)
            if self.running:
                watcher.progress("waiting for the reload that is running")

    def start_if_wanted(self) -> bool:
        """Start the next reload if one is wanted and none runs; returns whether it did."""
        if not self.wanted or self.running or self.planner.mode is not HostState.RUNNING:
            return False
        self.wanted, self.running = False, True
        self.watchers, self.waiting = self.waiting, []
        self.total = self.planner.target
        self.planner.start_reload()
        return True

    def replaced(self, member: WorkerRecord, old_pids: list[int]) -> None:
        """Tell that a replacement is ready."""
        old = ", ".join(str(pid) for pid in old_pids) or "none"
        count = self.planner.reload.replaced if self.planner.reload else self.total
        for watcher in self.watchers:
            text = f"slot {member.slot}: pid {old} -> {member.pid} ready ({count} of {self.total})"
            watcher.progress(text, done=count, total=self.total)

    def finish_if_done(self) -> bool:
        """End the reload when every slot was replaced; returns whether it did."""
        reload = self.planner.reload
        if not self.running or reload is None or reload.waiting or reload.slot is not None:
            return False
        self.planner.reload = None
        self.running = False
        for watcher in self.watchers:
            watcher.done(generation=self.planner.generation, replaced=reload.replaced)
        return True

    def fail(self, error: ReactorhostError) -> None:
        """End the reload: a replacement did not become ready, and the worker it was for serves on."""
        self.running = False
        for watcher in self.watchers:
            watcher.failed(error)

    def abandon(self, error: ReactorhostError) -> None:
        """Tell everybody who waits that nothing will come of it."""
        if self.running or self.wanted:
            self.running = self.wanted = False
            for watcher in (*self.watchers, *self.waiting):
                watcher.failed(error)


@dataclass(slots=True)
class Recycles:
    """Workers that are being replaced one by one, by slot, and who waits for each."""

    planner: Planner
    watchers: dict[int, tuple[int, Watcher]] = field(default_factory=dict)

    def ask(self, pid: int, watcher: Watcher) -> None:
        """Replace a worker.

        Raises:
            UsageError: it is no worker that serves.
        """
        if not self.planner.recycle(pid):
            ready = ", ".join(str(each.pid) for each in self.planner.members.values() if each.state == "ready")
            raise UsageError(f"pid {pid} is no worker that serves", hint=f"workers: {ready or 'none'}")
        slot = self.planner.members[pid].slot
        if slot in self.watchers:
            self.watchers[slot][1].failed(ReactorhostError("it is being replaced already"))
        self.watchers[slot] = (pid, watcher)

    def ready(self, member: WorkerRecord) -> None:
        """Tell that the replacement is ready."""
        old, watcher = self.watchers.pop(member.slot, (0, None))
        if watcher is not None:
            watcher.done(slot=member.slot, old=old, new=member.pid)

    def slot_failed(self, slot: int, error: ReactorhostError) -> None:
        """Tell that the replacement did not become ready; the old worker serves on."""
        if slot in self.watchers:
            self.watchers.pop(slot)[1].failed(error)

    def gone(self, pid: int) -> None:
        """Note that a process ended: one that was to be replaced is replaced as after any crash."""
        for slot, (old, watcher) in list(self.watchers.items()):
            if old == pid:
                del self.watchers[slot]
                self.planner.recycling.discard(slot)
                watcher.failed(ReactorhostError(f"pid {pid} ended before its replacement was ready"))

    def abandon(self, error: ReactorhostError) -> None:
        """Tell everybody who waits that nothing will come of it."""
        for _, watcher in self.watchers.values():
            watcher.failed(error)
        self.watchers = {}


@dataclass(slots=True)
class Scalings:
    """Who waits for the number of workers that was asked for."""

    planner: Planner
    watchers: list[Watcher] = field(default_factory=list)
    told: int = -1

    def ask(self, watcher: Watcher | None) -> None:
        """Wait for the roster's target; an earlier wish that it replaced is over."""
        if watcher is not None:
            for earlier in self.watchers:
                earlier.failed(ReactorhostError("another scaling came in between"))
            self.watchers = [watcher]
        self.told = -1

    def look(self, draining: int) -> None:
        """Tell how far it is, and end when it is reached."""
        if not self.watchers:
            return
        ready = self.planner.ready_slots()
        if ready != self.told:
            self.told = ready
            for watcher in self.watchers:
                watcher.progress(
                    f"{ready} of {self.planner.target} workers ready", done=ready, total=self.planner.target
                )
        if self.planner.scaled():
            for watcher in self.watchers:
                watcher.done(workers=self.planner.target, draining=draining)
            self.watchers = []

    def slot_failed(self, slot: int, error: ReactorhostError) -> None:
        """Tell why it takes long: a worker did not boot. The host goes on trying."""
        for watcher in self.watchers:
            what = f"slot {slot} is not ready: {error.what}"
            watcher.failed(BootError(what, where=error.where, hint="the host goes on trying", details=error.details))
        self.watchers = []

    def abandon(self, error: ReactorhostError) -> None:
        """Tell everybody who waits that nothing will come of it."""
        for watcher in self.watchers:
            watcher.failed(error)
        self.watchers = []
