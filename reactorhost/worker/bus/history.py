"""The newest messages of groups, kept in this worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from reactorhost.api.history_request import HistoryRequest
from reactorhost.bus.names import matches
from reactorhost.reactor import Reactor
from reactorhost.worker.bus.contract import Origin
from reactorhost.worker.bus.interest import Interest
from reactorhost.worker.hooks.hook_errors import HookFailure


class History:
    """The messages of one worker's groups."""

    def __init__(self, origin: Origin, reactor: Reactor, interest: Interest, hook_failed: HookFailure) -> None:
        self._origin = origin
        self._reactor = reactor
        self._interest = interest
        self._hook_failed = hook_failed
        self._most: dict[str, int] = {}
        self._kept: dict[str, deque[tuple[Origin, int, bytes]]] = {}
        self._published = 0

    def published(self, key: str, data: bytes) -> int:
        """Keep an own message; returns its number, 0 if the key is not kept."""
        kept = self._ring(key)
        if kept is None:
            return 0
        self._published += 1
        kept.append((self._origin, self._published, data))
        return self._published

    def received(self, origin: Origin, key: str, number: int, data: bytes) -> bool:
        """Keep a message of another worker; False: it was received before."""
        kept = self._ring(key)
        if kept is None:
            return True
        if any(each[:2] == (origin, number) for each in kept):
            return False
        kept.append((origin, number, data))
        return True

    def since(self, key: str, number: int) -> Sequence[tuple[int, bytes]] | None:
        """Return the own messages of a key from a number on, or None if some are not kept any more."""
        own = [(each[1], each[2]) for each in self._ring(key) or () if each[0] == self._origin]
        return [each for each in own if each[0] >= number] if own and own[0][0] <= number else None

    def keep(self, pattern: str, messages: int, seconds: float | None) -> None:
        """Keep messages from now on."""
        if messages < 1:
            raise ValueError(f"keep_history needs at least 1 message, not {messages}")
        self._most[pattern] = messages
        self._interest.keep(pattern)

    def read(
        self, plugin: str, key: str, most: int, on_result: Callable[[list[bytes]], object] | None
    ) -> HistoryRequest:
        """Read the newest messages of a key."""
        kept = self._ring(key)
        if kept is None:
            raise ValueError(f"no keep_history covers the group {key[2:]!r}")
        request = HistoryRequest()
        newest = [data for _, _, data in kept][-most:]

        def answer() -> None:
            request.set_result(newest)
            if on_result is not None:
                try:
                    on_result(newest)
                except Exception as error:  # noqa: BLE001  a plugin may raise anything
                    self._hook_failed(plugin, "on_result", None, error)

        self._reactor.call_soon(answer)
        return request

    def _ring(self, key: str) -> deque[tuple[Origin, int, bytes]] | None:
        found = self._kept.get(key)
        if found is None:
            most = next((most for pattern, most in self._most.items() if matches(pattern, key)), None)
            if most is None:
                return None
            found = self._kept[key] = deque(maxlen=most)
        return found
