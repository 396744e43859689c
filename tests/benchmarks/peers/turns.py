"""A server and its clients in one process, without a port: all clients send, and the turn that answers them is timed.

    turns.py KIND CLIENTS BYTES PLACE    PLACE: the compiled epoll_turn.c

For each line on standard input it runs a block of turns, and prints the median nanoseconds per message in the server's
turn, kernel included. No process sleeps or is woken, so this is steadier than a measurement over a port. The
host's code is the installed one.
"""

from __future__ import annotations

import ctypes
import gc
import select
import socket
import statistics
import sys
import time
from collections.abc import Callable, Sequence

_READ_BYTES = 16 * 1024
_MESSAGES_A_BLOCK = 3200
_FEWEST_TURNS = 20
_SETTLING = 5

Turn = Callable[[], object]


def main() -> None:
    """Run a block of turns for each line of input."""
    kind, clients, size, place = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    near, far = connected(clients)
    turn = {"c": c_turn, "bare": bare_turn, "reactorhost": host_turn}[kind](near, place)
    message = b"x" * size
    turns = max(_FEWEST_TURNS, _MESSAGES_A_BLOCK // clients)
    # As the master does before it forks; an echo creates no reference cycles.
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    for _ in sys.stdin:
        # Warm up the caches after the other servers.
        block = [timed(turn, far, message) for _ in range(turns)][turns // _SETTLING :]
        print(statistics.median(block) / clients, flush=True)


def connected(count: int) -> tuple[list[socket.socket], list[socket.socket]]:
    """Return both ends of a number of connections, the server's first."""
    near, far = [], []
    with socket.create_server(("127.0.0.1", 0), backlog=count) as listener:
        for _ in range(count):
            far.append(socket.create_connection(listener.getsockname()))
            near.append(listener.accept()[0])
            for end in (near[-1], far[-1]):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            near[-1].setblocking(False)
    return near, far


def timed(turn: Turn, clients: Sequence[socket.socket], message: bytes) -> int:
    """Return the nanoseconds of the turn in which all clients are answered."""
    for client in clients:
        client.sendall(message)
    began = time.perf_counter_ns()
    turn()
    ended = time.perf_counter_ns()
    for client in clients:
        if client.recv(len(message), socket.MSG_WAITALL) != message:
            raise SystemExit("an answer is not what was sent")
    return ended - began


def c_turn(sockets: Sequence[socket.socket], place: str) -> Turn:
    """Return the turn of a loop in C."""
    poller = polling(sockets)
    turn, number = ctypes.CDLL(place).turn, poller.fileno()

    def checked() -> None:
        # Keeps the poller alive, of which only the descriptor number is used otherwise.
        assert number == poller.fileno()
        if turn(number) < 0:
            raise SystemExit("a client was not answered in one piece")

    return checked


def bare_turn(sockets: Sequence[socket.socket], _place: str) -> Turn:
    """Return the turn of a bare Python loop with two counters."""
    poller = polling(sockets)
    clients = {each.fileno(): each for each in sockets}
    messages = received = 0

    def turn() -> None:
        nonlocal messages, received
        for descriptor, _ in poller.poll():
            client = clients[descriptor]
            data = client.recv(_READ_BYTES)
            messages += 1
            received += len(data)
            client.send(data)

    return turn


def polling(sockets: Sequence[socket.socket]) -> select.epoll:
    """Return an epoll object with the sockets registered."""
    poller = select.epoll()
    for each in sockets:
        poller.register(each, select.EPOLLIN)
    return poller


def host_turn(sockets: Sequence[socket.socket], _place: str) -> Turn:
    """Return the turn of a worker that has the echo plugin and these clients."""
    from reactorhost import __version__
    from reactorhost.plugins import loading
    from reactorhost.reactor import Reactor, new_poller
    from reactorhost.worker.builder import WorkerBuilder
    from reactorhost.worker.context import Limits
    from reactorhost.worker.service import LoadedService

    def failed(plugin: str, hook: str, connection: object, error: Exception) -> None:
        raise error

    reactor = Reactor(new_poller("epoll"))
    loaded = LoadedService("default", [loading.load("echo", __version__)])
    service = WorkerBuilder(reactor=reactor, hook_failed=failed).build([loaded], Limits()).services["default"]
    accept = service.acceptor("tcp")
    for each in sockets:
        accept(each, each.getpeername())
    return lambda: reactor.turn(1)


if __name__ == "__main__":
    main()
