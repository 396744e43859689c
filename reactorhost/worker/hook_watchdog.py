"""The watchdog of a worker: what counts as progress of its loop, and how the log names what plugins are called with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import FrameType

from reactorhost.ipc.stall import Stall
from reactorhost.plugins.attribution import StackPosition
from reactorhost.worker.builder import WorkerParts
from reactorhost.worker.bus.local.history import History
from reactorhost.worker.bus.local.subscriptions import PluginSubscription
from reactorhost.worker.hooks import task_calls
from reactorhost.worker.hooks.soon_calls import SoonCalls
from reactorhost.worker.hooks.thread_pool import ThreadPool
from reactorhost.worker.hooks.timers import PluginTimers
from reactorhost.worker.hooks.watches import PluginWatch
from reactorhost.worker.monitor.served_client import client_of
from reactorhost.worker.monitor.watchdog import Watchdog
from reactorhost.worker.process.alarm import Alarm

_QUIET_BRIDGE_SECONDS = 1.0

CALLERS = {
    PluginTimers.call.__code__: "timer",
    ThreadPool.call_on_result.__code__: "on_result",
    ThreadPool.call_on_error.__code__: "on_error",
    task_calls.watched.__code__: "task",
    SoonCalls.call.__code__: "call_soon_threadsafe",
    PluginWatch.call.__code__: "watch",
    PluginSubscription.call.__code__: "subscribe",
    History.call_on_result.__code__: "on_result",
}
"""The functions of the host that call plugins back, and what the log of a slow one names as the hook."""


def new_watchdog(
    parts: WorkerParts, alarm: Alarm, limit_seconds: float, note: Callable[[Stall | None], object]
) -> Watchdog:
    """Return a watchdog of the worker's loop, which notes and logs plugin code that holds it too long."""
    context, bridge = parts.context, parts.bridge
    reactor, counters = context.reactor, context.counters
    # That of the context is for outbound connections.
    dispatchers = (context.dispatcher, *(each.context.dispatcher for each in parts.services.values()))

    def progress() -> int:
        # Also within a turn: a turn that serves many clients takes long without any slow hook.
        messages = sum(each.handed_over for each in dispatchers)
        loops = 0 if bridge is None else bridge.progress()
        # An accepted connection adds 1 to the sum, and so does one that ends: it never returns to an earlier value.
        return reactor.turns + messages + 2 * counters.accepted - counters.connections + loops

    attribution = parts.hooks.attribution
    for service in parts.services.values():
        if service.protocols is not None:
            # The code of a protocol is in most cases a library's, of which no file belongs to the plugin.
            attribution = attribution.with_hooks(service.protocols.plugin, service.protocols.calls())

    def locate(frame: FrameType) -> StackPosition | None:
        found, client = attribution.locate(frame, CALLERS), client_of(frame)
        return found if found is None or client is None else replace(found, peer=str(client.peer))

    quiet_seconds = 0.0 if bridge is None else _QUIET_BRIDGE_SECONDS
    return Watchdog(reactor, alarm, limit_seconds, progress, locate, note, context.log, quiet_seconds)
