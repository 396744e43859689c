"""The loop of the live view: it waits for keys, signals and the host at once, and draws after each change.

What a key does and what a frame looks like is decided by pure functions in `keymap` and `frame`; the loop only reads,
writes and waits. Nothing blocks except its one `select`, so that a host that hangs never delays a key.
"""

from __future__ import annotations

import select
import signal
import time
from dataclasses import dataclass, replace
from typing import Any

from reactorhost.dashboard.live.frame import render, waiting
from reactorhost.dashboard.live.keymap import press
from reactorhost.dashboard.model.recording import Record
from reactorhost.dashboard.model.snapshot import Snapshot, following
from reactorhost.dashboard.model.source import StatusSource
from reactorhost.dashboard.model.view import HostRequest, Page, Request, View, ViewAction
from reactorhost.dashboard.tables.rows import current
from reactorhost.dashboard.terminal import keys
from reactorhost.dashboard.terminal.paint import Painter
from reactorhost.dashboard.terminal.signals import SignalReader, raise_with_default_action
from reactorhost.dashboard.terminal.terminal import Terminal
from reactorhost.dashboard.text.line import Size

# How long an ESC may be alone before it is the Esc key: longer than the gaps inside a sequence over ssh, and short
# enough not to be noticed.
_ESCAPE_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 60.0


def show(source: StatusSource, view: View, terminal: Terminal, painter: Painter, record: Record) -> None:
    """Show a host until the user quits, and restore the terminal.

    TERM and HUP end the process by that signal, but only after the terminal is restored.
    """
    signals = SignalReader()
    live_view = LiveView(source, view, terminal, painter, signals, record, terminal.size())
    # The handlers are installed before the terminal is switched and removed after it is restored: in between, a signal
    # would end the process and leave the terminal as it is.
    with signals.installed():
        try:
            terminal.enter()
            live_view.run()
        finally:
            terminal.leave()
            source.close()
    if live_view.ended_by is not None:
        raise_with_default_action(live_view.ended_by)


@dataclass(slots=True)
class LiveView:
    """The state of the loop.

    Attributes:
        ended_by: the signal that ended the loop, or None.
    """

    _source: StatusSource
    _view: View
    _terminal: Terminal
    _painter: Painter
    _signals: SignalReader
    _record: Record
    _size: Size
    ended_by: signal.Signals | None = None
    _snapshot: Snapshot | None = None
    _unparsed_keys: bytes = b""
    _running: bool = True
    _needs_drawing: bool = True

    def run(self) -> None:
        """Run until the user quits, a signal ends the loop, or the terminal hangs up."""
        while self._running:
            self._advance(time.monotonic())
            if self._needs_drawing:
                self._draw()
            self._wait()

    def _wait(self) -> None:
        timeout = _ESCAPE_SECONDS if self._unparsed_keys else self._source.due() - time.monotonic()
        waited_for: list[Any] = [self._terminal.keyboard, self._signals.socket, *self._source.sockets()]
        # `select`: five descriptors at most, other ones after each request, so nothing is worth registering.
        ready, _, _ = select.select(waited_for, (), (), max(0.0, min(timeout, _LONGEST_WAIT_SECONDS)))
        if self._signals.socket in ready:
            for number in self._signals.read():
                self._handle_signal(number)
        if self._terminal.keyboard in ready:
            self._read_keys()
        elif self._unparsed_keys and not ready:
            # An answer of the host starts this wait anew, but not for ever: the fastest interval is longer.
            rest, self._unparsed_keys = self._unparsed_keys, b""
            self._press(keys.flush(rest))

    # The host.

    def _advance(self, now: float) -> None:
        shown = self._snapshot if self._view.page is Page.CONNECTIONS else None
        self._source.select_connections(current(shown, self._view) if shown is not None else None)
        self._source.set_interval(self._view.interval_seconds, now)
        for document in self._source.advance(now):
            self._record(document)
            self._snapshot = following(self._snapshot, document, paused=self._view.paused)
            self._needs_drawing = True
        if self._snapshot is None:
            return
        link, connections = self._source.link(now), self._source.connections
        if self._view.paused:
            connections = self._snapshot.connections
        if link != self._snapshot.link or connections is not self._snapshot.connections:
            self._snapshot = replace(self._snapshot, link=link, connections=connections)
            self._needs_drawing = True

    def _draw(self) -> None:
        self._needs_drawing = False
        if self._snapshot is None:
            frame = waiting("waiting for the host to answer", self._view, self._size)
        else:
            frame = render(self._snapshot, self._view, self._size)
        try:
            self._terminal.write(self._painter.paint(frame))
        except OSError:
            # EIO: the terminal has hung up.
            self._running = False

    # Keys.

    def _read_keys(self) -> None:
        data = self._terminal.read()
        if not data:
            self._running = False
            return
        names, self._unparsed_keys = keys.parse(self._unparsed_keys + data)
        self._press(names)

    def _press(self, names: list[str]) -> None:
        for name in names:
            before = self._view
            self._view, request = press(before, name, self._snapshot)
            if before.paused and not self._view.paused and self._snapshot is not None:
                self._snapshot = replace(self._snapshot, body=self._snapshot.document)
            self._needs_drawing = True
            self._act(request)

    def _act(self, request: Request | None) -> None:
        match request:
            case HostRequest():
                self._source.send(request, time.monotonic())
            case ViewAction.QUIT:
                self._running = False
            case ViewAction.SUSPEND:
                self._suspend()
            case ViewAction.REDRAW:
                self._painter.forget()
            case ViewAction.RESET_PEAKS:
                if self._snapshot is not None:
                    self._snapshot = self._snapshot.with_peak_reset()

    # Signals.

    def _handle_signal(self, number: signal.Signals) -> None:
        match number:
            case signal.SIGINT:
                self._running = False
            case signal.SIGTERM | signal.SIGHUP:
                self.ended_by = number
                self._running = False
            case signal.SIGTSTP:
                self._suspend()
            case signal.SIGCONT:
                # After SIGSTOP, which cannot be handled, the shell has changed the modes of the terminal.
                self._resume()
            case signal.SIGWINCH:
                self._resize()

    def _suspend(self) -> None:
        self._terminal.leave()
        # Returns when the process is continued. The SIGCONT that continues it has a handler too, so `_resume` runs
        # twice, which is harmless.
        raise_with_default_action(signal.SIGTSTP)
        self._resume()

    def _resume(self) -> None:
        self._terminal.leave()
        try:
            self._terminal.enter()
        except OSError:
            # When a terminal hangs up, the kernel sends HUP and then CONT.
            self._running = False
        else:
            self._resize()

    def _resize(self) -> None:
        self._size = self._terminal.size()
        self._painter.forget()
        self._needs_drawing = True
