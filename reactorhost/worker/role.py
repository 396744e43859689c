"""The place of a worker in its host: how many workers there are, and whether this one leads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Role:
    """What the last orders of the master have set.

    Attributes:
        count: how many workers the host is to have.
        is_leader: whether this worker is the leader.
    """

    count: int = 1
    is_leader: bool = False
