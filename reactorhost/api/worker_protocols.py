"""What a `Worker` needs of the process that it represents."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeVar

from reactorhost.api.connect_attempt import ConnectAttempt
from reactorhost.api.connection import Connection
from reactorhost.api.connection_protocols import Timer
from reactorhost.api.counter import Counter, SharedCounter
from reactorhost.api.history_request import HistoryRequest
from reactorhost.api.thread_task import ThreadTask
from reactorhost.bus.member import Member

if TYPE_CHECKING:
    from ssl import SSLContext

T = TypeVar("T")
Args = tuple[Any, ...]
Once = Literal["worker", "host"]
OnResult = Callable[[T], object] | None
OnError = Callable[[Exception], object] | None


class WorkerTimers(Protocol):
    """What a worker needs to call functions later."""

    def call_later(self, seconds: float, function: Callable[..., object], args: Args, /) -> Timer: ...
    def call_every(self, seconds: float, function: Callable[..., object], args: Args, once: Once, /) -> Timer: ...
    def call_cron(
        self, expression: str, function: Callable[..., object], args: Args, once: Once, timezone: str | None, /
    ) -> Timer: ...


class WorkerThreads(Protocol):
    """What a worker needs to call functions in threads."""

    def run(
        self, plugin: str, function: Callable[..., T], args: Args, on_result: OnResult[T], on_error: OnError, /
    ) -> ThreadTask[T]: ...


class WorkerMetrics(Protocol):
    """What a worker needs to count."""

    def counter(self, plugin: str, name: str, /) -> Counter: ...
    def shared_counter(self, plugin: str, name: str, /) -> SharedCounter: ...


class WorkerOutbound(Protocol):
    """What a worker needs to connect to other hosts."""

    def connect(
        self, plugin: str, address: str, handler: object, timeout: float, tls: SSLContext | None, name: str | None, /
    ) -> ConnectAttempt: ...


class WorkerBus(Protocol):
    """What a worker needs to exchange messages with other workers."""

    def publish(self, topic: str, data: bytes, /) -> None: ...
    def subscribe(self, plugin: str, pattern: str, function: Callable[[str, bytes], object], /) -> Subscription: ...
    def send_to(self, group: str, data: bytes, exclude: Connection | None, local: bool, /) -> None: ...
    def send_to_ref(self, ref: str, data: bytes, /) -> bool: ...
    def close_ref(self, ref: str, /) -> bool: ...
    def presence(self, group: str, /) -> list[Member]: ...
    def keep_history(self, pattern: str, messages: int, seconds: float | None, /) -> None: ...
    def history(self, plugin: str, group: str, most: int, on_result: OnResult[list[bytes]], /) -> HistoryRequest: ...


class WorkerRole(Protocol):
    """What a worker knows of its place in the host."""

    @property
    def count(self) -> int: ...
    @property
    def is_leader(self) -> bool: ...


class WorkerSoon(Protocol):
    """What a worker needs to call functions from other threads."""

    def add(self, plugin: str, function: Callable[..., object], args: Args, /) -> None: ...


class HasFileno(Protocol):
    """An object with a file descriptor, such as a socket or a pipe."""

    def fileno(self) -> int: ...


class WorkerWatches(Protocol):
    """What a worker needs to watch descriptors."""

    def watch(
        self,
        plugin: str,
        file: int | HasFileno,
        on_readable: Callable[[], object] | None,
        on_writable: Callable[[], object] | None,
        /,
    ) -> Watch: ...


class Watch(Protocol):
    """A descriptor that is watched, as `worker.watch` returns it."""

    def cancel(self) -> None:
        """Call the functions no more; does nothing the second time."""


class WorkerHolds(Protocol):
    """What a worker needs to be kept from leaving."""

    def hold(self, plugin: str, reason: str, on_drain: Callable[[], object] | None, /) -> WorkerHold: ...


class WorkerHold(Protocol):
    """What keeps a worker from leaving, as `worker.hold` returns it; a `with` block releases it at its end."""

    @property
    def active(self) -> bool:
        """Whether the worker waits for it: neither was it released, nor has the worker left because of its deadline."""

    def release(self) -> None:
        """Let the worker leave; does nothing the second time.

        Raises:
            RuntimeError: it was called in another thread than that of the loop.
        """

    def __enter__(self) -> Self: ...
    def __exit__(self, *raised: object) -> None: ...


class Subscription(Protocol):
    """A function that is called with the messages of topics, as `worker.subscribe` returns it."""

    def cancel(self) -> None:
        """Call the function no more, also not with messages that have arrived already."""
