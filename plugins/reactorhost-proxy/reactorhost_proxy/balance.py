"""Which of several servers a client gets.

`least_connections` compares the connections of this worker, and chooses a server without room only if all have none.

`consistent_hash` is rendezvous hashing with weights: each server has a score for each client, and the largest wins. So
workers and hosts agree without a table, and a server that is added or removed moves only the clients that it gets or
had. Whether a server has room makes no difference: its clients wait for it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol


class Candidate(Protocol):
    """A server that can be chosen."""

    @property
    def seed(self) -> bytes:
        """What it is hashed by."""

    @property
    def active(self) -> int:
        """How many connections it has."""

    @property
    def has_room(self) -> bool:
        """Whether it may have one more."""

    @property
    def chosen_at(self) -> int:
        """A number that grows with each choice."""


Choose = Callable[[Sequence[tuple[Candidate, float]], bytes], Candidate]
"""Called with candidates, each with its weight, and with the key of the client."""


def least_connections(candidates: Sequence[tuple[Candidate, float]], key: bytes) -> Candidate:
    """Choose the server with the fewest connections for its weight; among equal ones, the one not used for longest."""
    return min(candidates, key=_load)[0]


def consistent_hash(candidates: Sequence[tuple[Candidate, float]], key: bytes) -> Candidate:
    """Choose by the key: the same server for the same key, as long as it can be chosen."""
    return max(candidates, key=lambda each: _score(each[0].seed, key, each[1]))[0]


def _load(candidate: tuple[Candidate, float]) -> tuple[bool, float, int]:
    server, weight = candidate
    return not server.has_room, (server.active + 1) / weight, server.chosen_at


def _score(seed: bytes, key: bytes, weight: float) -> float:
    digest = hashlib.blake2b(key, digest_size=8, key=seed).digest()
    # Between 0 and 1, and neither: the logarithm of both ends is of no use. With it, the chance of a server to have the
    # largest score is its share of the weights.
    drawn = (int.from_bytes(digest) + 0.5) / 2**64
    return -weight / math.log(drawn) if drawn < 1.0 else math.inf


BALANCES: Mapping[str, Choose] = {"least": least_connections, "hash": consistent_hash}
