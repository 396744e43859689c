"""How fast a worker accepts the clients of a service: a token bucket with its share of `accept_rate`.

Each worker that serves the service has an equal share, so the sum is exact although no worker knows of the others. A
token is one connection. At most the tokens of a second are saved, and always a whole one: with more workers than
connections a second each may accept one at once.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from reactorhost.config.service import Service
from reactorhost.config.settings import MAX_WORKERS
from reactorhost.plugins.worker_limit import WorkerLimit

# Below it the listener would be registered and removed for each client.
_SHORTEST_WAIT_SECONDS = 0.01
# The share changes when the host is scaled.
_LONGEST_WAIT_SECONDS = 1.0
# Longer than an idle turn.
_PRECEDENCE_SECONDS = 0.002
# The bucket has a whole token when the wait for it is over, whatever the sums are rounded to.
_WHOLE = 1.0 - 1e-9


class AcceptRate:
    """The bucket of one service; `workers` returns how many share `per_second`. `now` is monotonic seconds."""

    __slots__ = ("_at", "_listeners", "_tokens", "_workers", "per_second")

    def __init__(self, per_second: int, workers: Callable[[], int], now: float) -> None:
        self.per_second = per_second
        self._workers = workers
        self._at = now
        self._listeners = 0
        self._tokens = max(1.0, self._share)

    @property
    def _share(self) -> float:
        return self.per_second / self._workers()

    def allows(self, now: float) -> bool:
        """Return whether a client may be accepted now."""
        share = self._share
        self._tokens = min(max(1.0, share), self._tokens + (now - self._at) * share)
        self._at = now
        return self._tokens >= _WHOLE

    def ready_at(self, now: float, *, after_others: bool = False) -> float:
        """Return when to try again, after `allows` was False; later for a listener that others have to precede."""
        missing = (1.0 - self._tokens) / self._share
        wait = min(max(missing, _SHORTEST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)
        return now + wait + (_PRECEDENCE_SECONDS if after_others and self._listeners > 1 else 0.0)

    def counted(self, accept: Callable[[socket.SocketType, Any], object]) -> Callable[[socket.SocketType, Any], object]:
        """Return what serves the accepted sockets of one listener as `accept` does, and takes a token for each."""
        self._listeners += 1

        def counting(sock: socket.SocketType, peer: Any) -> None:
            self._tokens -= 1.0
            accept(sock, peer)

        return counting


def accept_rates(
    services: Sequence[Service], limits: Mapping[str, WorkerLimit], count: Callable[[], int], now: float
) -> dict[str, AcceptRate]:
    """Return the rate of each service that has one.

    `limits` are the most workers that the plugins allow, and `count` returns how many the host has.
    """
    rates: dict[str, AcceptRate] = {}
    for service in services:
        if service.accept_rate is not None:
            most = service.workers or MAX_WORKERS
            if service.name in limits:
                most = min(most, limits[service.name].workers)
            rates[service.name] = AcceptRate(service.accept_rate, partial(_least, count, most), now)
    return rates


def _least(count: Callable[[], int], most: int) -> int:
    return min(count(), most)
