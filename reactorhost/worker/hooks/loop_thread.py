"""The thread of the event loop, the only one in which plugins may use connections and the worker."""

from __future__ import annotations

import threading

from reactorhost.api.connection import Connection


class LoopThread:
    """The thread in which this is made.

    Attributes:
        has_others: whether the process has had another thread. Until then `connection.send` is not checked, because a
            check costs every message 60 ns.
    """

    def __init__(self) -> None:
        self.has_others = False
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
                "worker.run_in_thread"
            )

    def check_sends(self, connection: Connection) -> None:
        """Refuse `send` of a connection in other threads from now on."""
        send = connection.send

        def checked(data: bytes | bytearray | memoryview) -> bool:
            self.check("connection.send")
            return send(data)

        connection.send = checked
