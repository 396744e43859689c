"""Clients of a pool that wait because its servers have as many clients as they may have.

They are served in the order in which they came. With `balance = "hash"` a client waits for its own server, and one that
waits for another server may be served before it.

A server has no room while a client waits that may use it: whenever it has room again, the queue is served at once. So
a new client that finds room overtakes none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reactorhost import Worker

if TYPE_CHECKING:
    from reactorhost_proxy.pool import Pool, Upstream
    from reactorhost_proxy.session import Session

_LOG_SECONDS = 60.0


class WaitingClients:
    """The queue of one pool in one worker."""

    def __init__(self, worker: Worker, pool: Pool) -> None:
        self._worker = worker
        self._pool = pool
        # A dict for its order, and because clients leave from the middle.
        self._clients: dict[Session, None] = {}
        self._logged_at = -_LOG_SECONDS

    def __len__(self) -> int:
        return len(self._clients)

    def add(self, client: Session) -> None:
        """Let a client wait, as the last one."""
        self._clients[client] = None
        now = self._worker.now()
        if now >= self._logged_at + _LOG_SECONDS:
            self._logged_at = now
            self._worker.log.warning("servers_full pool=%s", self._pool.settings.name)

    def discard(self, client: Session) -> None:
        """Remove a client, if it waits."""
        self._clients.pop(client, None)

    def serve(self, upstream: Upstream) -> None:
        """Serve the first client that may use a server which has one connection less."""
        for client in self._clients:
            if self._may_use(client, upstream):
                client.dial()
                return

    def _may_use(self, client: Session, upstream: Upstream) -> bool:
        wanted = client.wanted
        assert wanted is not None
        if not self._pool.spreads:
            return wanted is upstream
        # What a client may use is all backups, or has none.
        return wanted.server.is_backup == upstream.server.is_backup and upstream not in client.tried

    def serve_all(self) -> None:
        """Choose again for all clients: a server has gone down or come up, or may have more connections."""
        for client in tuple(self._clients):
            # The end of one may have served another.
            if client in self._clients:
                client.dial()
