"""Functions of plugins that subscribe to topics.

A message is matched when it is published, and the functions are called at the end of the turn: `publish` calls no
plugin from within a plugin. Each pass delivers only what waits at its beginning, so a function that publishes what it
receives does not keep clients waiting.

An async function handles one message at a time. What waits for it is bounded: beyond that messages are dropped, and
reported as a gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from reactorhost.bus.names import TOPIC, checked_pattern
from reactorhost.bus.patterns import PatternMap
from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.worker.bus.drops import Drops
from reactorhost.worker.bus.local.gaps import Gaps
from reactorhost.worker.bus.local.interest import Interest
from reactorhost.worker.hooks import plugin_calls
from reactorhost.worker.hooks.hook_errors import HookFailure

if TYPE_CHECKING:
    from asyncio import Task

    from reactorhost.plugins.host_task import HostTask

MOST_WAITING_MESSAGES = 1000
MOST_WAITING_BYTES = 16 << 20

Function = Callable[[str, bytes], object]


class Subscriptions:
    """The subscriptions of one worker."""

    def __init__(
        self,
        reactor: Reactor,
        interest: Interest,
        gaps: Gaps,
        counters: Counters,
        hook_failed: HookFailure,
        log: EventLog,
    ) -> None:
        self._reactor = reactor
        self._interest = interest
        self._gaps = gaps
        self._hook_failed = hook_failed
        self._drops = Drops(reactor, counters, log)
        self._by_pattern: PatternMap[list[PluginSubscription]] = PatternMap()
        self._made = 0
        self._waiting: deque[tuple[list[PluginSubscription], str, bytes]] = deque()
        self._scheduled = False

    def add(self, plugin: str, pattern: str, function: Function) -> PluginSubscription:
        """Call a plugin's function with the messages of topics.

        Raises:
            TypeError: the pattern is not a text, or the function is not callable.
            ValueError: the pattern is malformed.
        """
        checked_pattern("topic", pattern)
        if not callable(function):
            raise TypeError(f"subscribe needs a function to call, not {function!r}")
        self._made += 1
        subscription = PluginSubscription(self, plugin, pattern, function, self._made)
        if pattern not in self._by_pattern:
            self._by_pattern[pattern] = []
        self._by_pattern[pattern].append(subscription)
        self._interest.add(TOPIC + pattern)
        return subscription

    def remove(self, subscription: PluginSubscription) -> None:
        """Forget a subscription that is cancelled."""
        found = self._by_pattern[subscription.pattern]
        found.remove(subscription)
        if not found:
            del self._by_pattern[subscription.pattern]
        self._interest.remove(TOPIC + subscription.pattern)

    def deliver(self, topic: str, data: bytes) -> bool:
        """Call the functions that subscribe to the topic now, at the end of the turn; returns whether there are any."""
        found = self._matching(topic)
        if found:
            self._waiting.append((found, topic, data))
            self._schedule()
        return bool(found)

    def stop(self) -> None:
        """Cancel every subscription, and the async functions that run."""
        for subscription in [each for found in self._by_pattern.values() for each in found]:
            subscription.stop()

    def _matching(self, topic: str) -> list[PluginSubscription]:
        found = [each for subscriptions in self._by_pattern.matching(topic) for each in subscriptions]
        found.sort(key=attrgetter("number"))
        return found

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._reactor.call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        for _ in range(len(self._waiting)):
            subscriptions, topic, data = self._waiting.popleft()
            for subscription in subscriptions:
                subscription.deliver(topic, data)
        if self._waiting:
            self._schedule()

    # What a subscription calls.

    def failed(self, plugin: str, error: Exception) -> None:
        """Report an exception of a plugin's function."""
        self._hook_failed(plugin, "subscribe", None, error)

    def dropped(self, plugin: str, pattern: str, topic: str) -> None:
        """Report that a message was dropped, because its function is too slow."""
        self._drops.add((plugin, pattern), {"plugin": plugin, "pattern": pattern})
        self._gaps.missed([TOPIC + topic], recovered=False)


class PluginSubscription:
    """One function of a plugin, and the messages that wait for it if it is async.

    Attributes:
        number: subscriptions are called in the order of their numbers.
    """

    __slots__ = (
        "_cancelled",
        "_function",
        "_owner",
        "_plugin",
        "_task",
        "_variables",
        "_waiting",
        "_waiting_bytes",
        "number",
        "pattern",
    )

    def __init__(self, owner: Subscriptions, plugin: str, pattern: str, function: Function, number: int) -> None:
        self.pattern = pattern
        self.number = number
        self._owner = owner
        self._plugin = plugin
        self._function = function
        # As for a timer: of the hook that subscribes.
        self._variables = copy_context()
        self._task: HostTask | None = None
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._waiting_bytes = 0
        self._cancelled = False

    def cancel(self) -> None:
        """Call the function no more, also not with messages that have arrived already."""
        if not self._cancelled:
            self._cancelled = True
            self._owner.remove(self)
            self._waiting.clear()

    def stop(self) -> None:
        """Cancel the subscription, and the call of an async function."""
        self.cancel()
        if self._task is not None:
            self._task.cancel_by_host()

    def deliver(self, topic: str, data: bytes) -> None:
        """Call the function with a message, or let it wait behind the one that an async function handles."""
        if self._cancelled:
            return
        if self._task is None:
            self.call(topic, data)
        elif len(self._waiting) < MOST_WAITING_MESSAGES and self._waiting_bytes < MOST_WAITING_BYTES:
            self._waiting.append((topic, data))
            self._waiting_bytes += len(data)
        else:
            self._owner.dropped(self._plugin, self.pattern, topic)

    # The code object of this function marks subscriptions on a stack: see `worker.hook_watchdog`.
    def call(self, topic: str, data: bytes) -> None:
        """Call the function."""
        self._task = plugin_calls.call(self._function, (topic, data), self._variables, self._failed)
        if self._task is not None:
            self._task.add_done_callback(self._ended)

    def _ended(self, task: Task[Any]) -> None:
        self._task = None
        while self._waiting and self._task is None:
            topic, data = self._waiting.popleft()
            self._waiting_bytes -= len(data)
            self.call(topic, data)

    def _failed(self, error: Exception) -> None:
        self._owner.failed(self._plugin, error)
