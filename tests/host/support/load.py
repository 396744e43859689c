"""A load of short connections from a separate process, which counts connections, and failures by kind.

A connection is: connect, send 32 bytes, receive them back, close. A fixed number is in flight all the time, and each
one has a deadline. `Load` is the test's side; run as a program this file is the other one, told by lines of JSON on
standard input and answering each by one on standard output.
"""

from __future__ import annotations

import errno
import json
import os
import select
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

MESSAGE_BYTES = 32
IN_FLIGHT = 32
DEADLINE_SECONDS = 20.0
"""Seconds that one connection may take; beyond that it is a failure of kind `timeout`."""

_MOST_EXAMPLES = 10
_PATIENCE_SECONDS = 90.0

Target = tuple[str, int] | str
"""Host and port, or the path of a unix socket."""


@dataclass(frozen=True, slots=True)
class Count:
    """Counts of a load so far.

    Attributes:
        answered: connections that were answered in full.
        failures: the others, by kind: refused, reset, eof, short, wrong, timeout, or the name of an error.
        examples: some of them in words.
        slowest_seconds: the longest that one took from connect to the whole answer.
        seconds: since the first connection.
    """

    answered: int
    failures: dict[str, int]
    examples: list[str]
    slowest_seconds: float
    seconds: float

    @property
    def failed(self) -> int:
        """Number of connections that were not answered in full."""
        return sum(self.failures.values())


class Load:
    """Connect to addresses in rotation, from entering to `stop()` or leaving."""

    def __init__(self, *targets: Target, in_flight: int = IN_FLIGHT) -> None:
        self._targets = targets
        self._in_flight = in_flight
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""

    def __enter__(self) -> Self:
        task = json.dumps({"targets": self._targets, "in_flight": self._in_flight})
        # The module is not importable there, so the file itself is the program.
        command = [sys.executable, "-I", os.path.abspath(__file__), task]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()

    def more(self, answers: int) -> Count:
        """Wait until `count` more connections were answered or failed."""
        return self._ask({"more": answers})

    def stop(self) -> Count:
        """Stop connecting, wait for those in flight, and return the counts."""
        return self._ask({"stop": True})

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise AssertionError("the load was not entered")
        return self._process

    def _ask(self, order: dict[str, Any]) -> Count:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while b"\n" not in self._unread:
            ready, _, _ = select.select([process.stdout], (), (), max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"the load did not answer {order}")
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                raise EOFError("the load ended")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return Count(**json.loads(line))


# The load process.


@dataclass(slots=True, eq=False)
class Client:
    """One connection in flight."""

    socket: socket.socket
    number: int
    target: Target
    begun: float
    sent: bool = False
    answer: bytearray = field(default_factory=bytearray)

    @property
    def message(self) -> bytes:
        """The bytes to send: a unique number, so that answers cannot be confused."""
        return b"%*d" % (MESSAGE_BYTES, self.number)


class Generator:
    """Keeps connections in flight until stopped."""

    def __init__(self, targets: Sequence[Target], in_flight: int) -> None:
        self._targets = targets
        self._in_flight = in_flight
        self._selector = selectors.EpollSelector()
        # Ordered by deadline, since all have the same timeout.
        self._clients: dict[int, Client] = {}
        self._begun = time.monotonic()
        self._opened = 0
        self._answered = 0
        self._failures: Counter[str] = Counter()
        self._examples: list[str] = []
        self._slowest = 0.0
        self._waiting: deque[int] = deque()
        self._stopping = False
        self._orders = b""

    def run(self) -> None:
        """Work until the parent process sends a byte or is gone."""
        self._selector.register(0, selectors.EVENT_READ)
        while not (self._stopping and not self._clients):
            while not self._stopping and len(self._clients) < self._in_flight:
                self._open()
            for key, events in self._selector.select(self._patience()):
                if key.fd == 0:
                    self._read_orders()
                elif key.data.number in self._clients:
                    self._advance(key.data, events)
            self._give_up_late_ones()
            self._tell()
        self._print()

    def _open(self) -> None:
        target = self._targets[self._opened % len(self._targets)]
        family = socket.AF_UNIX if isinstance(target, str) else socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        client = Client(sock, self._opened, target, time.monotonic())
        self._clients[client.number] = client
        self._opened += 1
        code = sock.connect_ex(target)
        if code in (0, errno.EINPROGRESS):
            self._selector.register(sock, selectors.EVENT_WRITE, client)
        else:
            self._fail(client, _kind(code), registered=False)

    def _advance(self, client: Client, events: int) -> None:
        try:
            if not client.sent:
                code = client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    self._fail(client, _kind(code))
                    return
                client.socket.send(client.message)
                client.sent = True
                self._selector.modify(client.socket, selectors.EVENT_READ, client)
                return
            data = client.socket.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(client, _kind(error.errno))
            return
        client.answer += data
        if not data:
            self._fail(client, "short" if client.answer else "eof")
        elif len(client.answer) >= MESSAGE_BYTES:
            if client.answer == client.message:
                self._answered += 1
                self._slowest = max(self._slowest, time.monotonic() - client.begun)
                self._close(client)
            else:
                self._fail(client, "wrong")

    def _fail(self, client: Client, kind: str, *, registered: bool = True) -> None:
        self._failures[kind] += 1
        if len(self._examples) < _MOST_EXAMPLES:
            step = "sent" if client.sent else "connecting"
            seconds = time.monotonic() - client.begun
            moment = time.strftime("%H:%M:%S", time.gmtime()) + f".{int(time.time() % 1 * 1000):03d}Z"
            self._examples.append(f"{moment} number {client.number} to {client.target} {step} {seconds:.3f}s: {kind}")
        self._close(client, registered=registered)

    def _close(self, client: Client, *, registered: bool = True) -> None:
        if registered:
            self._selector.unregister(client.socket)
        del self._clients[client.number]
        client.socket.close()

    def _patience(self) -> float:
        oldest = next(iter(self._clients.values()), None)
        return 1.0 if oldest is None else max(0.0, oldest.begun + DEADLINE_SECONDS - time.monotonic())

    def _give_up_late_ones(self) -> None:
        now = time.monotonic()
        for client in list(self._clients.values()):
            if now < client.begun + DEADLINE_SECONDS:
                return
            self._fail(client, "timeout")

    def _read_orders(self) -> None:
        data = os.read(0, 4096)
        *lines, self._orders = (self._orders + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if "more" in order:
                self._waiting.append(self._ended() + order["more"])
            else:
                self._stopping = True
        if not data:
            sys.exit(1)

    def _ended(self) -> int:
        return self._answered + self._failures.total()

    def _tell(self) -> None:
        while self._waiting and self._waiting[0] <= self._ended():
            self._waiting.popleft()
            self._print()

    def _print(self) -> None:
        count = {
            "answered": self._answered,
            "failures": self._failures,
            "examples": self._examples,
            "slowest_seconds": round(self._slowest, 3),
            "seconds": round(time.monotonic() - self._begun, 3),
        }
        sys.stdout.write(json.dumps(count) + "\n")
        sys.stdout.flush()


def _kind(number: int | None) -> str:
    names = {errno.ECONNREFUSED: "refused", errno.ECONNRESET: "reset", errno.EPIPE: "reset"}
    return names.get(number or 0, errno.errorcode.get(number or 0, "unknown"))


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    Generator([each if isinstance(each, str) else tuple(each) for each in task["targets"]], task["in_flight"]).run()
