"""A TLS peer in memory, for the real TLS of the host on the fake sockets of a bench."""

from __future__ import annotations

import ssl
from contextlib import suppress

import trustme

from reactorhost.testing import BenchClient, PluginBench
from reactorhost.tls.role import ServerRole

AUTHORITY = trustme.CA()
SERVER = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
AUTHORITY.issue_cert("localhost").configure_cert(SERVER)
CLIENT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
AUTHORITY.configure_trust(CLIENT)


def with_real_tls(bench: PluginBench) -> PluginBench:
    """Let the plugins of a bench make real handshakes, with contexts of their own."""
    bench._service.context.tls_role = ServerRole()
    return bench


class TlsPeer:
    """The other end of a session: the TLS client behind a client of the bench, or the server behind a far end.

    Attributes:
        version: of the protocol, once the hands are shaken.
        ended: whether the host has ended the session with close_notify.
    """

    def __init__(
        self,
        client: BenchClient,
        context: ssl.SSLContext = CLIENT,
        *,
        is_server: bool = False,
        plain: int | None = None,
    ) -> None:
        """Begin behind so many bytes that the host has sent or will send in plain text, by default all so far."""
        self._client = client
        self._seen = len(client.received) if plain is None else plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, is_server, None if is_server else "localhost")
        self.ended = False

    @property
    def version(self) -> str | None:
        return self._session.version()

    def hello(self) -> bytes:
        """Return the first message of a client's handshake, which is still to be sent."""
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read()
        raise AssertionError("a handshake takes more than one message")

    def shake_hands(self) -> None:
        while True:
            try:
                self._session.do_handshake()
            except ssl.SSLWantReadError:
                assert self._exchange(), "the host has not answered"
            except ssl.SSLError:
                # With an alert.
                self._exchange()
                raise
            else:
                self._exchange()
                return

    def send(self, data: bytes) -> bytes:
        """Send data and return the answer."""
        self._session.write(data)
        return self.read()

    def end(self) -> None:
        """Send close_notify."""
        with suppress(ssl.SSLWantReadError):
            self._session.unwrap()
        self._exchange()

    def read(self) -> bytes:
        """Return all that the host has sent, decrypted."""
        self._exchange()
        data = b""
        try:
            while piece := self._session.read():
                data += piece
        except ssl.SSLWantReadError:
            return data
        except ssl.SSLZeroReturnError:
            pass
        self.ended = True
        return data

    def _exchange(self) -> bool:
        outgoing = self._outgoing.read()
        if outgoing:
            self._client.send(outgoing)
        received = self._client.received[self._seen :]
        self._seen += len(received)
        self._incoming.write(received)
        return bool(received or outgoing)
