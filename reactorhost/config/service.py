"""One service of a host, complete and checked; times are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reactorhost.address import Address


@dataclass(frozen=True, slots=True)
class Tls:
    """The TLS settings of a service; each certificate belongs to the key at the same index."""

    certificates: tuple[Path, ...]
    keys: tuple[Path, ...]
    client_ca: Path | None = None
    client_certificates: str = "none"
    """`none`, `optional` or `required`."""
    alpn: tuple[str, ...] = ()
    """Protocols offered by ALPN, the preferred one first."""


@dataclass(frozen=True, slots=True)
class Service:
    """Addresses that share one ordered plugin chain, and how their clients are served."""

    name: str
    listen: tuple[Address, ...]
    plugins: tuple[str, ...]
    """As the operator named them: `echo`, `module:object`, `/absolute/path/file.py`."""
    idle_timeout: float | None = None
    message_timeout: float | None = None
    when_full: str = "wait"
    """`wait` or `refuse`."""
    handshake_timeout: float = 10.0
    framing: str | Mapping[str, object] | None = None
    """As written in the configuration; `reactorhost.framing.framing_named` reads it."""
    tls: Tls | None = None
    starttls: bool = False
    """Whether clients begin without TLS, and its certificates are for `connection.start_tls`."""
    proxy_from: tuple[str, ...] = ()
    """Networks whose connections begin with a PROXY header; if there are any, other clients are refused."""
    max_datagram: int = 65535
    """Bytes of the longest datagram that is passed to plugins."""
    unix_mode: int | None = None
    """None: as the umask sets it."""
    unix_owner: str | None = None
    """`USER`, `USER:GROUP` or `:GROUP`."""
    workers: int | None = None
    """How many workers may accept its clients; None for all of the host."""

    allow: tuple[str, ...] = ()
    """Networks of the clients that are served; without any, all are."""
    deny: tuple[str, ...] = ()
    """Networks of clients that are refused, also if `allow` has them."""
    max_connections_per_address: int | None = None
    """Open connections that one client address may have, in all workers together."""
    accept_rate: int | None = None
    """Connections accepted in a second, in all workers together; further clients wait."""

    def speaks_tls(self, address: Address) -> bool:
        """Return whether clients of one of its addresses speak TLS."""
        if address.scheme == "tls":
            return True
        if address.scheme != "tcp" or self.tls is None or self.starttls:
            return False
        return all(each.scheme != "tls" for each in self.listen)
