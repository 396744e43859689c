"""One client, and the connection to the server that it gets.

    route (maybe by the server name of a ClientHello) -> server (in the queue, if it has no room) -> connect (another
    server after a failure) -> relay -> ended

Until a server is connected the client is paused, so what it sends stays in the kernel and nothing has to be repeated:
another server is tried only while none was sent a byte.

In the relay each half ends separately. The end of one side becomes an end of the other connection, behind what is
queued there, and the host ends each connection when both of its halves are over. A connection that breaks becomes an
orderly end of the other one, with everything before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reactorhost import CloseReason, ConnectAttempt, ConnectFailedError, Connection, Timer
from reactorhost_proxy import proxy_header
from reactorhost_proxy.client_hello import UNRECOGNIZED_NAME, Hello, HelloReader
from reactorhost_proxy.pipe import Leftover, Pipe
from reactorhost_proxy.pool import NO_TLS

if TYPE_CHECKING:
    from reactorhost_proxy.names import NameTable
    from reactorhost_proxy.pool import Upstream
    from reactorhost_proxy.proxy import RunningPool, WorkerProxy

# When every server of the pool was tried: one that restarts listens again soon.
_RETRY_SECONDS = 1.0


class Session:
    """A client of the proxy, and the handler of its upstream connection.

    Attributes:
        up: from the client to the server, once that is connected.
        opening: reads the ClientHello, until the route is known.
        tried: servers that it cannot be connected to.
        wanted: the server without room that it waits for, or None.
    """

    __slots__ = (
        "_attempt", "_client", "_connection", "_failures", "_half_ended", "_late", "_pool", "_proxy", "_server_name",
        "_table", "_upstream", "down", "opening", "tried", "up", "wanted",
    )  # fmt: skip

    def __init__(self, proxy: WorkerProxy, client: Connection) -> None:
        self.up: Pipe | None = None
        self.down: Pipe | Leftover | None = None
        self.opening: HelloReader | None = None
        self._proxy = proxy
        self._client = client
        self._connection: Connection | None = None
        self._attempt: ConnectAttempt | None = None
        self._pool: RunningPool | None = None
        self._upstream: Upstream | None = None
        self.tried: frozenset[Upstream] = frozenset()
        self.wanted: Upstream | None = None
        self._failures = 0
        self._half_ended = False
        self._table: NameTable | None = None
        self._server_name: str | None = None
        self._late: Timer | None = None

    # The route.

    def begin(self) -> None:
        """Find the pool of the client."""
        route, client = self._proxy.settings.routes[self._client.service], self._client
        if isinstance(route, str):
            self._connect_to(route)
            return
        self._table = route
        if client.tls is not None:
            self._route_by(client.tls.server_name)
        elif client.proxy is not None and client.proxy.authority is not None:
            self._route_by(client.proxy.authority.lower())
        else:
            self.opening = HelloReader()
            self._late = client.call_later(self._proxy.settings.hello_timeout, self._hello_late)

    def read_opening(self, reader: HelloReader, data: bytes) -> None:
        """Read the first bytes of the client, until they say its server name or that there is none."""
        found = reader.feed(data)
        if found is Hello.INCOMPLETE:
            return
        if self._late is not None:
            self._late.cancel()
        self._route_by(found if isinstance(found, str) else None, is_tls=found is not Hello.NOT_TLS)

    def _route_by(self, name: str | None, *, is_tls: bool = True) -> None:
        assert self._table is not None
        self._server_name = name
        pool = self._table.pool_of(name)
        if pool is not None:
            self._connect_to(pool)
            return
        self._proxy.no_route.add()
        if self.opening is not None and is_tls:
            self._client.send(UNRECOGNIZED_NAME)
        self._client.close()

    def _hello_late(self) -> None:
        self._proxy.no_route.add()
        self._client.close()

    # The choice of a server.

    def _connect_to(self, pool: str) -> None:
        self._client.pause()
        self._pool = self._proxy.pools[pool]
        self.dial()

    def dial(self) -> None:
        """Choose a server, and connect to it or wait until it has room."""
        assert self._pool is not None
        upstream = self._pool.pool.choose(self._client.peer.host.encode(), self.tried, self._proxy.worker.now())
        if upstream is not None and not upstream.has_room:
            self._wait_for(upstream)
            return
        self._end_wait()
        if upstream is None:
            self._no_server()
        else:
            self._connect(upstream)

    def _connect(self, upstream: Upstream) -> None:
        assert self._pool is not None
        try:
            self._attempt = upstream.connect(self._proxy.worker, self, self._pool.pool.settings.connect_timeout)
        except ConnectFailedError:
            # The worker leaves.
            self._client.close()
            return
        upstream.active += 1
        self._upstream = upstream

    def _no_server(self) -> None:
        if self.tried:
            self.tried = frozenset()
            self._client.call_later(_RETRY_SECONDS, self.dial)
        else:
            self._proxy.no_server.add()
            self._client.close()

    # The queue.

    def _wait_for(self, upstream: Upstream) -> None:
        assert self._pool is not None
        if self.wanted is None:
            self._pool.waiting.add(self)
            self._late = self._client.call_later(self._pool.pool.settings.queue_timeout, self._queue_late)
        self.wanted = upstream

    def _end_wait(self) -> None:
        if self.wanted is None:
            return
        assert self._pool is not None
        assert self._late is not None
        self._pool.waiting.discard(self)
        self._late.cancel()
        self.wanted = None

    def _queue_late(self) -> None:
        self._proxy.queue_timed_out.add()
        self._end_wait()
        self._client.close()

    # The connection to a server.

    def failed(self, error: ConnectFailedError) -> None:
        """Try another server: nothing was sent to this one."""
        self._try_another(error.reason)

    def _try_another(self, reason: str) -> None:
        assert self._pool is not None
        assert self._upstream is not None
        upstream = self._upstream
        self._proxy.connect_failed.add()
        # Before its room is for another client: it may be down from now on.
        self._pool.checks.connect_failed(upstream, reason)
        self._leave_server()
        self.tried |= {upstream}
        self._failures += 1
        if self._failures > self._pool.pool.settings.retries:
            self._proxy.no_server.add()
            self._client.close()
        else:
            self._proxy.retries.add()
            self.dial()

    def connect(self, connection: Connection) -> None:
        """Send the header, if there is one."""
        assert self._pool is not None
        assert self._upstream is not None
        self._attempt = None
        self._connection = connection
        self._upstream.greet(connection, self._header(self._pool.pool.settings.send_proxy), self._begin_relay)

    def _begin_relay(self) -> None:
        client, connection, upstream = self._client, self._connection, self._upstream
        assert connection is not None
        assert upstream is not None
        upstream.health.client_connected()
        # Only if they differ: each setting of a timeout starts a timer anew.
        if connection.idle_timeout != client.idle_timeout:
            connection.idle_timeout = client.idle_timeout
        self.up = Pipe(client, connection)
        self.down = Pipe(connection, client)
        opening, self.opening = self.opening, None
        if opening is not None:
            connection.send(opening.received)
        client.resume()

    def _header(self, version: str) -> bytes:
        client = self._client
        if version == "v1":
            return proxy_header.version_1(client.peer, client.local)
        if version == "v2":
            extensions = proxy_header.extensions(client.tls, self._server_name, client.proxy)
            return proxy_header.version_2(client.peer, client.local, extensions)
        return b""

    # The relay.

    def receive(self, connection: Connection, data: bytes) -> None:
        """Pass on what the server sends."""
        assert self.down is not None
        self.down.write(data)

    def eof(self, connection: Connection) -> bool:
        """Pass on the end of the server."""
        self._end_half(connection, self._client)
        return True

    def client_eof(self) -> bool:
        """Pass on the end of the client; returns whether it is kept for what the server sends."""
        if self._connection is None or self.up is None:
            return False
        self._end_half(self._client, self._connection)
        return True

    def _end_half(self, source: Connection, target: Connection) -> None:
        assert self._pool is not None
        target.send_eof()
        seconds = self._pool.pool.settings.half_closed_timeout
        # When both halves are over and everything is sent, the host ends the source now.
        is_first, self._half_ended = not self._half_ended, True
        if seconds and (is_first or source.queued):
            # What the target sends is sent to the source, so this counts both directions.
            source.idle_timeout = min(source.idle_timeout or seconds, seconds)

    # The end.

    def close(self, connection: Connection, reason: CloseReason) -> None:
        """End the client, after what the server had sent."""
        if self.down is not None:
            self._leave_server()
            self._client.close()
        elif self._upstream is not None:
            self._connection = None
            self._try_another(NO_TLS)

    def client_closed(self) -> None:
        """End the upstream connection, after what the client had sent."""
        if self._connection is not None and self.up is not None:
            self.down = Leftover(self._connection)
            return
        self._end_wait()
        self._leave_server()
        if self._connection is not None:
            self._connection.abort()
        elif self._attempt is not None:
            self._attempt.cancel()

    def _leave_server(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            assert self._pool is not None
            upstream.active -= 1
            self._pool.waiting.serve(upstream)
