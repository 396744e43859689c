"""The control socket and its clients as values, for a program that gets their descriptors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reactorhost.ipc.line_state import LineState
from reactorhost.ipc.messages import Message
from reactorhost.system.own_file import OwnFile


@dataclass(frozen=True, slots=True)
class SessionState:
    """One client: see `control_server.Session`."""

    line: LineState
    waiting: tuple[Message, ...]
    busy: bool
    active_at: float


@dataclass(frozen=True, slots=True)
class ControlState:
    """The listener, its file, and the clients, for another program."""

    listener: int | None
    file: OwnFile | None
    sessions: tuple[SessionState, ...]

    def descriptors(self) -> Iterator[int]:
        """Yield every descriptor of the control socket."""
        if self.listener is not None:
            yield self.listener
        for session in self.sessions:
            yield from session.line.descriptors()
