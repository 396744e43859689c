"""TERM and QUIT of a worker, which plugins may handle too.

A plugin that installs a handler of its own, with `signal.signal` or `loop.add_signal_handler`, would keep the worker
from draining. So the handler is put back, and calls the plugin's after its own.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

_Handler = Callable[[int, FrameType | None], Any]


class EndSignals:
    """Keeps the installed handlers of `numbers` in use.

    `handler_failed` is called with what the handler of a plugin raises.
    """

    def __init__(
        self, numbers: Iterable[signal.Signals], handler_failed: Callable[[signal.Signals, BaseException], object]
    ) -> None:
        self._own: dict[signal.Signals, Any] = {number: signal.getsignal(number) for number in numbers}
        self._of_plugins: dict[signal.Signals, _Handler] = {}
        self._handler_failed = handler_failed
        self._handling: set[int] = set()
        # Those whose handler was put back, and that have not arrived since.
        self._restored: set[int] = set()
        self.keep()
        self._restored.clear()

    def keep(self) -> None:
        """Put the handlers back that a plugin has replaced."""
        for number in self._own:
            current = signal.getsignal(number)
            # Equal, not identical: each access makes a new bound method.
            if current == self._handle:
                continue
            self._of_plugins.pop(number, None)
            if callable(current) and current != self._own[number]:
                self._of_plugins[number] = current
            signal.signal(number, self._handle)
            self._restored.add(number)

    def arrived(self, number: int) -> None:
        """Handle a signal that the wake-up descriptor reports, if it has found the handler of a plugin only."""
        # The handler may be back by now: what has called `keep` does not know of the signal.
        self.keep()
        if number in self._restored:
            self._restored.discard(number)
            self._own[signal.Signals(number)](number, None)

    def release_in_child(self) -> None:
        """Leave a forked child the handlers of plugins, or else the default actions."""
        for number in self._own:
            if signal.getsignal(number) == self._handle:
                signal.signal(number, self._of_plugins.get(number, signal.SIG_DFL))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # The handler of a plugin may call the one that it has replaced, which is this one.
        if number in self._handling:
            return
        self._handling.add(number)
        self._restored.discard(number)
        try:
            self._own[signal.Signals(number)](number, frame)
            of_plugin = self._of_plugins.get(signal.Signals(number))
            if of_plugin is not None:
                of_plugin(number, frame)
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything, and often SystemExit
            self._handler_failed(signal.Signals(number), raised)
        finally:
            self._handling.discard(number)
