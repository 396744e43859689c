"""Certificates made for tests, and TLS clients."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from pathlib import Path

import trustme

from reactorhost.testing import DEADLINE_SECONDS, LiveHost

_DAY = dt.timedelta(days=1)


class Pki:
    """A certificate authority and the certificate files that it signs.

    Attributes:
        authority: PEM file of the authority itself.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.authority = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.authority))

    def issue(
        self, name: str, *identities: str, common_name: str | None = None, begins: int = -1, ends: int = 300
    ) -> tuple[Path, Path]:
        """Write NAME.pem and NAME.key, valid from `begins` to `ends` days from now; replace older ones."""
        now = dt.datetime.now(dt.UTC)
        leaf = self._ca.issue_cert(
            *identities, common_name=common_name, not_before=now + begins * _DAY, not_after=now + ends * _DAY
        )
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(key))
        return certificate, key

    def arguments(self, *names: str) -> list[str]:
        """Return the command-line flags for the certificates of these names."""
        return [
            word
            for name in names
            for word in ("--certificate", str(self._folder / f"{name}.pem"), "--key", str(self._folder / f"{name}.key"))
        ]

    def context(self, shown: str | None = None, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """Return a client context that trusts the authority, with a client certificate if `certificate` is given."""
        context = ssl.create_default_context(cafile=self.authority)
        if shown is not None:
            context.load_cert_chain(self._folder / f"{shown}.pem", self._folder / f"{shown}.key")
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def connect(self, host: LiveHost, name: str = "localhost", context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """Return a connected client after its handshake; its calls time out."""
        return self.wrap(socket.create_connection(host.address(), timeout=DEADLINE_SECONDS), name, context)

    def wrap(
        self,
        sock: socket.socket,
        name: str = "localhost",
        context: ssl.SSLContext | None = None,
        *,
        suppress_ragged_eofs: bool = True,
    ) -> ssl.SSLSocket:
        """Do the handshake over a connected socket; close it on failure."""
        try:
            return (context or self.context()).wrap_socket(
                sock, server_hostname=name, suppress_ragged_eofs=suppress_ragged_eofs
            )
        except BaseException:
            sock.close()
            raise
