"""What a connection over UDP lacks, because datagrams are not a stream: an end, a queue, and a framing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from reactorhost.api.file_send import FileSend
from reactorhost.api.peer_credentials import PeerCredentials
from reactorhost.api.proxy_facts import ProxyFacts
from reactorhost.api.tls_start import TlsStart
from reactorhost.framing import Framing
from reactorhost.tls.facts import TlsFacts

if TYPE_CHECKING:
    from ssl import SSLContext


class NoStream:
    """The members of a transport that mean nothing for datagrams.

    Most do nothing, so that a plugin that serves streams too needs no special cases.
    """

    __slots__ = ()

    protocol = None
    can_start_tls = False

    @property
    def queued(self) -> int:
        """0: the kernel accepts a datagram at once or not at all."""
        return 0

    @property
    def framing(self) -> Framing | None:
        """None: a datagram is one message."""
        return None

    @framing.setter
    def framing(self, framing: Framing | None) -> None:
        if framing is not None:
            raise TypeError("a datagram is a message already and takes no framing")

    @property
    def peer_credentials(self) -> PeerCredentials | None:
        """None: only unix sockets have them."""
        return None

    @property
    def proxy(self) -> ProxyFacts | None:
        """None: there is no PROXY header."""
        return None

    @property
    def full_duplex(self) -> bool:
        """False: nothing is queued."""
        return False

    def set_full_duplex(self, wanted: bool) -> None:
        """Do nothing."""

    def send_eof(self) -> None:
        """Do nothing."""

    def start_tls(
        self, context: SSLContext | None, server_name: str | None, on_result: Callable[[TlsFacts], object] | None
    ) -> TlsStart:
        """Raise RuntimeError."""
        raise RuntimeError("a datagram cannot begin TLS, which needs a connection")

    def send_file(
        self, file: BinaryIO, offset: int, count: int | None, on_result: Callable[[int], object] | None
    ) -> FileSend:
        """Raise RuntimeError."""
        raise RuntimeError("a file does not go into a datagram: read it, and send a part that fits")
