"""The parts in which a line with descriptors is sent, and the descriptors that a `recvmsg` returned.

Descriptors are attached with SCM_RIGHTS, at most 253 to one message (SCM_MAX_FD). A line with more is sent in portions,
each with a byte of the line.
"""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST_DESCRIPTORS = 64
"""The largest portion; `recvmsg` has room for one."""


@dataclass(slots=True, eq=False)
class Part:
    """A part of a line that waits to be sent; `owned` descriptors are closed once they are sent."""

    data: bytes
    descriptors: Sequence[int] = ()
    owned: bool = False

    def duplicate_descriptors(self) -> None:
        """Own duplicates from now on, so that the caller of `send` may close its descriptors.

        Raises:
            OSError: no descriptor is left; the part is as before.
        """
        fresh: list[int] = []
        try:
            for descriptor in self.descriptors:
                fresh.append(os.dup(descriptor))  # noqa: PERF401  those that were made are closed on failure
        except OSError:
            close_all(fresh)
            raise
        self.descriptors, self.owned = fresh, True

    def drop_descriptors(self) -> None:
        """Send the data without descriptors; those that are owned are closed."""
        if self.owned:
            close_all(self.descriptors)
        self.descriptors = ()


def parts_of(data: bytes, descriptors: Sequence[int]) -> list[Part]:
    """Return a line in the parts in which it is sent: one byte with each full portion of descriptors, then the rest."""
    portions = [descriptors[at : at + MOST_DESCRIPTORS] for at in range(0, len(descriptors), MOST_DESCRIPTORS)]
    parts = [Part(data[at : at + 1], portion) for at, portion in enumerate(portions[:-1])]
    return [*parts, Part(data[len(parts) :], portions[-1] if portions else ())]


def received_descriptors(ancillary: Iterable[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors of the ancillary data of a message."""
    # Only whole numbers, as in the example of `socket.recvmsg`: a truncated payload may end inside one.
    found = array.array("i")
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(payload[: len(payload) - len(payload) % found.itemsize])
    return found.tolist()


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)
