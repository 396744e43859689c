"""The thread of the event loop, the only one in which plugins may use connections and the worker."""

from __future__ import annotations

import _thread
import functools
import threading
from collections.abc import Callable
from typing import Any

from reactorhost.api.connection import Connection


def call_before_threads(function: Callable[[], object]) -> None:
    """Call a function before each thread that Python code of this process starts from now on, in its starting thread.

    An audit hook would need no wrappers, but it is called for every accepted socket and for every `sendmsg` and
    `sendto` too, 220 ns each.
    """
    # `threading` itself has its own reference to what `_thread` starts threads with.
    for owner, name in ((threading.Thread, "start"), (_thread, "start_new_thread")):
        setattr(owner, name, _calling_first(function, getattr(owner, name)))


def _calling_first(function: Callable[[], object], start: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(start)
    def calling(*args: Any, **kwargs: Any) -> Any:
        function()
        return start(*args, **kwargs)

    return calling


class LoopThread:
    """The thread in which this is made.

    Attributes:
        has_others: whether the process has had another thread. Until then `connection.send` is not checked, because a
            check costs every message 60 ns.
        on_others: called when it is about to have one.
    """

    def __init__(self) -> None:
        self.has_others = False
        self.on_others: Callable[[], object] = lambda: None
        self._ident = threading.get_ident()

    def check(self, method: str) -> None:
        """Refuse a call of a method in another thread.

        Raises:
            RuntimeError: this is another thread.
        """
        if threading.get_ident() != self._ident:
            raise RuntimeError(
                f"{method} was called in the thread {threading.current_thread().name!r}, and works only in the event "
                "loop: return the result from the function in the thread, and use it in the on_result of "
                "worker.run_in_thread; in a thread of your own, pass a function to worker.call_soon_threadsafe"
            )

    def other_starts(self) -> None:
        """Check the thread of each `send` from now on."""
        if not self.has_others:
            self.has_others = True
            self.on_others()

    def check_sends(self, connection: Connection) -> None:
        """Refuse `send` of a connection in other threads from now on."""
        send = connection.send

        def checked(data: bytes | bytearray | memoryview) -> bool:
            self.check("connection.send")
            return send(data)

        connection.send = checked
