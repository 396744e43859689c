"""The servers of a run: all run at once on one processor, and one that failed is restarted for the next figure."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from peer_catalog import Peer
from processors import Places, running_on
from servers import Server, ServerError

# Valid as a line and as a length-prefixed message, so complete in every framing.
_MESSAGE = struct.pack(">I", 60) + b"x" * 59 + b"\n"


@dataclass(slots=True)
class Fleet:
    """Servers by peer, started on first use.

    Attributes:
        visited: whether a client visits each server before it is measured.
    """

    peers: Mapping[str, Peer]
    places: Places
    folder: Path
    visited: bool = True
    _running: dict[str, tuple[ExitStack, Server]] = field(default_factory=dict)

    def server(self, name: str) -> Server:
        """Return a peer's server."""
        if name not in self._running:
            stack = ExitStack()
            self._running[name] = stack, stack.enter_context(self.fresh(name))
            if self.visited:
                visit(self._running[name][1])
        return self._running[name][1]

    @contextlib.contextmanager
    def fresh(self, name: str) -> Iterator[Server]:
        """Run another server of a peer that no client has visited."""
        with self.another(self.peers[name]) as server:
            yield server

    @contextlib.contextmanager
    def another(self, peer: Peer) -> Iterator[Server]:
        """Run a server that is not a peer of the tables, on the same processor."""
        starting = peer.start(self.folder)
        with ExitStack() as stack:
            with running_on(self.places.server):
                server = stack.enter_context(starting)
            yield server

    def drop(self, name: str) -> None:
        """End a peer's server, in any state."""
        if name in self._running:
            stack, _ = self._running.pop(name)
            with contextlib.suppress(ServerError):
                stack.close()

    def close(self) -> None:
        """End all servers."""
        for name in list(self._running):
            self.drop(name)


def visit(server: Server) -> None:
    """Connect a client that exchanges one message and closes, so that one-time costs of the server are over.

    asyncio asks `recv` for 256 KiB, which glibc maps and unmaps for every message until the first buffer of that size
    is freed whole, and that happens when the first client leaves; from then on the heap serves them and a message
    costs a third. Any long-running server is in that state. The other servers do not change.
    """
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(_MESSAGE)
        echoed = client.recv(len(_MESSAGE), socket.MSG_WAITALL)
        # Not before the answer: some servers do not answer a client that has sent its end of stream.
        client.shutdown(socket.SHUT_WR)
        echoed += client.recv(1)
    if echoed != _MESSAGE:
        raise ServerError(f"sent {len(_MESSAGE)} bytes, {len(echoed)} came back, or others")
