"""ClientHellos as OpenSSL sends them."""

from __future__ import annotations

import contextlib
import ssl


def hello_of(name: str | None) -> bytes:
    """Return the first record of a TLS client for a server name."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context()
    client.check_hostname = False
    with contextlib.suppress(ssl.SSLWantReadError):
        client.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()
