"""What the watchdog of a worker looks at: whether the loop comes further, and in whose code it is."""

from __future__ import annotations

from types import FrameType

from reactorhost.logs import EventLog
from reactorhost.plugins.blame import Standing
from reactorhost.reactor import Reactor
from reactorhost.scoreboard import Counters
from reactorhost.worker.alarm import Alarm
from reactorhost.worker.assembly import Assembly
from reactorhost.worker.threads import Threads
from reactorhost.worker.timers import PluginTimers
from reactorhost.worker.watchdog import Watchdog

_CALLERS = {PluginTimers.call.__code__: "timer", Threads.call.__code__: "then"}
"""What of the host calls plugins back, and what stands for the hook in the log then."""


def watchdog(
    assembly: Assembly, reactor: Reactor, alarm: Alarm, tally: Counters, limit_seconds: float | None, log: EventLog
) -> Watchdog | None:
    """Return what names the code that holds the loop longer than `limit_seconds`; None without a limit."""
    if limit_seconds is None:
        return None
    guest = assembly.guest

    def progress() -> int:
        # A turn in which many clients are served in their turn is no slow hook, however long it takes.
        loops = 0 if guest is None else guest.progress()
        messages = assembly.inbox.handed_over + assembly.outbounds.surroundings.inbox.handed_over
        return reactor.turns + messages + 2 * tally.accepted - tally.connections + loops

    def locate(frame: FrameType) -> Standing | None:
        return assembly.hooks.blame.standing(frame, _CALLERS)

    return Watchdog(reactor, alarm, limit_seconds, progress, locate, log)
