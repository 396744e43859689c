"""What the guard reports: counters, and log lines, few of which are written during a flood.

In a dry run the names of the counters begin with `dry_`, and the lines end with `dry_run=true`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reactorhost_guard.settings import Settings

if TYPE_CHECKING:
    from reactorhost import Worker


@dataclass(slots=True)
class _Window:
    """The lines of one kind since `began_at`."""

    began_at: float
    lines: int = 0
    suppressed: int = 0


class Report:
    """The counters and log lines of one worker; the counters begin with 0."""

    def __init__(self, worker: Worker, settings: Settings) -> None:
        self._worker = worker
        self._prefix, self._suffix = ("dry_", " dry_run=true") if settings.dry_run else ("", "")
        self._windows: dict[str, _Window] = {}
        # One that appears with its first event hides that event from a rate.
        for name in _counters(settings):
            worker.counter(self._prefix + name)

    def count(self, name: str) -> None:
        """Add one to a counter."""
        self._worker.counter(self._prefix + name).add()

    def line(self, event: str, kind: str, text: str, *, most: int, seconds: float) -> None:
        """Log a line, unless `most` lines of its event and kind were logged in so many seconds."""
        now, name = self._worker.now(), f"{event} {kind}"
        window = self._windows.get(name)
        if window is None or now - window.began_at >= seconds:
            suppressed = window.suppressed if window else 0
            window = self._windows[name] = _Window(now, suppressed=suppressed)
        if window.lines >= most:
            window.suppressed += 1
            return
        window.lines += 1
        missing = f" suppressed={window.suppressed}" if window.suppressed else ""
        window.suppressed = 0
        self._worker.log.warning("%s %s%s%s", event, text, missing, self._suffix)


def _counters(settings: Settings) -> Iterator[str]:
    """Yield the counters that can grow with these settings."""
    for prefix, limits in (("", settings.of_address), ("network_", settings.of_network)):
        if limits.connects is not None:
            yield f"refused_{prefix}connects"
        for name in ("messages", "bytes"):
            if getattr(limits, name) is not None:
                yield f"closed_{prefix}{name}"
            if limits.slows(name):
                yield f"slowed_{prefix}{name}"
    if settings.deny is not None:
        yield "refused_denied"
    if settings.of_address.of_clients:
        yield "strikes"
        if settings.of_address.strikes is not None:
            yield "bans"
    # An operator, and another host, may ban too.
    yield from ("refused_banned", "closed_banned", "dropped_datagrams")
