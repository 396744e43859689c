"""What a connection over UDP lacks, because datagrams are not a stream: an end, a queue, and a framing."""

from __future__ import annotations

from reactorhost.api.peer_credentials import PeerCredentials
from reactorhost.api.proxy_facts import ProxyFacts
from reactorhost.framing import Framing


class NoStream:
    """The members of a transport that mean nothing for datagrams.

    Most do nothing, so that a plugin that serves streams too needs no special cases.
    """

    __slots__ = ()

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

    def send_eof(self) -> None:
        """Do nothing."""
