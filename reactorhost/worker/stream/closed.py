"""What a plugin's `Connection` refers to once the connection has ended and its `close` hooks have run.

Transport and connection refer to each other, so without this they and all that they hold (a framing with the bytes of
an unfinished message, a TLS session, what a plugin keeps in `connection.state`) would stay until Python's cyclic
collector runs, which buffers do not make it do. A plugin may keep the connection, and may use it as before.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from reactorhost.address import Endpoint
from reactorhost.api.close_reason import CloseReason
from reactorhost.api.file_send import FileSend
from reactorhost.api.peer_credentials import PeerCredentials
from reactorhost.api.proxy_facts import ProxyFacts
from reactorhost.api.tls_start import TlsStart
from reactorhost.framing import Framing
from reactorhost.tls.facts import TlsFacts
from reactorhost.worker.context import ServiceContext
from reactorhost.worker.hooks import task_calls
from reactorhost.worker.hooks.timers import checked_seconds
from reactorhost.worker.stream.files import refuse_file
from reactorhost.worker.stream.socket import endpoint
from reactorhost.worker.stream.starttls import not_started
from reactorhost.worker.stream.states import CLOSING

if TYPE_CHECKING:
    from ssl import SSLContext

    from reactorhost.plugins.host_task import HostTask


@dataclass(slots=True, eq=False, repr=False)
class ClosedTransport:
    """The transport of a connection that has ended: requests have no effect, and nothing can be sent."""

    context: ServiceContext
    raw_peer: Any
    local: Endpoint
    age: float
    variables: Context
    peer_credentials: PeerCredentials | None = field(default=None, init=False)
    proxy: ProxyFacts | None = field(default=None, init=False)
    framing: Framing | None = field(default=None, init=False)
    idle_timeout: float | None = field(default=None, init=False)
    # Of the class: each end of a connection makes one of these.
    queued: ClassVar[int] = 0
    held: ClassVar[int] = CLOSING
    is_open: ClassVar[bool] = False
    is_paused: ClassVar[bool] = False
    protocol: ClassVar[None] = None
    can_start_tls: ClassVar[bool] = False
    full_duplex: ClassVar[bool] = False

    @property
    def peer(self) -> Endpoint:
        """The client's end."""
        return self.raw_peer if isinstance(self.raw_peer, Endpoint) else endpoint(self.raw_peer)

    def send(self, data: bytes | bytearray | memoryview) -> bool:
        """Return False."""
        return False

    def when_drained(self, function: Callable[[bool], object]) -> None:
        """Call `function(False)`."""
        function(False)

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> NoTimer:
        """Return a timer that makes no call."""
        checked_seconds(seconds)
        return NoTimer()

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> HostTask:
        """Return a task that is cancelled from the start."""
        return task_calls.start_cancelled(coroutine, self.variables)

    def start_tls(
        self, context: SSLContext | None, server_name: str | None, on_result: Callable[[TlsFacts], object] | None
    ) -> TlsStart:
        """Return a handshake that has failed."""
        return not_started(self.variables)

    def send_file(
        self, file: BinaryIO, offset: int, count: int | None, on_result: Callable[[int], object] | None
    ) -> FileSend:
        """Return a result that raises a ConnectionError."""
        return refuse_file(file, offset, count, self.variables)

    def close(self) -> None:
        """Do nothing."""

    abort = send_eof = pause = resume = close

    def throttle(self, seconds: float) -> None:
        """Do nothing."""
        checked_seconds(seconds)

    def close_for(self, reason: CloseReason, seconds: float | None = None) -> None:
        """Do nothing."""

    def set_full_duplex(self, wanted: bool) -> None:
        """Do nothing."""

    def hold_for_hooks(self, held: bool) -> None:
        """Do nothing."""

    def set_owed(self, calls: int) -> None:
        """Do nothing."""


class NoTimer:
    """A timer that was cancelled from the start."""

    __slots__ = ()

    def cancel(self) -> None:
        """Do nothing."""
