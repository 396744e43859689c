"""Clients and a plugin for tests of WebSocket on the bench."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reactorhost import CloseReason, Connection, Worker, hookimpl
from websocket_frames import CLOSE, TEXT, Sent, frames, request

if TYPE_CHECKING:
    from reactorhost.testing import BenchClient, PluginBench

Bench = Callable[..., "PluginBench"]


class Browser:
    """A client, and the frames that it has not looked at yet."""

    def __init__(self, bench: PluginBench, path: str = "/", *, behind: bytes = b"", **headers: str) -> None:
        self.bench = bench
        self.client: BenchClient = bench.connect(opening=request(path, **headers) + behind)
        self.answer, _, rest = self.client.received.partition(b"\r\n\r\n")
        self._seen = len(self.client.received) - len(rest)

    @property
    def shown(self) -> list[Sent]:
        """The frames since the last look."""
        data = self.client.received[self._seen :]
        self._seen += len(data)
        return frames(data)

    @property
    def texts(self) -> list[str]:
        return [each.data.decode() for each in self.shown if each.opcode == TEXT]

    def sends(self, data: bytes) -> list[Sent]:
        """Send bytes, and return what is shown then."""
        self.client.send(data)
        return self.shown


def closed(code: int, reason: str = "") -> Sent:
    return Sent(CLOSE, code.to_bytes(2, "big") + reason.encode())


class Speaker:
    """Does what a test wants in each hook."""

    def __init__(self, **do: Callable[..., Any]) -> None:
        self.do = do
        self.closes: list[tuple[CloseReason, int | None, str]] = []

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker

    @hookimpl
    def connect(self, connection: Connection) -> None:
        if "connect" in self.do:
            self.do["connect"](connection)

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        if "receive" in self.do:
            self.do["receive"](connection, data)

    @hookimpl
    def close(self, connection: Connection, reason: CloseReason) -> None:
        framing: Any = connection.framing
        self.closes.append((reason, framing.close_code, framing.close_reason))


def table(**parameters: object) -> dict[str, object]:
    return {"kind": "websocket", **parameters}
