"""What a worker's watchdog reads: whether the loop makes progress, and whose code it is in."""

from __future__ import annotations

from types import FrameType

from reactorhost.ipc.scoreboard import Counters
from reactorhost.logs import EventLog
from reactorhost.plugins.attribution import StackPosition
from reactorhost.reactor import Reactor
from reactorhost.worker.builder import WorkerParts
from reactorhost.worker.hooks.thread_pool import ThreadPool
from reactorhost.worker.hooks.timers import PluginTimers
from reactorhost.worker.monitor.alarm import Alarm
from reactorhost.worker.monitor.watchdog import Watchdog

_CALLERS = {
    PluginTimers.call.__code__: "timer",
    ThreadPool.call_on_result.__code__: "on_result",
    ThreadPool.call_on_error.__code__: "on_error",
}
"""The functions of the host that call plugins back, and what the log names as the hook."""


def new_watchdog(
    parts: WorkerParts, reactor: Reactor, alarm: Alarm, counters: Counters, limit_seconds: float | None, log: EventLog
) -> Watchdog | None:
    """Return a watchdog for code that blocks the loop longer than `limit_seconds`; None without a limit."""
    if limit_seconds is None:
        return None
    bridge = parts.bridge

    def progress() -> int:
        # Also within a turn: a turn that serves many clients takes long without any slow hook.
        loops = 0 if bridge is None else bridge.progress()
        messages = parts.context.dispatcher.handed_over + parts.outbound.context.dispatcher.handed_over
        return reactor.turns + messages + 2 * counters.accepted - counters.connections + loops

    def locate(frame: FrameType) -> StackPosition | None:
        return parts.hooks.attribution.locate(frame, _CALLERS)

    return Watchdog(reactor, alarm, limit_seconds, progress, locate, log)
