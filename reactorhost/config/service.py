"""One service of a host as the settings describe it, complete and checked; times are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reactorhost.address import Address


@dataclass(frozen=True, slots=True)
class Tls:
    """How a service speaks TLS; each certificate goes with the key in the same place."""

    certificates: tuple[Path, ...]
    keys: tuple[Path, ...]
    client_ca: Path | None = None
    client_certificates: str = "none"
    """`none`, `optional` or `required`."""
    alpn: tuple[str, ...] = ()
    """Protocols offered by ALPN, the one we like best first."""


@dataclass(frozen=True, slots=True)
class Service:
    """Addresses that share one ordered plugin chain, and how their clients are served."""

    name: str
    listen: tuple[Address, ...]
    plugins: tuple[str, ...]
    """As named: `echo`, `module:object`, `/absolute/path/file.py`."""
    idle_timeout: float | None = None
    handshake_timeout: float = 10.0
    framing: str | Mapping[str, object] | None = None
    """As written; the framing room reads it."""
    tls: Tls | None = None
    proxy_from: tuple[str, ...] = ()
    """Networks whose connections begin with a PROXY header; then nobody else may connect."""
    max_datagram: int = 65535
    """Bytes of the longest datagram that plugins are given."""
    unix_mode: int | None = None
    """As the umask makes it, when None."""
    unix_owner: str | None = None
    """`USER`, `USER:GROUP` or `:GROUP`."""

    def speaks_tls(self, address: Address) -> bool:
        """Tell whether clients of one of its addresses speak TLS."""
        if address.scheme == "tls":
            return True
        return address.scheme == "tcp" and self.tls is not None and all(each.scheme != "tls" for each in self.listen)
