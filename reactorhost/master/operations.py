"""Operations: reloads and scalings that are asked for, how far they are, and who waits for their end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from reactorhost.errors import BootError, ReactorhostError
from reactorhost.master.roster import Member, Mode, Roster


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

    roster: Roster
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
        if not self.wanted or self.running or self.roster.mode is not Mode.RUNNING:
            return False
        self.wanted, self.running = False, True
        self.watchers, self.waiting = self.waiting, []
        self.total = self.roster.target
        self.roster.start_reload()
        return True

    def replaced(self, member: Member, old_pids: list[int]) -> None:
        """Tell that a replacement is ready."""
        old = ", ".join(str(pid) for pid in old_pids) or "none"
        count = self.roster.reload.replaced if self.roster.reload else self.total
        for watcher in self.watchers:
            watcher.progress(f"slot {member.slot}: pid {old} -> {member.pid} ready ({count} of {self.total})")

    def finish_if_done(self) -> bool:
        """End the reload when every slot was replaced; returns whether it did."""
        reload = self.roster.reload
        if not self.running or reload is None or reload.waiting or reload.slot is not None:
            return False
        self.roster.reload = None
        self.running = False
        for watcher in self.watchers:
            watcher.done(generation=self.roster.generation, replaced=reload.replaced)
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
class Scalings:
    """Who waits for the number of workers that was asked for."""

    roster: Roster
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
        ready = self.roster.ready_slots()
        if ready != self.told:
            self.told = ready
            for watcher in self.watchers:
                watcher.progress(f"{ready} of {self.roster.target} workers ready")
        if self.roster.scaled():
            for watcher in self.watchers:
                watcher.done(workers=self.roster.target, draining=draining)
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
