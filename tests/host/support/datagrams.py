"""Clients of a UDP service: a blocking one, and one that counts answers while a host is operated."""

from __future__ import annotations

import select
import socket
import threading
from typing import Self

from reactorhost.testing import DEADLINE_SECONDS, LiveHost

_WINDOW = 32
_PATIENCE_SECONDS = 10.0
_BUFFER_BYTES = 4 << 20


def udp_addresses(host: LiveHost, service: str | None = None) -> list[tuple[str, int]]:
    """Return host and port of every UDP address of a service, or of the first service."""
    for each in host.status()["services"]:
        if service in (None, each["name"]):
            found = [address.removeprefix("udp://") for address in each["addresses"] if address.startswith("udp://")]
            pairs = [address.rpartition(":") for address in found]
            return [(name.strip("[]"), int(port)) for name, _, port in pairs]
    raise AssertionError(f"no service {service!r}")


def udp_client(address: tuple[str, int]) -> socket.socket:
    """Return a connected UDP socket, which receives from that address only; its calls time out."""
    client = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(DEADLINE_SECONDS)
    client.connect(address)
    return client


class CountingClients:
    """Send numbered datagrams, each exactly once, from entering to `stop()`, a few in flight at a time.

    Every client is a flow of its own, so that together they come to every socket of the host.
    """

    def __init__(self, address: tuple[str, int], clients: int = 16) -> None:
        self._sockets = [udp_client(address) for _ in range(clients)]
        for each in self._sockets:
            each.setblocking(False)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._open: set[bytes] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._progress = threading.Condition()
        self.sent = 0
        self.answered = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stopping.set()
        self._thread.join()
        for each in self._sockets:
            each.close()

    def more(self, count: int) -> None:
        """Wait until `count` more are answered.

        Raises:
            TimeoutError: they are not.
        """
        with self._progress:
            wanted = self.answered + count
            if not self._progress.wait_for(lambda: self.answered >= wanted, DEADLINE_SECONDS):
                raise TimeoutError(f"not answered: {sorted(self._open)} of {self.sent}")

    def lost(self) -> list[bytes]:
        """Stop sending, wait for those in flight, and return the unanswered ones."""
        self._stopping.set()
        self._thread.join()
        return sorted(self._open)

    def _run(self) -> None:
        while not self._stopping.is_set():
            while len(self._open) < _WINDOW:
                self._send()
            if not self._read():
                return
        while self._open and self._read():
            pass

    def _send(self) -> None:
        data = b"%d" % self.sent
        self._open.add(data)
        self._sockets[self.sent % len(self._sockets)].send(data)
        self.sent += 1

    def _read(self) -> bool:
        ready, _, _ = select.select(self._sockets, (), (), _PATIENCE_SECONDS)
        for each in ready:
            self._open.remove(each.recv(65535))
        with self._progress:
            self.answered += len(ready)
            self._progress.notify_all()
        return bool(ready)
