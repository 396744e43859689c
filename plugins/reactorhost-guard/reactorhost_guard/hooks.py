"""The hooks of the guard: what is refused, closed and dropped, and why.

A connection counts for its address and for the network of it. Over a limit of its address it is refused or closed, and
the address gets a strike; enough strikes are a ban. Over a limit of its network it is refused or closed without a
strike, because the others of the network may have used it up.

Over a limit that slows clients down, the message is handled, and the client is not read until the rate has allowed it
and the next one. Each of many connections can be ahead by one message that way, so what would be too late is refused. A
new connection of an address that is ahead waits too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from reactorhost import Connection, Endpoint, Option, hookimpl
from reactorhost_guard import notation
from reactorhost_guard.addresses import Address, NetworkMap, address_of
from reactorhost_guard.bans import Ban
from reactorhost_guard.exchange import ORIGIN_BYTES, Exchange
from reactorhost_guard.host_bans import HostBans
from reactorhost_guard.report import Report
from reactorhost_guard.settings import OPTIONS, Settings, settings
from reactorhost_guard.usage import Limits, Usage, UsageTable

if TYPE_CHECKING:
    import click

    from reactorhost import Worker

COUNTS = "guard:counts"
SHARE_SECONDS = 1.0
_LINE_SECONDS = 10.0
_DATAGRAM = Usage(0, Limits())


class Guard:
    """Limit the rates of clients and networks, and ban those that continue, for all services that use the plugin."""

    _settings: Settings
    _worker: Worker
    _report: Report
    _bans: HostBans

    def __init__(self) -> None:
        # By the number of a connection; None for one that is not limited. A datagram is not in it.
        self._clients: dict[int, Usage | None] = {}

    @hookimpl
    def options(self) -> list[Option]:
        """Declare the keys of `[plugin.guard]`."""
        return list(OPTIONS)

    @hookimpl
    def configure(self, config: Mapping[str, object]) -> None:
        """Set the options.

        Raises:
            ExceptionGroup: of a `SetupError` for each option with an invalid value.
        """
        self._settings = settings(config)

    @hookimpl
    def commands(self, cli: click.Group) -> None:
        """Add the commands that list and change the bans."""
        # Not at the top: a worker needs no click.
        from reactorhost_guard import commands

        commands.add(cli)

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        """Begin without any usage, and with the bans that the other workers know."""
        chosen = self._settings
        self._worker = worker
        self._now = worker.now
        self._addresses = UsageTable(chosen.of_address, chosen.max_addresses)
        self._networks = UsageTable(chosen.of_network, chosen.max_addresses)
        self._limits_networks = chosen.of_network != Limits()
        self._limits_input = chosen.of_address.of_input or chosen.of_network.of_input
        slows = any(limits.slows("messages", "bytes") for limits in (chosen.of_address, chosen.of_network))
        self._slows = slows and not chosen.dry_run
        # An int: to compare one with a float takes longer.
        self._large = sys.maxsize
        if self._slows:
            self._large = min(chosen.of_address.large_bytes, chosen.of_network.large_bytes)
        self._report = Report(worker, chosen)
        if chosen.limits_nothing and worker.slot == 0:
            worker.log.warning("guard_without_limits hint=%r", "set connects, messages, bytes or deny")
        self._exchange = Exchange(os.urandom(ORIGIN_BYTES), self._addresses, self._networks)
        worker.subscribe(COUNTS, lambda _topic, data: self._exchange.apply(data, worker.now()))
        worker.call_every(SHARE_SECONDS, self._share)
        self._bans = HostBans(worker, chosen, self._report, self._enforce)
        self._bans.start()

    @hookimpl
    def leader_stop(self) -> None:
        """Write the bans before another worker leads."""
        self._bans.save()

    @hookimpl(tryfirst=True)
    def admit(self, service: str, peer: Endpoint) -> bool | None:
        """Refuse a client whose address is banned or in `deny`, before the handshake of TLS."""
        # In a dry run `connect` counts what would be refused, for its connections.
        if self._settings.dry_run or (self._settings.deny is None and self._bans.is_empty):
            return None
        address = self._limited(peer)
        reason = None if address is None else self._refusal(address)
        if reason is None:
            return None
        self._note("refused", reason, service, peer)
        return False

    @hookimpl(tryfirst=True)
    def connect(self, connection: Connection) -> None:
        """Refuse a client, or count its connection."""
        address = self._limited(connection.peer)
        if address is None:
            self._clients[connection.id] = None
            return
        # Again, and in a dry run only here: a ban may have come during the handshake.
        reason = self._refusal(address)
        if reason is not None:
            self._end(connection, "refused", reason)
            return
        now = self._now()
        usage, network = self._usages(address)
        if not self._addresses.take_connect(usage, now):
            self._end(connection, "refused", "connects")
            self._strike(connection, usage, "connects", now)
        elif network is not None and not self._networks.take_connect(network, now):
            self._end(connection, "refused", "network_connects")
        else:
            self._begin(connection, usage, network)
            if self._slows:
                of_network = 0.0 if network is None else self._networks.debt(network, now)
                connection.throttle(max(self._addresses.debt(usage, now), of_network))

    @hookimpl(tryfirst=True)
    def receive(self, connection: Connection, data: bytes) -> bool | None:
        """Count a message, and close or slow down a client that has sent too many, or too much."""
        usage = self._clients.get(connection.id, _DATAGRAM)
        if usage is _DATAGRAM:
            return self._datagram(connection, len(data))
        if usage is None or not self._limits_input:
            return None
        now, size, network = self._now(), len(data), usage.network
        reason = self._addresses.exceeded(usage, size, now)
        if reason is not None:
            reason = self._slow_down(connection, self._addresses, usage, reason, size, now)
        elif size > self._large:
            self._slow_down_after(connection, self._addresses, usage, now)
        if reason is not None:
            self._end(connection, "closed", reason)
            self._strike(connection, usage, reason, now)
        elif network is not None:
            reason = self._networks.exceeded(network, size, now)
            if reason is not None:
                reason = self._slow_down(connection, self._networks, network, reason, size, now)
            elif size > self._large:
                self._slow_down_after(connection, self._networks, network, now)
            if reason is not None:
                self._end(connection, "closed", f"network_{reason}")
        # In a dry run the next plugin gets it.
        return None if reason is None or self._settings.dry_run else True

    @hookimpl
    def close(self, connection: Connection) -> None:
        """Forget a connection."""
        self._forget(connection)

    @hookimpl
    def stats(self) -> dict[str, int]:
        """Return the bans in force of the host, and the addresses that this worker knows of."""
        return {"banned": self._bans.in_force(), "addresses": len(self._addresses)}

    def _datagram(self, connection: Connection, size: int) -> bool | None:
        """Count a datagram, and drop it if it is too much.

        There are no strikes: the address of a datagram may be forged, and a client would be banned for another one.
        """
        address = self._limited(connection.peer)
        if address is None:
            return None
        reason = self._refusal(address)
        if reason is None and self._limits_input:
            now = self._now()
            usage, network = self._usages(address)
            self._addresses.meter_input(usage)
            reason = self._addresses.exceeded(usage, size, now)
            if reason is None and network is not None:
                self._networks.meter_input(network)
                reason = self._networks.exceeded(network, size, now)
        if reason is None:
            return None
        self._report.count("dropped_datagrams")
        self._log("dropped", reason, connection.service, connection.peer)
        return None if self._settings.dry_run else True

    def _limited(self, peer: Endpoint) -> Address | None:
        """Return the address of a client, or None if it has none or is not limited."""
        address, allow = address_of(peer.host), self._settings.allow
        return None if address is None or (allow is not None and allow.contains(address)) else address

    def _refusal(self, address: Address) -> str | None:
        """Return why an address is refused whatever it has used, or None."""
        deny = self._settings.deny
        if deny is not None and deny.contains(address):
            return "denied"
        return None if self._bans.find(address) is None else "banned"

    def _usages(self, address: Address) -> tuple[Usage, Usage | None]:
        """Return the usage of an address, and that of its network if networks have limits."""
        usage = self._addresses.find(self._settings.address.key(address))
        if not self._limits_networks:
            return usage, None
        return usage, usage.network or self._networks.find(self._settings.network.key(address))

    def _begin(self, connection: Connection, usage: Usage, network: Usage | None) -> None:
        if not usage.holders:
            usage.connections = set()
            usage.network = network
            if network is not None:
                self._networks.hold(network)
        self._addresses.hold(usage)
        assert usage.connections is not None
        usage.connections.add(connection)
        self._clients[connection.id] = usage

    def _forget(self, connection: Connection) -> None:
        usage = self._clients.pop(connection.id, None)
        if usage is None:
            return
        assert usage.connections is not None
        usage.connections.discard(connection)
        self._addresses.release(usage)
        if not usage.holders:
            network, usage.network, usage.connections = usage.network, None, None
            if network is not None:
                self._networks.release(network)

    def _slow_down(
        self, connection: Connection, table: UsageTable, usage: Usage, reason: str, size: int, now: float
    ) -> str | None:
        """Slow down a client that has exceeded a limit of its address or network; returns the limit if one refuses."""
        wait: float | None
        if self._settings.dry_run:
            # Not counted, as what is refused: the client is not slower for it.
            wait = 0.0 if table.limits.slows(reason) else None
        else:
            reason, wait = table.slow_down(usage, reason, size, now)
        if wait is None:
            return reason
        self._throttle(connection, table, wait, reason)
        return None

    def _slow_down_after(self, connection: Connection, table: UsageTable, usage: Usage, now: float) -> None:
        """Slow down a client whose large message was within the limit, if its next one would be refused for it."""
        wait = table.excess(usage, now)
        if wait:
            self._throttle(connection, table, wait, "bytes")

    def _throttle(self, connection: Connection, table: UsageTable, seconds: float, reason: str) -> None:
        connection.throttle(seconds)
        reason = f"network_{reason}" if table is self._networks else reason
        self._note("slowed", reason, connection.service, connection.peer)

    def _end(self, connection: Connection, what: str, reason: str) -> None:
        """Reset a connection that is refused or closed, and report it."""
        self._note(what, reason, connection.service, connection.peer)
        self._reset(connection)

    def _reset(self, connection: Connection) -> None:
        """Reset a connection, and count nothing more of it; in a dry run only that, as if it had ended."""
        self._forget(connection)
        self._clients[connection.id] = None
        if not self._settings.dry_run:
            # Not `close()`, which would wait for the client's end, and read what it still sends.
            connection.abort()

    def _strike(self, connection: Connection, usage: Usage, reason: str, now: float) -> None:
        self._report.count("strikes")
        if self._addresses.take_strike(usage, now):
            address = address_of(connection.peer.host)
            assert address is not None
            self._bans.ban(self._settings.address.network(address), reason)

    def _enforce(self, ban: Ban) -> None:
        """End the connections of a network that was banned, by this worker or by another one."""
        if ban.lifted or (ban.dry and not self._settings.dry_run):
            return
        for connection in self._connections(ban.network):
            self._report.count("closed_banned")
            self._reset(connection)

    def _connections(self, network: notation.Network) -> list[Connection]:
        """Return the open connections of a network that are limited."""
        address = self._settings.address.exactly(network)
        if address is not None:
            return self._addresses.connections(self._settings.address.key(address))
        banned: NetworkMap[bool] = NetworkMap()
        banned[network] = True
        return [
            connection
            for connection in self._worker.connections
            if self._clients.get(connection.id) is not None
            and (client := address_of(connection.peer.host)) is not None
            and banned.contains(client)
        ]

    def _note(self, what: str, reason: str, service: str, peer: Endpoint) -> None:
        """Count and log what was done with a client: `refused`, `closed` or `slowed`."""
        self._report.count(f"{what}_{reason}")
        self._log(what, reason, service, peer)

    def _log(self, what: str, reason: str, service: str, peer: Endpoint) -> None:
        text = f"service={service} reason={reason} peer={peer}"
        self._report.line(f"guard_{what}", reason, text, most=1, seconds=_LINE_SECONDS)

    def _share(self) -> None:
        for data in self._exchange.messages(self._worker.count):
            self._worker.publish(COUNTS, data)
