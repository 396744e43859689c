"""The hooks of the plugin: each client has a session."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from reactorhost import Connection, Option, SetupError, Worker, hookimpl
from reactorhost_proxy import settings
from reactorhost_proxy.pool import Pool
from reactorhost_proxy.proxy import WorkerProxy
from reactorhost_proxy.session import Session
from reactorhost_proxy.settings import ProxySettings


class Proxy:
    """Relay clients to servers over TCP, TLS or unix sockets, with health checks and routes by TLS name."""

    _settings: ProxySettings
    _proxy: WorkerProxy

    def __init__(self) -> None:
        self._sessions: dict[Connection, Session] = {}
        self._pools: Mapping[str, Pool] = {}

    @hookimpl
    def options(self) -> list[Option]:
        """Declare the options."""
        return list(settings.OPTIONS)

    @hookimpl
    def configure(self, config: Mapping[str, object], services: Sequence[str]) -> None:
        """Check the options, also against the services, and make the pools."""
        self._settings = settings.parse(config, services)
        pools, problems = {}, []
        for name, pool in self._settings.pools.items():
            try:
                pools[name] = Pool(pool)
            except SetupError as error:
                problems.append(error)
        if problems:
            raise ExceptionGroup("options", problems)
        self._pools = pools

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        """Begin to check the servers."""
        self._proxy = WorkerProxy(worker, self._settings, self._pools)
        self._proxy.start()

    @hookimpl
    def connect(self, connection: Connection) -> None:
        """Begin a session."""
        if connection.framing is not None:
            # The messages of a session, such as WebSocket, are relayed, and it cannot be removed.
            with contextlib.suppress(TypeError):
                connection.framing = None
        session = self._sessions[connection] = Session(self._proxy, connection)
        session.begin()

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> bool:
        """Pass on what a client sends."""
        session = self._sessions.get(connection)
        if session is None:
            # A datagram.
            return True
        if session.up is not None:
            session.up.write(data)
        elif session.opening is not None:
            session.read_opening(session.opening, data)
        return True

    @hookimpl
    def eof(self, connection: Connection) -> bool:
        """Pass on the end of a client."""
        return self._sessions[connection].client_eof()

    @hookimpl
    def close(self, connection: Connection) -> None:
        """End the session of a client."""
        self._sessions.pop(connection).client_closed()

    @hookimpl
    def stats(self) -> Mapping[str, int]:
        """Report the pools."""
        return self._proxy.stats()
