"""The servers of one pool while the worker runs, and the choice between them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING

from reactorhost import ConnectAttempt, Connection, SetupError, TlsFacts, Worker
from reactorhost_proxy.balance import BALANCES
from reactorhost_proxy.health import Health
from reactorhost_proxy.pool_settings import PoolSettings
from reactorhost_proxy.server import Server

if TYPE_CHECKING:
    import ssl


NO_TLS = "TLS: no session was established"


class Upstream:
    """One server of a pool.

    A PROXY header comes in plain text before a TLS handshake. So with both the connection begins as TCP.

    Attributes:
        seed: what it is hashed by: the same in every worker and host.
        active: how many clients of this worker it serves or is being connected for.
        most_active: how many of them it may have.
        chosen_at: number of the last choice that it was.
    """

    __slots__ = (
        "_most", "_starts_tls", "_timeout", "_tls", "_tls_name", "active", "chosen_at", "health", "most_active", "seed",
        "server",
    )  # fmt: skip

    def __init__(self, server: Server, settings: PoolSettings, tls: ssl.SSLContext | None) -> None:
        self.server = server
        self.health = Health(settings.rise, settings.fall, settings.slow_start)
        self.seed = hashlib.blake2b(server.address.encode(), digest_size=32).digest()
        self.active = 0
        self.chosen_at = 0
        self._most = server.max_connections or settings.max_connections
        self.most_active: float = self._most or math.inf
        is_tls = server.address.startswith("tls://")
        self._tls = tls if is_tls else None
        self._tls_name = settings.tls_server_name if is_tls else None
        self._starts_tls = is_tls and settings.send_proxy != "off"
        self._timeout = settings.connect_timeout

    @property
    def address(self) -> str:
        """The address that the operator has written."""
        return self.server.address

    @property
    def has_room(self) -> bool:
        """Whether it may have one more client of this worker."""
        return self.active < self.most_active

    def share(self, slot: int, workers: int) -> None:
        """Limit the clients of this worker to its share, but to one at least: any worker may get a client."""
        if self._most:
            self.most_active = max(1, self._most // workers + (slot < self._most % workers))

    def connect(self, worker: Worker, handler: object, seconds: float) -> ConnectAttempt:
        """Begin to connect; the handler has to call `greet`.

        Raises:
            ConnectFailedError: the worker is leaving.
        """
        if self._starts_tls:
            return worker.connect(self.address.replace("tls://", "tcp://"), handler, timeout=seconds)
        return worker.connect(self.address, handler, timeout=seconds, tls=self._tls, server_name=self._tls_name)

    def greet(self, connection: Connection, header: bytes, begin: Callable[[], object]) -> None:
        """Send the header, and call `begin` when the server can be sent more; if TLS fails the connection closes."""
        if header:
            connection.send(header)
        if not self._starts_tls:
            begin()
            return
        late = connection.call_later(self._timeout, connection.abort)

        def begun(_facts: TlsFacts) -> None:
            late.cancel()
            begin()

        connection.start_tls(self._tls, server_name=self._tls_name, on_result=begun)


class Pool:
    """The servers of one pool."""

    def __init__(self, settings: PoolSettings) -> None:
        self.settings = settings
        tls = _tls_context(settings)
        self.upstreams = [Upstream(server, settings, tls) for server in settings.servers]
        self._choose = BALANCES[settings.balance]
        self._choices = 0

    @property
    def is_limited(self) -> bool:
        """Whether a server may have so many clients and no more."""
        return any(upstream.most_active < math.inf for upstream in self.upstreams)

    @property
    def spreads(self) -> bool:
        """Whether any server with room will do for a client."""
        return self.settings.balance == "least"

    def share(self, slot: int, workers: int) -> None:
        """Limit the clients of each server to the share of this worker."""
        for upstream in self.upstreams:
            upstream.share(slot, workers)

    @property
    def down(self) -> int:
        """How many servers are down."""
        return sum(not upstream.health.is_up for upstream in self.upstreams)

    @property
    def active(self) -> int:
        """How many clients the servers have."""
        return sum(upstream.active for upstream in self.upstreams)

    def choose(self, key: bytes, tried: Container[Upstream], now: float) -> Upstream | None:
        """Return the server for a client, without those that were tried; None if there is none.

        Backups are used when no other server is left. A server without room is returned if the client has to wait.
        """
        usable = [each for each in self.upstreams if each.health.is_up and not each.server.is_draining]
        candidates = [each for each in usable if not each.server.is_backup and each not in tried] or [
            each for each in usable if each.server.is_backup and each not in tried
        ]
        if not candidates:
            return None
        weighted: Sequence[tuple[Upstream, float]] = [
            (each, each.server.weight * each.health.share(now)) for each in candidates
        ]
        chosen = self._choose(weighted, key)
        assert isinstance(chosen, Upstream)
        self._choices += 1
        chosen.chosen_at = self._choices
        return chosen


def _tls_context(settings: PoolSettings) -> ssl.SSLContext | None:
    """Return a context for the servers; None for that of the host, which verifies by the system's authorities.

    Raises:
        SetupError: a file cannot be read or is of another kind.
    """
    if settings.tls_ca is None and settings.tls_certificate is None and settings.tls_verify:
        return None
    # Not at the top: OpenSSL is loaded only in workers that use TLS.
    import ssl

    option = "tls_ca"
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca)
        option = "tls_certificate"
        if settings.tls_certificate is not None:
            context.load_cert_chain(settings.tls_certificate)
    except OSError as error:
        # An `ssl.SSLError` is one too. Its text is that of OpenSSL.
        what = f"{getattr(settings, option)!r} of pool {settings.name!r} cannot be used: {error.strerror or error}"
        raise SetupError(what, option=option) from None
    if not settings.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
