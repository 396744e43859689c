"""A backend whose exceptions do not reach the bus: they are reported as those of a hook, and a call has then failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reactorhost.bus.backend import Backend, BackendLink, Keep
from reactorhost.plugins.guard import as_error
from reactorhost.worker.hooks.hook_errors import HookFailure


class GuardedBackend:
    """A `Backend` that calls another one, of this plugin."""

    def __init__(self, backend: Backend, plugin: str, hook_failed: HookFailure) -> None:
        self._backend = backend
        self._plugin = plugin
        self._hook_failed = hook_failed

    def start(self, link: BackendLink) -> None:
        """See `Backend`."""
        self._call("start", link)

    def publish(self, key: str, payload: bytes, keep: Keep | None) -> bool:
        """See `Backend`."""
        return self._call("publish", key, payload, keep) == (True,)

    def subscribe(self, pattern: str) -> None:
        """See `Backend`."""
        self._call("subscribe", pattern)

    def unsubscribe(self, pattern: str) -> None:
        """See `Backend`."""
        self._call("unsubscribe", pattern)

    def stored(self, key: str, most: int, on_result: Callable[[Sequence[bytes] | None], object]) -> None:
        """See `Backend`; `on_result` is called once, whatever the backend does."""
        answered = False

        def answer(payloads: Sequence[bytes] | None) -> None:
            nonlocal answered
            if not answered:
                answered = True
                on_result(payloads)

        if not self._call("stored", key, most, answer):
            answer(None)

    def stop(self) -> None:
        """See `Backend`."""
        self._call("stop")

    def _call(self, method: str, *args: object) -> tuple[object] | None:
        """Return what a method returns, or None if it raises."""
        try:
            return (getattr(self._backend, method)(*args),)
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            self._hook_failed(self._plugin, method, None, as_error(raised))
            return None
