"""The live view's loop: one wait for keyboard, signals and host; everything else is decided by pure functions."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reactorhost.dashboard.live.frame import render, waiting
from reactorhost.dashboard.live.keymap import press
from reactorhost.dashboard.tables.rows import current
from reactorhost.dashboard.model.snapshot import Snapshot, following
from reactorhost.dashboard.model.source import Source
from reactorhost.dashboard.model.view import Act, Ask, Page, View
from reactorhost.dashboard.terminal import keys
from reactorhost.dashboard.terminal.paint import Painter
from reactorhost.dashboard.terminal.terminal import Signals, Terminal, take_default
from reactorhost.ipc.status import StatusDocument

_ESCAPE_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 60.0
_FATAL = (signal.SIGTERM, signal.SIGHUP)

Witness = Callable[[StatusDocument], None]


def show(source: Source, view: View, terminal: Terminal, painter: Painter, witness: Witness) -> None:
    """Show a host until somebody quits; the terminal is as it was before, however this ends.

    A signal that ends a process ends this one too, after the terminal is restored.
    """
    signals = Signals()
    program = LiveView(source, view, terminal, painter, signals, witness)
    with signals.heard():
        try:
            terminal.enter()
            program.run()
        finally:
            terminal.leave()
            source.close()
    if program.ended_by is not None:
        take_default(program.ended_by)


class LiveView:
    """What the loop knows.

    Attributes:
        ended_by: the signal that ended it, if one did.
    """

    def __init__(
        self,
        source: Source,
        view: View,
        terminal: Terminal,
        painter: Painter,
        signals: Signals,
        witness: Witness,
    ) -> None:
        self.ended_by: signal.Signals | None = None
        self._source = source
        self._view = view
        self._terminal = terminal
        self._painter = painter
        self._signals = signals
        self._witness = witness
        self._snapshot: Snapshot | None = None
        self._size = terminal.size()
        self._typed = b""
        self._running = True
        self._stale = True

    def run(self) -> None:
        """Turn until somebody quits, or the terminal is gone."""
        while self._running:
            self._advance(time.monotonic())
            if self._stale:
                self._draw()
            self._wait()

    def _wait(self) -> None:
        waits = self._source.due() - time.monotonic()
        if self._typed:
            waits = _ESCAPE_SECONDS
        sockets = self._source.sockets()
        waited: list[Any] = [self._terminal.keyboard, self._signals.socket, *sockets]
        ready, _, _ = select.select(waited, (), (), max(0.0, min(waits, _LONGEST_WAIT_SECONDS)))
        if self._signals.socket in ready:
            for number in self._signals.read():
                self._signalled(number)
        if self._terminal.keyboard in ready:
            self._read_keys()
        elif self._typed and not ready:
            typed, self._typed = self._typed, b""
            self._press(keys.settled(typed))

    # What the host tells.

    def _advance(self, now: float) -> None:
        shown = self._view.page is Page.CONNECTIONS and self._snapshot is not None
        self._source.want_connections(current(self._snapshot, self._view) if shown and self._snapshot else None)
        self._source.pace(self._view.interval_seconds, now)
        for document in self._source.advance(now):
            self._witness(document)
            self._snapshot = following(self._snapshot, document, paused=self._view.paused)
            self._stale = True
        if self._snapshot is None:
            return
        link, connections = self._source.link(now), self._source.connections
        if self._view.paused:
            connections = self._snapshot.connections
        if link != self._snapshot.link or connections is not self._snapshot.connections:
            self._snapshot = replace(self._snapshot, link=link, connections=connections)
            self._stale = True

    def _draw(self) -> None:
        self._stale = False
        if self._snapshot is None:
            frame = waiting("waiting for the host to answer", self._view, self._size)
        else:
            frame = render(self._snapshot, self._view, self._size)
        try:
            self._terminal.write(self._painter.paint(frame))
        except OSError:
            self._running = False

    # What people and the kernel do.

    def _read_keys(self) -> None:
        data = self._terminal.read()
        if not data:
            self._running = False
            return
        names, self._typed = keys.parse(self._typed + data)
        self._press(names)

    def _press(self, names: list[str]) -> None:
        for name in names:
            before = self._view
            self._view, request = press(before, name, self._snapshot)
            if before.paused and not self._view.paused and self._snapshot is not None:
                self._snapshot = replace(self._snapshot, body=self._snapshot.document)
            self._stale = True
            match request:
                case Ask():
                    self._source.order(request, time.monotonic())
                case Act():
                    self._act(request)
                case None:
                    pass

    def _act(self, act: Act) -> None:
        match act:
            case Act.QUIT:
                self._running = False
            case Act.SUSPEND:
                self._suspend()
            case Act.REDRAW:
                self._painter.forget()
            case Act.RESET_PEAKS:
                if self._snapshot is not None:
                    self._snapshot = self._snapshot.with_peak_reset()

    def _signalled(self, number: signal.Signals) -> None:
        match number:
            case signal.SIGINT:
                self._running = False
            case signal.SIGTERM | signal.SIGHUP:
                self.ended_by = number
                self._running = False
            case signal.SIGTSTP:
                self._suspend()
            case signal.SIGCONT:
                # Whoever stopped us without asking left the terminal to somebody else meanwhile.
                self._resume()
            case signal.SIGWINCH:
                self._resize()

    def _suspend(self) -> None:
        self._terminal.leave()
        take_default(signal.SIGTSTP)
        self._resume()

    def _resume(self) -> None:
        self._terminal.leave()
        self._terminal.enter()
        self._resize()

    def _resize(self) -> None:
        self._size = self._terminal.size()
        self._painter.forget()
        self._stale = True


def is_terminal() -> bool:
    """Say whether keyboard and screen are a terminal that can be drawn on.

    Not rich's own opinion: FORCE_COLOR makes it take a pipe for a terminal.
    """
    return os.isatty(0) and os.isatty(1) and os.environ.get("TERM", "dumb") != "dumb"
