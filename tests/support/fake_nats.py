"""A server like NATS in memory, and a backend on it: another transport than Redis behind the same interface.

Subjects are tokens with dots between them. A subscription has a number, and its subject may end with `>`, which stands
for one or more tokens. The server sends a message once for each subscription that matches it. A key becomes a subject
with a token for each of its bytes, so that every beginning of it is a beginning of the subject.
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Sequence

from backend_contract import Network
from reactorhost.bus import Backend, BackendLink, BackendState, Keep
from recorded_link import RecordedLink


class FakeNats:
    """The server; what is published arrives with `settle`."""

    def __init__(self) -> None:
        self.running = True
        self.stored: defaultdict[str, list[bytes]] = defaultdict(list)
        self._clients: list[NatsBackend] = []
        self._arriving: deque[Callable[[], object]] = deque()

    def attach(self, client: NatsBackend) -> None:
        self._clients.append(client)
        self.later(client.connected if self.running else client.disconnected)

    def detach(self, client: NatsBackend) -> None:
        self._clients.remove(client)

    def later(self, call: Callable[[], object]) -> None:
        self._arriving.append(call)

    def publish(self, subject: str, payload: bytes) -> None:
        for client in self._clients:
            for number, wanted in client.subscriptions.items():
                if subject == wanted or (wanted.endswith(".>") and subject.startswith(wanted[:-1])):
                    self.later(lambda client=client, number=number: client.message(number, subject, payload))  # type: ignore[misc]

    def settle(self) -> None:
        while self._arriving:
            self._arriving.popleft()()

    def cut(self) -> None:
        self.running = False
        self._arriving.clear()
        for client in self._clients:
            self.later(client.disconnected)

    def restore(self) -> None:
        self.running = True
        for client in self._clients:
            self.later(client.connected)


class NatsBackend:
    """A `Backend`."""

    def __init__(self, server: FakeNats) -> None:
        self.subscriptions: dict[int, str] = {}
        self._server = server
        self._link: BackendLink | None = None
        self._numbers = itertools.count(1)
        self._wanted: dict[str, tuple[int, ...]] = {}
        self._up = False

    def start(self, link: BackendLink) -> None:
        self._link = link
        link.state_changed(BackendState.CONNECTING)
        self._server.attach(self)

    def publish(self, key: str, payload: bytes, keep: Keep | None) -> bool:
        if not self._up:
            return False
        subject = _subject(key)
        if keep is not None:
            stored = self._server.stored[subject]
            self._server.later(lambda: stored.append(payload))
            self._server.later(lambda: stored.__delitem__(slice(0, -keep.messages)))
        self._server.later(lambda: self._server.publish(subject, payload))
        return True

    def subscribe(self, pattern: str) -> None:
        self._wanted.setdefault(pattern, ())
        if self._up:
            self._subscribe(pattern)

    def unsubscribe(self, pattern: str) -> None:
        for number in self._wanted.pop(pattern, ()):
            self.subscriptions.pop(number, None)

    def stored(self, key: str, most: int, on_result: Callable[[Sequence[bytes] | None], object]) -> None:
        up = self._up
        self._server.later(lambda: on_result(self._server.stored[_subject(key)][-most:] if up else None))

    def stop(self) -> None:
        self._link = None
        self._server.detach(self)

    # Calls of the server.

    def connected(self) -> None:
        self._up = True
        for pattern in self._wanted:
            self._subscribe(pattern)
        if self._link is not None:
            self._link.state_changed(BackendState.UP)

    def disconnected(self) -> None:
        self._up = False
        self.subscriptions.clear()
        if self._link is not None:
            self._link.state_changed(BackendState.DOWN, "the server has closed the connection")

    def message(self, number: int, subject: str, payload: bytes) -> None:
        # Passed on by the subscription that was made first.
        matching = (each for each in self.subscriptions if self._matches(each, subject))
        if self._link is not None and number in self.subscriptions and number == min(matching):
            self._link.received(bytes.fromhex(subject.replace(".", "")).decode(), payload)

    def _matches(self, number: int, subject: str) -> bool:
        wanted = self.subscriptions[number]
        return subject == wanted or (wanted.endswith(".>") and subject.startswith(wanted[:-1]))

    def _subscribe(self, pattern: str) -> None:
        if self._wanted[pattern] and self._wanted[pattern][0] in self.subscriptions:
            return
        subject = _subject(pattern.removesuffix("*"))
        # `>` needs a token, so that the beginning itself is a subscription of its own.
        subjects = (subject, f"{subject}.>") if pattern.endswith("*") else (subject,)
        numbers = self._wanted[pattern] = tuple(next(self._numbers) for _ in subjects)
        self.subscriptions.update(zip(numbers, subjects, strict=True))


def _subject(key: str) -> str:
    return key.encode().hex(".")


class NatsNetwork(Network):
    """Backends of several workers, on one server."""

    def __init__(self) -> None:
        self.server = FakeNats()

    def join(self) -> tuple[Backend, RecordedLink]:
        backend, link = NatsBackend(self.server), RecordedLink()
        backend.start(link)
        return backend, link

    def until(self, holds: Callable[[], object]) -> None:
        # `holds` may publish.
        for _ in range(5):
            self.server.settle()
            if holds():
                return
        raise AssertionError("it does not hold")

    def cut(self) -> None:
        self.server.cut()

    def restore(self) -> None:
        self.server.restore()
