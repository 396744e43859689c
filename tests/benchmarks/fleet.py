"""The servers of a run: all live at once on one processor; one that failed is started again for the next figure."""

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

# A line, and a message with its length before it: whole in every framing.
_MESSAGE = struct.pack(">I", 60) + b"x" * 59 + b"\n"


@dataclass(slots=True)
class Fleet:
    """Servers by peer, started when they are first asked for.

    Attributes:
        visited: whether a client visits each before it is measured.
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
        """Run another server of a peer, which nobody has visited."""
        with self.another(self.peers[name]) as server:
            yield server

    @contextlib.contextmanager
    def another(self, peer: Peer) -> Iterator[Server]:
        """Run a server that is no peer of the tables, at their place."""
        starting = peer.start(self.folder)
        with ExitStack() as stack:
            with running_on(self.places.server):
                server = stack.enter_context(starting)
            yield server

    def drop(self, name: str) -> None:
        """End a peer's server, in whatever state it is."""
        if name in self._running:
            stack, _ = self._running.pop(name)
            with contextlib.suppress(ServerError):
                stack.close()

    def close(self) -> None:
        """End all."""
        for name in list(self._running):
            self.drop(name)


def visit(server: Server) -> None:
    """Be a client that sends one message, gets it back, and leaves: what a server pays once is paid then.

    asyncio asks `recv` for 256 KiB, which glibc maps and unmaps for every message until the first buffer of that size
    is freed whole, and that happens when the first client leaves; from then on the heap serves them and a message
    costs a third. Any real server soon is in that state. The others are the same before and after.
    """
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(_MESSAGE)
        echoed = client.recv(len(_MESSAGE), socket.MSG_WAITALL)
        # Not before: there are servers that answer nobody who has sent his end.
        client.shutdown(socket.SHUT_WR)
        echoed += client.recv(1)
    if echoed != _MESSAGE:
        raise ServerError(f"sent {len(_MESSAGE)} bytes, {len(echoed)} came back, or others")
