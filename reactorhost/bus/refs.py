"""References to workers and connections that are valid in every worker and on every machine.

A connection as text: `HOST-WORKER-NUMBER`. HOST is the id that a master chooses at random when it starts, WORKER the
one that a worker process chooses at random, both as 16 hexadecimal digits; NUMBER is the connection's `id`. Process ids
and numbers of slots would be reused, these ids are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ID_BYTES = 8
"""Size of the id of a host and of a worker."""

_TEXT = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})-([1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Origin:
    """The worker that has published a message: ids of host and worker, 8 bytes each."""

    host: bytes
    worker: bytes

    @classmethod
    def of(cls, id: bytes) -> Origin:
        """Return the origin with this `id`."""
        return cls(id[:ID_BYTES], id[ID_BYTES:])

    @property
    def id(self) -> bytes:
        """Both ids, one after the other."""
        return self.host + self.worker


@dataclass(frozen=True, slots=True)
class Ref:
    """A connection of a worker of a host."""

    host: bytes
    worker: bytes
    connection: int

    def __str__(self) -> str:
        return f"{self.host.hex()}-{self.worker.hex()}-{self.connection}"


def parse(text: str) -> Ref:
    """Return the connection that a text refers to.

    Raises:
        TypeError: it is not a text.
        ValueError: it is not a reference.
    """
    if not isinstance(text, str):
        raise TypeError(f"a reference to a connection is a text, not {type(text).__name__}")
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError(f"not a reference to a connection: {text!r}")
    return Ref(bytes.fromhex(found[1]), bytes.fromhex(found[2]), int(found[3]))
