"""What is known of a peer beside its address: credentials on a unix socket, and what a PROXY header says.

Few connections have either, so both are kept by the service. The `close` hooks run when the socket is closed already;
the credentials are read just before, and only in a service with unix sockets.
"""

from __future__ import annotations

from reactorhost.api.peer_credentials import PeerCredentials
from reactorhost.api.proxy_facts import ProxyFacts
from reactorhost.system import ownership
from reactorhost.worker.stream.closing import CLOSED
from reactorhost.worker.stream.protocol import Stream
from reactorhost.worker.stream.socket import StreamSocket

# What the kernel reports for a socket of another family, as -1.
_NO_ID = 0xFFFF_FFFF


def credentials(stream: Stream) -> PeerCredentials | None:
    """Return the credentials of the peer of a unix socket; None for any other peer."""
    kept = stream.context.credentials
    if kept is None:
        return None
    return kept.get(stream.connection.id) if stream.close_state is CLOSED else _read(stream.socket)


def proxy(stream: Stream) -> ProxyFacts | None:
    """Return what the PROXY header says beside the addresses; None without one of version 2."""
    return stream.context.proxies.get(stream.connection.id)


def keep_credentials(stream: Stream, kept: dict[int, PeerCredentials]) -> None:
    """Read the credentials, because the socket is about to be closed."""
    found = _read(stream.socket)
    if found is not None:
        kept[stream.connection.id] = found


def release(stream: Stream) -> tuple[PeerCredentials | None, ProxyFacts | None]:
    """Return what was kept for a connection, and forget it."""
    number, kept = stream.connection.id, stream.context.credentials
    return kept.pop(number, None) if kept else None, stream.context.proxies.pop(number, None)


def _read(sock: StreamSocket) -> PeerCredentials | None:
    pid, uid, gid = ownership.peer(sock)
    return None if uid == _NO_ID else PeerCredentials(pid, uid, gid)
