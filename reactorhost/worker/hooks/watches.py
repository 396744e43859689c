"""Descriptors of plugins that the event loop watches: `worker.watch`.

A watch registers a duplicate of the plugin's descriptor. So the number is its own: a plugin may watch a descriptor
twice, and one that closes its descriptor without `cancel` does not leave an entry in the poller under a number that the
kernel gives to the next client. A forked child loses the duplicate, and keeps the descriptor itself.

Registrations are level-triggered. While an async function runs, its event is not waited for: the loop would turn
without a pause.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from reactorhost.api.worker_protocols import HasFileno
from reactorhost.reactor import READ, WRITE, Reactor
from reactorhost.worker.hooks import plugin_calls
from reactorhost.worker.hooks.hook_errors import HookFailure

if TYPE_CHECKING:
    from asyncio import Task

    from reactorhost.plugins.host_task import HostTask

Function = Callable[[], object]


class WatchedDescriptor(Protocol):
    """A duplicate of a plugin's descriptor."""

    @property
    def is_stale(self) -> bool:
        """Whether the plugin has closed its own."""

    def fileno(self) -> int:
        """Return the number that the reactor watches."""

    def close(self) -> None:
        """Close the duplicate."""


class DuplicateDescriptor:
    """A duplicate made by the kernel."""

    def __init__(self, original: int) -> None:
        """Duplicate it.

        Raises:
            ValueError: it is not open, or of a regular file or a directory, which are always ready.
            OSError: there is no descriptor left.
        """
        try:
            mode = os.fstat(original).st_mode
        # The second one for a number that no descriptor can have.
        except (OSError, OverflowError):
            raise ValueError(f"descriptor {original} is not open") from None
        # epoll refuses them, and poll does not.
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            raise _always_ready(original)
        self._original = original
        self._descriptor = os.dup(original)

    @property
    def is_stale(self) -> bool:
        """Whether the original is closed, or its number is that of another file by now."""
        try:
            return not os.path.sameopenfile(self._original, self._descriptor)
        except OSError:
            return True

    def fileno(self) -> int:
        """Return the duplicate."""
        return self._descriptor

    def close(self) -> None:
        """Close the duplicate."""
        os.close(self._descriptor)


class Watches:
    """The watches of one worker; `duplicate` makes a duplicate of a descriptor."""

    def __init__(
        self, reactor: Reactor, hook_failed: HookFailure, duplicate: Callable[[int], WatchedDescriptor]
    ) -> None:
        self.reactor = reactor
        self.hook_failed = hook_failed
        self._duplicate = duplicate
        self._watches: set[PluginWatch] = set()

    def watch(
        self, plugin: str, file: int | HasFileno, on_readable: Function | None, on_writable: Function | None
    ) -> PluginWatch:
        """Call functions of a plugin whenever a descriptor is ready.

        Raises:
            TypeError: `file` has no descriptor, or a function is not callable, or there is none.
            ValueError: the descriptor is not open, or cannot be waited for.
            OSError: there is no descriptor left for the duplicate, or the poller is full.
        """
        functions = {READ: on_readable, WRITE: on_writable}
        wanted = {event: function for event, function in functions.items() if function is not None}
        if not wanted or not all(map(callable, wanted.values())):
            raise TypeError("watch needs a function to call, as on_readable, on_writable or both")
        number = _number_of(file)
        watch = PluginWatch(self, plugin, self._duplicate(number), wanted)
        try:
            watch.update()
        except OSError as error:
            watch.close()
            if isinstance(error, PermissionError):
                # epoll_ctl(2): of a device such as /dev/null.
                raise _always_ready(number) from None
            raise
        self._watches.add(watch)
        return watch

    def forget(self, watch: PluginWatch) -> None:
        """Forget a watch that is cancelled."""
        self._watches.discard(watch)

    def cancel_all(self) -> None:
        """Cancel every watch, and the async functions that run."""
        for watch in tuple(self._watches):
            watch.stop()


class PluginWatch:
    """One watched descriptor.

    `functions` are those to call, by event.
    """

    __slots__ = ("_descriptor", "_functions", "_interest", "_owner", "_plugin", "_tasks", "_variables")

    def __init__(
        self, owner: Watches, plugin: str, descriptor: WatchedDescriptor, functions: dict[int, Function]
    ) -> None:
        self._owner = owner
        self._plugin = plugin
        self._descriptor = descriptor
        self._functions = functions
        # As for a timer: of the hook that watches.
        self._variables = copy_context()
        self._tasks: dict[int, HostTask] = {}
        self._interest = 0

    def cancel(self) -> None:
        """Call the functions no more; does nothing the second time."""
        if self._functions:
            self._functions = {}
            self.update()
            self.close()
            self._owner.forget(self)

    def stop(self) -> None:
        """Cancel the watch, and the async functions that run."""
        self.cancel()
        for task in tuple(self._tasks.values()):
            task.cancel_by_host()

    def close(self) -> None:
        """Close the duplicate; it is not registered."""
        self._descriptor.close()

    def update(self) -> None:
        """Register for what has a function that does not run."""
        wanted = sum(event for event in self._functions if event not in self._tasks)
        if wanted == self._interest:
            return
        reactor, descriptor = self._owner.reactor, self._descriptor.fileno()
        # Not registered without events: a hang-up would be reported all the same, again and again.
        if not wanted:
            reactor.unregister(descriptor)
        elif self._interest:
            reactor.modify(descriptor, wanted, self._ready)
        else:
            reactor.register(descriptor, wanted, self._ready)
        self._interest = wanted

    def _ready(self, events: int) -> None:
        if self._descriptor.is_stale:
            # The duplicate stays as ready as the original was, so the loop would call the function again and again.
            self.cancel()
            self._failed(ValueError("the descriptor was closed before its watch was cancelled"))
            return
        for event, function in tuple(self._functions.items()):
            # The function before may have cancelled the watch.
            if events & event & self._interest:
                self.call(event, function)

    # The code object of this function marks watches on a stack: see `worker.hook_watchdog`.
    def call(self, event: int, function: Function) -> None:
        """Call one of the functions."""
        task = plugin_calls.call(function, (), self._variables, self._failed)
        if task is not None:
            self._tasks[event] = task
            self.update()
            task.add_done_callback(partial(self._ended, event))

    def _ended(self, event: int, task: Task[Any]) -> None:
        del self._tasks[event]
        self.update()

    def _failed(self, error: Exception) -> None:
        self._owner.hook_failed(self._plugin, "watch", None, error)


def _number_of(file: object) -> int:
    fileno = file if isinstance(file, int) else getattr(file, "fileno", None)
    number = fileno() if callable(fileno) else fileno
    if not isinstance(number, int):
        raise TypeError(f"watch needs a descriptor or an object with fileno(), not {file!r}")
    return number


def _always_ready(number: int) -> ValueError:
    return ValueError(f"descriptor {number} is of a file that is always ready, and cannot be watched")
