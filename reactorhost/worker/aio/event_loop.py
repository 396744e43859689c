"""The asyncio bridge: an asyncio loop drives the reactor, in one thread, in workers with async hooks.

There are two loops and one wait. The asyncio loop (asyncio's own or uvloop) waits; the reactor never does. It turns,
with a timeout of 0, from three callbacks of the asyncio loop:

    add_reader   the reactor's epoll descriptor is readable: one of its descriptors is ready. An epoll set is itself
                 pollable (epoll(7)), so one registration stands for all connections
    call_soon    the reactor has calls for the end of a turn
    call_at      the reactor's next timer is due

So a plain worker never imports asyncio, and in this one a message takes the same path through the reactor; the bridge
costs a callback for each turn, not for each client.

`_schedule` decides which of the last two is needed. The reactor calls it whenever a call is added (`Reactor.begin`), so
that a hook running outside of a turn, as a task of the asyncio loop, can set a timer. Within a turn it does nothing,
because the end of the turn schedules anyway (`_turning`). A timer that fires early only makes one turn for nothing, and
is not moved when the reactor's next timer is later: most turns change nothing then.

Two periods of turning:

    complete(coroutine)   while worker_start and worker_stop are awaited: until the coroutine has finished
    run()                 until the reactor is stopped; a plugin that stops the asyncio loop does not end it

Facts that the code depends on:

- uvloop claims the wake-up descriptor of signals (`signal.set_wakeup_fd`) when it begins to run, asyncio's loop with
  the first `add_signal_handler`. Neither would call its handlers without it, so they keep it: see `reactor.signals`.
- An exception in a callback of an asyncio loop is logged and swallowed. One from a turn is a bug of the host and has to
  end the worker, so `_turn` keeps it in `_failure`, stops the loop, and `run` or `complete` raise it.
- `run_until_complete` raises RuntimeError when the loop is stopped before the coroutine has finished. If `_failure` is
  set, that is the cause. Otherwise a plugin has stopped the loop, and the loop continues. uvloop also keeps a second
  `stop` of one run for the next run.
- uvloop returns a handle from `call_at` that does not know its time if that has passed already. Therefore `_timer_at`.
"""

from __future__ import annotations

import asyncio
import os
import re
import select
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from reactorhost.errors import ReactorhostError
from reactorhost.plugins.host_task import cancel_all, describe
from reactorhost.reactor import Reactor
from reactorhost.system import process

T = TypeVar("T")

# The selector of a loop, and the pair by which threads wake it up.
_LOOP_DESCRIPTORS = 3
# Timers of both loops are rounded; a difference below this is not worth a new timer.
_CLOCK_SLACK_SECONDS = 0.001
# proc(5), on the fdinfo of an epoll set.
_REGISTERED = re.compile(r"^tfd: +(\d+) events: +([0-9a-f]+)", re.MULTILINE)


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    """Return a new event loop of a kind, `asyncio` or `uvloop`.

    Raises:
        ReactorhostError: uvloop is not installed.
        OSError: no descriptor is left.
    """
    if kind == "asyncio":
        # A loop that cannot open them prints a traceback when it is collected.
        process.require_free_descriptors(_LOOP_DESCRIPTORS)
        return HostEventLoop()
    try:
        import uvloop
    except ImportError:
        raise ReactorhostError("uvloop is not installed", hint="pip install uvloop") from None
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def call_after_signal_changes(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Call `callback` whenever a plugin has added or removed a signal handler of the loop."""
    for name in ("add_signal_handler", "remove_signal_handler"):
        method = getattr(loop, name)

        def changed(*args: Any, method: Callable[..., Any] = method) -> Any:
            try:
                return method(*args)
            finally:
                callback()

        # On the object: a subclass would have to be one of asyncio's loop, and another one of uvloop's.
        setattr(loop, name, changed)


class HostEventLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, with the descriptor of its epoll set under the name that uvloop has for it."""

    def __init__(self) -> None:
        selector = selectors.DefaultSelector()
        super().__init__(selector)
        self._get_backend_id = selector.fileno


def _replace_by_copy(epoll_set: int) -> None:
    """Replace the descriptor of an epoll set by one of a set with the same descriptors."""
    try:
        registered = Path(f"/proc/self/fdinfo/{epoll_set}").read_text(encoding="ascii")
    except OSError:
        # Without /proc, or without the right to read it. An empty set protects the worker's as well, but libuv aborts
        # the process when it modifies what it has registered.
        registered = ""
    with select.epoll() as copy:
        for descriptor, events in _REGISTERED.findall(registered):
            # It may be closed by now in this process.
            with suppress(OSError):
                copy.register(int(descriptor), int(events, 16))
        os.dup2(copy.fileno(), epoll_set, inheritable=False)


class AsyncioBridge:
    """Lets an asyncio loop drive a reactor."""

    def __init__(self, reactor: Reactor, loop: asyncio.AbstractEventLoop) -> None:
        self._reactor = reactor
        self._watched = reactor.fileno()
        self._loop = loop
        # Of every turn. A call of the loop is made in the context in which it was added, and that may be a hook's.
        self._variables = copy_context()
        self._turning = False
        self._stops_with_reactor = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        # uvloop rounds to milliseconds: a timer that is early turns the reactor again and again until it is due.
        self._timer_slack = 0.0 if isinstance(loop, asyncio.BaseEventLoop) else _CLOCK_SLACK_SECONDS
        self._soon: asyncio.Handle | None = None
        self._failure: BaseException | None = None
        self._ticks = 0
        self._tick_scheduled = False

    def complete(self, coroutine: Coroutine[Any, Any, object], variables: Context) -> None:
        """Run the loop until a coroutine has finished in this context; the reactor turns, even if it was stopped."""
        with self._reactor_turning():
            self._run_until_done(self._loop.create_task(coroutine, context=variables))

    def run(self) -> None:
        """Run the loop until the reactor is stopped."""
        with self._reactor_turning():
            self._stops_with_reactor = True
            while self._reactor.running and self._failure is None:
                self._loop.run_forever()
            self._stops_with_reactor = False
        if self._failure is not None:
            raise self._failure

    def abandon(self, on_return: Callable[[], NoReturn]) -> None:
        """Call `on_return`, which must end the process, when code that forked it returns into the loop of the child."""
        # The reactor has closed the descriptor that the loop watches. libuv aborts the process if that is not there
        # when it registers it, which is at its first wait.
        stand_in = os.eventfd(0, os.EFD_CLOEXEC)
        if stand_in != self._watched:
            os.dup2(stand_in, self._watched, inheritable=False)
            os.close(stand_in)
        # The loop's own epoll set is shared: what the child removed from it would be removed for the worker as well.
        loop: Any = self._loop
        _replace_by_copy(loop._get_backend_id())  # noqa: SLF001  libuv's uv_backend_fd
        self._loop.call_soon(on_return)

    def progress(self) -> int:
        """Return a number that grows while the asyncio loop turns.

        It is for the watchdog's signal handler, which reads it repeatedly: a call schedules the callback that adds to
        the number. A loop that runs only coroutines, and no turn of the reactor, is not blocked either.
        """
        if not self._tick_scheduled:
            self._tick_scheduled = True
            # The only method of a loop that may be called from a signal handler.
            self._loop.call_soon_threadsafe(self._tick)
        return self._ticks

    def _tick(self) -> None:
        self._tick_scheduled = False
        self._ticks += 1

    def close(self, seconds: float) -> list[str]:
        """Cancel every task, and return where those are that have not ended after `seconds`."""
        tasks = cancel_all(self._loop)
        unfinished: set[asyncio.Task[Any]] = set()
        if tasks:
            _, unfinished = self._run_until_done(self._loop.create_task(asyncio.wait(tasks, timeout=seconds)))
        self._run_until_done(self._loop.create_task(self._loop.shutdown_asyncgens()))
        return [describe(task) for task in unfinished]

    def _run_until_done(self, task: asyncio.Task[T]) -> T:
        while True:
            try:
                return self._loop.run_until_complete(task)
            except RuntimeError:
                if self._failure is not None:
                    raise self._failure from None
                if task.done():
                    raise

    @contextmanager
    def _reactor_turning(self) -> Iterator[None]:
        self._reactor.begin(self._schedule)
        self._loop.add_reader(self._reactor.fileno(), self._turn)
        self._schedule()
        try:
            yield
        finally:
            self._loop.remove_reader(self._reactor.fileno())

    def _turn(self) -> None:
        self._turning = True
        try:
            self._reactor.turn(0)
        except BaseException as error:  # noqa: BLE001  a bug of the host ends the worker, as it does in a plain one
            self._failure = error
            self._loop.stop()
            return
        self._turning = False
        reactor = self._reactor
        busy = time.monotonic() - reactor.now
        reactor.busy_seconds += busy
        reactor.longest_turn = max(reactor.longest_turn, busy)
        if self._stops_with_reactor and not self._reactor.running:
            # Once: a timer of this turn may come here again.
            self._stops_with_reactor = False
            self._loop.stop()
        else:
            self._schedule()

    def _schedule(self) -> None:
        """Schedule the next turn for when the reactor's next call is due."""
        if self._turning:
            return
        seconds = self._reactor.wait_seconds(time.monotonic())
        if seconds == 0:
            if self._soon is None:
                self._soon = self._loop.call_soon(self._turn_soon, context=self._variables)
        else:
            due = self._loop.time() + seconds + self._timer_slack
            if self._timer is None or self._timer_at > due + _CLOCK_SLACK_SECONDS:
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = self._loop.call_at(due, self._turn_at_timer, context=self._variables)
                self._timer_at = due

    def _turn_at_timer(self) -> None:
        self._timer = None
        self._turn()

    def _turn_soon(self) -> None:
        self._soon = None
        self._turn()
