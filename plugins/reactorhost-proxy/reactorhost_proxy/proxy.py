"""What all sessions of a worker share: the pools with their checks and queues, the routes and the counters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from reactorhost import Worker
from reactorhost_proxy.checks import Checks
from reactorhost_proxy.pool import Pool
from reactorhost_proxy.settings import ProxySettings
from reactorhost_proxy.waiting import WaitingClients

# The host allows a plugin 50 metrics, and five of them are counters.
_MOST_POOLS_IN_STATS = 15
_SHARE_SECONDS = 1.0


class RunningPool(NamedTuple):
    """A pool, the checks of its servers, and the clients that wait for one of them."""

    pool: Pool
    checks: Checks
    waiting: WaitingClients


class WorkerProxy:
    """The proxy of one worker."""

    def __init__(self, worker: Worker, settings: ProxySettings, pools: Mapping[str, Pool]) -> None:
        self.worker = worker
        self.settings = settings
        self.pools = {name: _running(worker, pool) for name, pool in pools.items()}
        self.connect_failed = worker.counter("connect_failed")
        self.retries = worker.counter("retries")
        self.no_server = worker.counter("no_server")
        self.no_route = worker.counter("no_route")
        self.queue_timed_out = worker.counter("queue_timed_out")
        self._workers = 0

    def start(self) -> None:
        """Begin the checks."""
        for running in self.pools.values():
            running.checks.start()
        if any(running.pool.is_limited for running in self.pools.values()):
            self._share()
            self.worker.call_every(_SHARE_SECONDS, self._share)

    def _share(self) -> None:
        """Divide what the servers may have among the workers, whose number may have changed."""
        if self._workers == self.worker.count:
            return
        self._workers = self.worker.count
        for pool, _, waiting in self.pools.values():
            pool.share(self.worker.slot, self._workers)
            waiting.serve_all()

    def stats(self) -> Mapping[str, int]:
        """Return how many clients each pool has, how many wait, and how many of its servers are down."""
        found = {}
        for name, (pool, _, waiting) in list(self.pools.items())[:_MOST_POOLS_IN_STATS]:
            found[f"{name}.active"] = pool.active
            found[f"{name}.queued"] = len(waiting)
            found[f"{name}.down"] = pool.down
        return found


def _running(worker: Worker, pool: Pool) -> RunningPool:
    waiting = WaitingClients(worker, pool)
    return RunningPool(pool, Checks(worker, pool, waiting.serve_all), waiting)
