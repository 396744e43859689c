"""Members of groups, as `worker.presence` returns them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """A connection that has joined a group with an `info`.

    Attributes:
        ref: the connection, for `worker.send_to_ref`.
        info: the bytes that it has joined with, a name for example.
    """

    ref: str
    info: bytes
