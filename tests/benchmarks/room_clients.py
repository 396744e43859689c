"""Clients of the rooms in `peers`: they connect, learn the number of their worker, and join, each in its protocol."""

from __future__ import annotations

import resource
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from servers import Server, ServerError

_PATIENCE_SECONDS = 10.0
_TRIAL_SECONDS = 2.0
_TRIALS = 10
_MOST_CONNECTS = 200


@dataclass(slots=True)
class Client:
    """A connected client; `worker` is the number of its worker, `host` the address of its host."""

    sock: socket.socket
    worker: int
    host: str


@dataclass(frozen=True, slots=True)
class Speech:
    """How clients of a server speak.

    Attributes:
        greet: shakes hands on a new connection, and returns the number of the worker.
        order: returns what makes the server do what the letter says, with a text.
        read: reads one message from the server.
    """

    greet: Callable[[socket.socket], int]
    order: Callable[[str, str], bytes]
    read: Callable[[socket.socket], bytes]


@dataclass(slots=True)
class Room:
    """Publishers and members, connected to one server.

    Attributes:
        publication: what a publisher sends for one message.
        delivery_bytes: bytes that each member gets for it.
    """

    publishers: list[Client]
    members: list[Client]
    publication: bytes
    delivery_bytes: int = 0

    @property
    def descriptors(self) -> list[int]:
        """The descriptors of the publishers, then those of the members."""
        return [each.sock.fileno() for each in (*self.publishers, *self.members)]

    def close(self) -> None:
        """Disconnect all."""
        for each in (*self.publishers, *self.members):
            each.sock.close()


@dataclass(slots=True)
class Rooms:
    """Makes the rooms of a server, once each; its clients connect to the addresses `hosts` in turn."""

    speech: Speech
    hosts: Sequence[str] = ("127.0.0.1",)
    _rooms: dict[str, Room] = field(default_factory=dict)
    _connected: int = 0

    def crowd(self, server: Server, letter: str, publishers: int, members: int, size: int) -> Room:
        """Return a room whose members are spread over the workers as the kernel does it."""

        def connect() -> tuple[list[Client], list[Client]]:
            return [self._connect(server) for _ in range(publishers)], [self._connect(server) for _ in range(members)]

        return self._room(f"crowd-{letter}", connect, "J", letter, size)

    def pair(self, server: Server, join: str, letter: str, size: int) -> Room:
        """Return a room with one publisher and one member, on different workers."""

        def connect() -> tuple[list[Client], list[Client]]:
            first = self._connect(server)
            for _ in range(_MOST_CONNECTS):
                other = self._connect(server)
                if other.host != first.host or (len(self.hosts) == 1 and other.worker != first.worker):
                    return [first], [other]
                other.sock.close()
            raise ServerError("all clients get the same worker")

        return self._room(f"pair-{letter}", connect, join, letter, size)

    def close(self) -> None:
        """Disconnect the clients of all rooms."""
        for room in self._rooms.values():
            room.close()
        self._rooms.clear()

    def _room(
        self, name: str, connect: Callable[[], tuple[list[Client], list[Client]]], join: str, letter: str, size: int
    ) -> Room:
        if name not in self._rooms:
            # One room at a time: the members of another one would get its messages.
            self.close()
            publishers, members = connect()
            for member in members:
                member.sock.sendall(self.speech.order(join, ""))
            for member in members:
                self.speech.read(member.sock)
            room = Room(publishers, members, self.speech.order(letter, "x" * size))
            room.delivery_bytes = self._tried(room)
            for each in (*publishers, *members):
                each.sock.setblocking(False)
            self._rooms[name] = room
        return self._rooms[name]

    def _connect(self, server: Server) -> Client:
        host = self.hosts[self._connected % len(self.hosts)]
        self._connected += 1
        sock = socket.create_connection((host, server.port), timeout=_PATIENCE_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Client(sock, self.speech.greet(sock), host)

    def _tried(self, room: Room) -> int:
        """Publish until every member gets a message, and return its size: a bus does not know its members at once."""
        for _ in range(_TRIALS):
            room.publishers[0].sock.sendall(room.publication)
            sizes = _sizes([each.sock for each in room.members], self.speech.read)
            if len(sizes) == 1 and 0 not in sizes:
                return sizes.pop()
        raise ServerError("a message does not reach every member")


def _sizes(socks: Sequence[socket.socket], read: Callable[[socket.socket], bytes]) -> set[int]:
    """Return the sizes of the message that each socket gets, 0 for none."""
    until = time.monotonic() + _TRIAL_SECONDS
    sizes = set()
    for sock in socks:
        sizes.add(len(read(sock)) if _is_readable(sock, max(0.0, until - time.monotonic())) else 0)
    if 0 in sizes:
        # What is late must not be taken for the next one.
        time.sleep(_TRIAL_SECONDS)
        for sock in socks:
            if _is_readable(sock, 0.0):
                sock.recv(1 << 20)
    return sizes


def _is_readable(sock: socket.socket, seconds: float) -> bool:
    # Not `select`, which is limited to the first 1,024 descriptors.
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def allow_many_files() -> None:
    """Raise the limit of open descriptors to its hard limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


# Lines.


def _read_line(sock: socket.socket) -> bytes:
    return _read_until(sock, b"\n")


LINES = Speech(
    greet=lambda sock: int(_read_line(sock)),
    order=lambda letter, text: f"{letter}{text}"[: max(1, len(text) - 1)].encode() + b"\n",
    read=_read_line,
)
"""A message of a size has that size on the wire."""


# Socket.IO over WebSocket: text frames of less than 64 KiB, and masks of zeros.


def _read_frame(sock: socket.socket) -> bytes:
    head = _read(sock, 2)
    if head[1] == 126:
        head += _read(sock, 2)
    return head + _read(sock, int.from_bytes(head[2:], "big") if len(head) > 2 else head[1])


def _frame(text: str) -> bytes:
    data = text.encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + len(data).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + data


def _greet_socketio(sock: socket.socket) -> int:
    sock.sendall(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    if b" 101 " not in _read_until(sock, b"\r\n\r\n"):
        raise ServerError("the server does not speak WebSocket")
    _read_frame(sock)
    sock.sendall(_frame("40"))
    # The answer to 40, and what the server emits when a client connects, in either order.
    worker = next(frame for frame in (_read_frame(sock), _read_frame(sock)) if b'"worker"' in frame)
    return int(worker.rpartition(b',"')[2].rstrip(b'"]'))


SOCKETIO = Speech(_greet_socketio, lambda letter, text: _frame(f'42["{letter}","{text}"]'), _read_frame)


def _read_until(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        data += _read(sock, 1)
    return data


def _read(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise ServerError("the server closed a connection")
        data += piece
    return data
