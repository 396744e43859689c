"""The bans as one worker has them: exchanged with the other workers, and kept in a folder if there is one.

A new ban is published, for the workers that run, and sent to a group with a history, from which a worker that starts
has it. The leader of the host writes the folder and carries out what commands have requested there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reactorhost import SetupError
from reactorhost_guard import notation
from reactorhost_guard.addresses import Address
from reactorhost_guard.bans import Ban, Bans, decoded, encoded, later
from reactorhost_guard.report import Report
from reactorhost_guard.settings import Settings
from reactorhost_guard.state_dir import StateDir, bans_of

if TYPE_CHECKING:
    from reactorhost import Worker

TOPIC = GROUP = "guard:bans"
HISTORY_MESSAGES = 10_000
SAVE_SECONDS = 1.0
_REST = 20.0
"""A thread that encodes many bans slows the event loop down: it rests for so many times as long as it has worked."""
PRUNE_SECONDS = 60.0


class HostBans:
    """The bans; `on_ban` is called with each that comes into force, or that is lifted."""

    def __init__(self, worker: Worker, settings: Settings, report: Report, on_ban: Callable[[Ban], object]) -> None:
        self._worker = worker
        self._report = report
        self._on_ban = on_ban
        self._dry_run = settings.dry_run
        self._bans = Bans(settings.ban_times, settings.max_addresses)
        self._dir = StateDir(settings.state_dir) if settings.state_dir else None
        # Not the time of day itself: it may be set, and in a test it does not follow the clock of the worker.
        self._epoch = time.time() - worker.now()
        self._saved_changes = 0
        self._saving = False
        self._rests_until = 0.0
        # Requests that stay in the folder until the bans are written.
        self._carried_out: set[Path] = set()

    def start(self) -> None:
        """Take over the bans of the folder and of the other workers, and follow them from now on.

        Raises:
            SetupError: the folder cannot be used.
        """
        worker = self._worker
        worker.subscribe(TOPIC, self._received)
        worker.keep_history(GROUP, messages=HISTORY_MESSAGES)
        worker.history(GROUP, HISTORY_MESSAGES, on_result=self._read_history)
        worker.call_every(PRUNE_SECONDS, lambda: self._bans.prune(self.now()))
        if self._dir is not None:
            try:
                self._dir.create()
                self._add(self._dir.load())
            except (OSError, ValueError) as error:
                raise SetupError(f"the folder {self._dir.path} cannot be used: {error}", option="state_dir") from None
            self._saved_changes = self._bans.changes
            worker.call_every(SAVE_SECONDS, self._update_dir, once="host")

    def now(self) -> float:
        """Return the Unix time of the worker's clock."""
        return self._epoch + self._worker.now()

    @property
    def is_empty(self) -> bool:
        """Whether no ban is known."""
        return not len(self._bans)

    def find(self, address: Address) -> Ban | None:
        """Return the ban of an address that is to be enforced."""
        if self.is_empty:
            return None
        return self._bans.find(address, self.now(), dry=self._dry_run)

    def ban(self, network: notation.Network, reason: str) -> None:
        """Ban a network in all workers."""
        now = self.now()
        ban = self._bans.ban(network, reason, now, dry=self._dry_run)
        self._report.count("bans")
        seconds = notation.shown_duration(ban.until - now)
        text = f"network={notation.shown(network)} reason={reason} time={seconds} before={ban.level}"
        self._report.line("guard_banned", "", text, most=10, seconds=1.0)
        self._publish([ban])

    def in_force(self) -> int:
        """Return the number of bans in force; 0 in all workers but the leader, as the sum is shown."""
        return self._bans.count(self.now(), dry=self._dry_run) if self._worker.leader else 0

    def save(self) -> None:
        """Write the folder now."""
        if self._dir is not None and self._bans.changes != self._saved_changes:
            try:
                self._dir.save(self._bans.records())
            except OSError as error:
                self._not_saved(error)
            else:
                self._saved_changes = self._bans.changes

    def _publish(self, bans: list[Ban]) -> None:
        self._add(bans)
        data = encoded(bans)
        self._worker.publish(TOPIC, data)
        self._worker.send_to(GROUP, data)

    def _received(self, topic: str, data: bytes) -> None:
        self._add(decoded(data))

    def _read_history(self, messages: list[bytes]) -> None:
        for data in messages:
            self._add(decoded(data))

    def _add(self, bans: list[Ban]) -> None:
        for ban in bans:
            if self._bans.add(ban) and (ban.lifted or ban.holds(self.now())):
                self._on_ban(ban)

    def _update_dir(self) -> None:
        """Carry out the requests, and write the bans if they have changed; called in the leader."""
        assert self._dir is not None
        if self._saving:
            return
        try:
            requests = self._carry_out_requests(self._dir.requests())
        except OSError as error:
            self._not_saved(error)
            return
        began = self._worker.now()
        if requests or (self._bans.changes != self._saved_changes and began >= self._rests_until):
            changes = self._bans.changes
            self._saving = True
            self._worker.run_in_thread(
                self._dir.save,
                self._bans.records(),
                on_result=lambda _: self._saved(requests, changes, began),
                on_error=self._not_saved,
            )

    def _carry_out_requests(self, requests: list[Path]) -> list[Path]:
        """Return those that are carried out, and so can be removed when the bans are written."""
        done = []
        for request in requests:
            if request not in self._carried_out:
                try:
                    bans = bans_of(request)
                except OSError as error:
                    # One file that cannot be read must not hold up the others, and the bans.
                    self._not_saved(error)
                    continue
                for ban in bans:
                    self._carry_out(ban)
                self._carried_out.add(request)
            done.append(request)
        return done

    def _carry_out(self, request: Ban) -> None:
        before = self._bans.of(request.network)
        until = max(request.until, before.until) if before and request.lifted else request.until
        # Decided now: the clock of the command may be behind that of the ban that it replaces.
        ban = replace(request, decided_at=later(self.now(), before), until=until)
        event = "guard_unbanned" if ban.lifted else "guard_banned"
        text = f"network={notation.shown(ban.network)} reason={ban.reason}"
        self._report.line(event, "request", text, most=10, seconds=1.0)
        self._publish([ban])

    def _saved(self, requests: list[Path], changes: int, began: float) -> None:
        now = self._worker.now()
        self._rests_until = now + _REST * (now - began)
        self._saving = False
        self._saved_changes = changes
        for request in requests:
            with suppress(OSError):
                request.unlink()
                self._carried_out.discard(request)

    def _not_saved(self, error: BaseException) -> None:
        self._saving = False
        self._report.line("guard_not_saved", "", f"error={str(error)!r}", most=1, seconds=60.0)
