"""One end of a line of JSON objects as a value, for a program that gets its descriptors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartState:
    """A part of a line that waits to be sent."""

    data: bytes
    descriptors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LineState:
    """One end of a line.

    Attributes:
        incomplete: the bytes of a line whose end has not arrived, and `arrived`, the descriptors that came with it.
        unsent: what the kernel has not accepted yet.
    """

    descriptor: int
    incomplete: bytes = b""
    arrived: tuple[int, ...] = ()
    unsent: tuple[PartState, ...] = ()
    reading: bool = True
    ended: bool = False
    closes_when_sent: bool = False

    def descriptors(self) -> Iterator[int]:
        """Yield every descriptor of the line."""
        yield self.descriptor
        yield from self.arrived
        for part in self.unsent:
            yield from part.descriptors
