"""Which clients of a service are admitted: by their network, by a plugin, and by the connections of their address.

What is judged is the address that plugins see as `connection.peer`: behind a proxy the one of the PROXY header. Clients
of unix sockets have no address, and are admitted. With IPv6 a client can use every address of its network, so the first
64 bits count as one address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reactorhost.address import Endpoint
from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.system.rate_limit import RateLimit
from reactorhost.worker.admission.address_counts import AddressCounts
from reactorhost.worker.admission.networks import Networks, packed

_LINE_SECONDS = 60.0
_IPV6_NETWORK_BYTES = 8


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """The settings of a service about its clients; `most_per_address` is None for any number of connections."""

    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    most_per_address: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is a rule."""
        return self.has_networks or self.most_per_address is not None

    @property
    def has_networks(self) -> bool:
        """Whether clients are refused by their network."""
        return bool(self.allow or self.deny)


class Admission:
    """The rules of one service, and the connections that they have admitted.

    `counts` are the worker's. `plugins_admit` calls the hook `admit`; None if no plugin has it.
    """

    def __init__(
        self,
        service: str,
        rules: AdmissionRules,
        counts: AddressCounts,
        reactor: Reactor,
        counters: Counters,
        log: EventLog,
        plugins_admit: Callable[[Endpoint], bool] | None = None,
    ) -> None:
        self.rules = rules
        self._service = service
        self._allow = Networks(rules.allow) if rules.allow else None
        self._deny = Networks(rules.deny)
        self._most = rules.most_per_address
        self._key = service.encode() + b"\0"
        self._counts = counts
        self._reactor = reactor
        self._counters = counters
        self._log = log
        self._plugins_admit = plugins_admit
        self._lines = RateLimit(1, _LINE_SECONDS)

    def admits(self, peer: Endpoint) -> bool:
        """Return whether a client is admitted, and count its connection if it is; `ended` removes it."""
        address = packed(peer.host)
        if address is None:
            return True
        if not self._allows(address):
            self._counters.denied += 1
            self._log_refused("denied", peer)
            return False
        if self._plugins_admit is not None and not self._plugins_admit(peer):
            self._counters.denied += 1
            self._log_refused("admit", peer)
            return False
        if self._most is None or self._counts.begin(self._key_of(address), self._most):
            return True
        self._counters.over_address_limit += 1
        self._log_refused("max_connections_per_address", peer)
        return False

    def ended(self, peer: Endpoint) -> None:
        """Remove a connection that was admitted."""
        if self._most is not None and (address := packed(peer.host)) is not None:
            self._counts.end(self._key_of(address))

    def allows(self, peer: Endpoint) -> bool:
        """Return whether a datagram is received, which is no connection."""
        address = packed(peer.host)
        if address is None or self._allows(address):
            return True
        self._counters.denied += 1
        self._log_refused("denied", peer)
        return False

    def _allows(self, address: bytes) -> bool:
        return not self._deny.contain(address) and (self._allow is None or self._allow.contain(address))

    def _key_of(self, address: bytes) -> bytes:
        return self._key + address[:_IPV6_NETWORK_BYTES]

    def _log_refused(self, reason: str, peer: Endpoint) -> None:
        if self._lines.admits(self._reactor.now, reason):
            suppressed = self._lines.take_suppressed(reason)
            self._log.warning("clients_refused", service=self._service, reason=reason, peer=peer, suppressed=suppressed)
