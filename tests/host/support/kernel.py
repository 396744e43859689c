"""Facts from the kernel about a process or a port, for tests that look at a host from outside."""

from __future__ import annotations

import fcntl
import os
import random
import resource
import socket
import struct
import termios
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from reactorhost.system.socket_table import inodes_of

_TCP_LISTEN = 10
_TCP_TIME_WAIT = 6
_EVERY_STATE = 0xFFF
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST, _DUMP = 0x1, 0x300
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("IHHII")


def free_port() -> int:
    """Return a free TCP port that the kernel does not assign to a socket without one, to those of other tests."""
    first_assigned = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(first_assigned // 2, first_assigned), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError(f"no free port below {first_assigned}")


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files(pid: int) -> dict[int, str]:
    """Return the open descriptors of a process with what they refer to, without files of /proc.

    Those are open for a moment whenever a process of the host reads one, and would be counted once in a while.
    """
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        # It may have been closed since.
        with suppress(FileNotFoundError):
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return {number: target for number, target in found.items() if not target.startswith("/proc/")}


def descriptors(pid: int) -> int:
    """Return the number of open descriptors of a process, without files of /proc."""
    return len(open_files(pid))


def leave_descriptors(pid: int, more: int) -> None:
    """Limit a process to `more` descriptors beyond those it has open."""
    taken = open_files(pid)
    free = (number for number in count() if number not in taken)
    limit = next(islice(free, more, None))
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))


def unacknowledged_bytes(sock: socket.socket) -> int:
    """Return how many bytes of a TCP socket the kernel of the peer has not acknowledged yet."""
    answer = fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4))
    return int(struct.unpack("i", answer)[0])


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process, user and system."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped by SIGSTOP."""
    return _stat(pid)[0] == "T"


def sleeps(pid: int) -> bool:
    """Return whether a process waits for an event, and does not run or wait for a processor."""
    return _stat(pid)[0] == "S"


@dataclass(frozen=True, slots=True)
class TcpSocket:
    """A TCP socket of IPv4.

    Attributes:
        port: its own port.
        peer_port: that of the other end, 0 for a listener.
        waiting: bytes to read; for a listener, the connections in its accept queue.
        inode: its number among all sockets, 0 if no process has it.
    """

    port: int
    peer_port: int
    waiting: int
    inode: int


def queues(port: int) -> list[int]:
    """Return the length of the accept queue of every listener on a port of IPv4."""
    return [sock.waiting for sock in tcp_sockets(listening=True) if sock.port == port]


def accepted_ports(pid: int) -> frozenset[int]:
    """Return the ports of the clients whose connections a process has accepted, of IPv4."""
    inodes = {int(inode) for inode in inodes_of(pid)}
    return frozenset(sock.peer_port for sock in tcp_sockets(listening=False) if sock.inode in inodes)


def tcp_sockets(*, listening: bool) -> list[TcpSocket]:
    """Return the TCP sockets of IPv4 that listen, or all others."""
    try:
        return list(_sockets_of_diag(listening))
    except OSError:
        return list(_sockets_of_proc(listening))


def _sockets_of_diag(listening: bool) -> Iterator[TcpSocket]:
    """Yield sockets from sock_diag(7).

    A file of /proc has a line for each socket that ever was, which takes seconds after thousands of connections.
    """
    states = 1 << _TCP_LISTEN if listening else _EVERY_STATE & ~(1 << _TCP_LISTEN | 1 << _TCP_TIME_WAIT)
    request = struct.pack("BBBxI48x", socket.AF_INET, socket.IPPROTO_TCP, 0, states)
    header = struct.pack("IHHII", _HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST | _DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as sock:
        sock.send(header + request)
        while True:
            data = sock.recv(1 << 20)
            while data:
                length, kind, *_ = _HEADER.unpack_from(data)
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError("the kernel does not tell")
                port, peer_port = struct.unpack_from("!HH", data, _HEADER.size + 4)
                waiting, _, _, inode = struct.unpack_from("IIII", data, _HEADER.size + 56)
                yield TcpSocket(port, peer_port, waiting, inode)
                data = data[(length + 3) & ~3 :]


def _sockets_of_proc(listening: bool) -> Iterator[TcpSocket]:
    for row in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:]):
        if (int(row[3], 16) == _TCP_LISTEN) == listening:
            port, peer_port = (int(row[number].partition(":")[2], 16) for number in (1, 2))
            # The second queue of a row: of a listener, its accept queue.
            yield TcpSocket(port, peer_port, int(row[4].partition(":")[2], 16), int(row[9]))


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the program name, state first."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
