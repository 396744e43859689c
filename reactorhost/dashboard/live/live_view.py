"""The loop of the live view: it waits for keys, signals and the host at once, and draws after each change.

What a key does and what a frame looks like is decided by pure functions in `keymap` and `frame`; the loop only reads,
writes and waits. Nothing blocks except its one `select`, so that a host that hangs never delays a key.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reactorhost.dashboard.live.frame import render, waiting
from reactorhost.dashboard.live.keymap import press
from reactorhost.dashboard.live.mouse import click
from reactorhost.dashboard.model.hosts import RunningHost, running_hosts
from reactorhost.dashboard.model.log_reader import LogLines, LogReader
from reactorhost.dashboard.model.recording import Record
from reactorhost.dashboard.model.requests import HostRequest, Request, SwitchHost, ViewAction
from reactorhost.dashboard.model.snapshot import Snapshot, following
from reactorhost.dashboard.model.source import HostSource, RecordingSource, StatusSource
from reactorhost.dashboard.model.view import Overlay, Page, View
from reactorhost.dashboard.pages.clients import connection_query
from reactorhost.dashboard.terminal import keys
from reactorhost.dashboard.terminal.paint import Painter
from reactorhost.dashboard.terminal.signals import SignalReader, raise_with_default_action
from reactorhost.dashboard.terminal.terminal import Terminal

# How long an ESC may be alone before it is the Esc key: longer than the gaps inside a sequence over ssh, and short
# enough not to be noticed.
_ESCAPE_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 60.0
_LOG_SECONDS = 0.5


def show(
    source: StatusSource, view: View, terminal: Terminal, painter: Painter, record: Record
) -> Sequence[tuple[str, Path]]:
    """Show a host until the user quits, and restore the terminal.

    Returns:
        The verbs of the requests that hosts continue, and the run directories of these hosts.

    TERM and HUP end the process by that signal, but only after the terminal is restored.
    """
    signals = SignalReader()
    live_view = LiveView(source, replace(view, size=terminal.size()), terminal, painter, signals, record)
    # The handlers are installed before the terminal is switched and removed after it is restored: in between, a signal
    # would end the process and leave the terminal as it is.
    with signals.installed():
        try:
            terminal.enter()
            live_view.run()
        finally:
            terminal.leave()
            live_view.close_source()
    if live_view.ended_by is not None:
        raise_with_default_action(live_view.ended_by)
    return live_view.unfinished


@dataclass(slots=True)
class LiveView:
    """The state of the loop.

    Attributes:
        ended_by: the signal that ended the loop, or None.
        unfinished: the requests that hosts continue, after their source was closed.
    """

    _source: StatusSource
    _view: View
    _terminal: Terminal
    _painter: Painter
    _signals: SignalReader
    _record: Record
    ended_by: signal.Signals | None = None
    unfinished: list[tuple[str, Path]] = field(default_factory=list)
    _snapshot: Snapshot | None = None
    _unparsed_keys: bytes = b""
    _running: bool = True
    _needs_drawing: bool = True
    _log_reader: LogReader = field(default_factory=LogReader)

    def run(self) -> None:
        """Run until the user quits, a signal ends the loop, or the terminal hangs up."""
        while self._running:
            self._advance(time.monotonic())
            if self._needs_drawing:
                self._draw()
            self._wait()

    def _wait(self) -> None:
        timeout = _ESCAPE_SECONDS if self._unparsed_keys else self._source.due() - time.monotonic()
        if self._view.page is Page.LOG and not self._view.paused:
            timeout = min(timeout, _LOG_SECONDS)
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
        self._source.select_connections(connection_query(self._view))
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
        log = self._log(self._snapshot)
        if (
            link != self._snapshot.link
            or connections is not self._snapshot.connections
            or log is not self._snapshot.log
        ):
            self._snapshot = replace(self._snapshot, link=link, connections=connections, log=log)
            self._needs_drawing = True

    def _log(self, snapshot: Snapshot) -> LogLines | None:
        # A recording may be of another machine.
        if self._view.page is not Page.LOG or snapshot.link.source:
            self._log_reader.close()
            return None
        return snapshot.log if self._view.paused else self._log_reader.advance(snapshot.document)

    def _draw(self) -> None:
        self._needs_drawing = False
        if self._snapshot is None:
            frame = waiting("waiting for the host to answer", self._view, self._view.size)
        else:
            frame = render(self._snapshot, self._view, self._view.size)
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

    def _press(self, names: list[keys.KeyName]) -> None:
        for name in names:
            # The result covers the keys, and the user goes on.
            self._source.dismiss(time.monotonic())
            before = self._view
            if isinstance(name, keys.Click):
                self._view, request = click(before, name, self._snapshot)
            else:
                self._view, request = press(before, name, self._snapshot)
            if before.paused and not self._view.paused and self._snapshot is not None:
                self._snapshot = replace(self._snapshot, body=self._snapshot.document)
            self._needs_drawing = True
            self._act(request)

    def _act(self, request: Request | None) -> None:
        match request:
            case HostRequest():
                self._source.send(request, time.monotonic())
            case SwitchHost():
                self._switch(request.host)
            case ViewAction.LIST_HOSTS:
                self._list_hosts()
            case ViewAction.QUIT:
                self._running = False
            case ViewAction.SUSPEND:
                self._suspend()
            case ViewAction.REDRAW:
                self._painter.forget()
            case ViewAction.RESET_PEAKS:
                if self._snapshot is not None:
                    self._snapshot = self._snapshot.with_peak_reset()

    # Other hosts.

    def _list_hosts(self) -> None:
        if isinstance(self._source, RecordingSource):
            self._view = replace(self._view, notice="a recording has one host only")
            return
        hosts = running_hosts(os.environ)
        if not hosts:
            self._view = replace(self._view, notice="no host of this user runs")
            return
        shown = 0 if self._snapshot is None else self._snapshot.document["pid"]
        chosen = next((at for at, host in enumerate(hosts) if host.pid == shown), 0)
        self._view = replace(self._view, overlay=Overlay.HOSTS, hosts=hosts, chosen_host=chosen)

    def _switch(self, host: RunningHost) -> None:
        self.close_source()
        self._source = HostSource(host.control_socket, self._view.interval_seconds, time.monotonic())
        self._view, self._snapshot = self._view.of_another_host(), None

    def close_source(self) -> None:
        """Close the source; what its host continues is added to `unfinished`."""
        if (unfinished := self._source.unfinished()) is not None:
            self.unfinished.append(unfinished)
        self._source.close()

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
        self._view = replace(self._view, size=self._terminal.size())
        self._painter.forget()
        self._needs_drawing = True
