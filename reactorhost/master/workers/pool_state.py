"""The worker processes as values, for a program that gets their lines and the files of their stacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reactorhost.ipc.line_state import LineState
from reactorhost.ipc.messages import Message
from reactorhost.ipc.scoreboard import ScoreboardState
from reactorhost.master.listen.listeners_state import SocketReference


@dataclass(frozen=True, slots=True)
class HandleState:
    """See `WorkerHandle`; `failure` has the fields of an error."""

    pid: int
    line: LineState
    page: int
    stack_descriptor: int
    failure: dict[str, Any] | None
    plugins: list[Message]
    sockets: tuple[SocketReference, ...]
    killed: bool


@dataclass(frozen=True, slots=True)
class PoolState:
    """All workers, the oldest first, and what they have in common."""

    host_id: bytes
    scoreboard: ScoreboardState
    handles: tuple[HandleState, ...]

    def descriptors(self) -> Iterator[int]:
        """Yield every descriptor of the pool."""
        yield from self.scoreboard.descriptors()
        for handle in self.handles:
            yield handle.stack_descriptor
            yield from handle.line.descriptors()
