"""Tasks of asyncio in which the host runs plugin code, and which know whether the host has cancelled them.

A `CancelledError` that ends a hook is not an error if the host has cancelled it, because the client is gone. Any other
one is: out of something awaited that was cancelled, or since the plugin has cancelled the task of its own hook. asyncio
itself counts the requests to cancel a task, and does not know where they come from.

Not imported by a worker without async hooks.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import types
from collections.abc import Iterator
from typing import Any

from reactorhost.plugins.tracebacks import place_of_frames


class HostTask(asyncio.Task[Any]):
    """A task that runs plugin code.

    Attributes:
        cancelled_by_host: whether the host has cancelled it, and has not revoked that.
    """

    cancelled_by_host = False

    def cancel(self, msg: object = None) -> bool:
        """Cancel it, after its first step at the earliest."""
        # A task that is cancelled before its first step never runs, so the host would wait for its end for ever.
        if not self.done() and inspect.getcoroutinestate(self.get_coro()) == inspect.CORO_CREATED:  # type: ignore[arg-type]
            self.get_loop().call_soon(super().cancel, msg)
            return True
        return super().cancel(msg)

    def cancel_by_host(self) -> None:
        """Cancel it as the host."""
        self.cancelled_by_host = True
        self.cancel()

    def revoke_cancellation(self) -> None:
        """Let the next hook run as if the last one had not been cancelled, by the host or by the plugin."""
        self.cancelled_by_host = False
        # `asyncio.timeout` and task groups look at the number of requests.
        while self.cancelling():
            self.uncancel()


def is_host_cancellation(raised: BaseException) -> bool:
    """Return whether the host has cancelled the current task, and this is how it ends."""
    # Before the task: one that is collected with its loop raises GeneratorExit, and no loop runs then.
    if not isinstance(raised, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return isinstance(task, HostTask) and task.cancelled_by_host


def cancel_all(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
    """Cancel every task of a loop as the host, and return them."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        if isinstance(task, HostTask):
            task.cancel_by_host()
        else:
            task.cancel()
    return tasks


def describe(task: asyncio.Task[Any]) -> str:
    """Return `FILE:LINE` of the plugin code that a task waits in, with the name of the task if it was given one."""
    place = place_of_frames(_frames(task.get_coro()), None)
    name = task.get_name()
    if place is None:
        return name
    return place if re.fullmatch(r"Task-\d+", name) else f"{name} at {place}"


def _frames(awaited: object) -> Iterator[tuple[types.FrameType, int]]:
    """Return the frames of a coroutine and of those that it awaits, the outermost first."""
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            yield frame, frame.f_lineno
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
