"""What the connections of one service read: its limits, counters, resolved hooks, and where failures are reported.

`WorkerContext` is shared by all services of a worker. `ServiceContext` is one service as its transports see it. The
service itself (`worker.service`) makes the transports and is not visible to them, so that imports run in one direction:
service, transports, context.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import Connection, transport_of
from reactorhost.api.connection_ended import ConnectionEndedError
from reactorhost.api.peer_credentials import PeerCredentials
from reactorhost.api.proxy_facts import ProxyFacts
from reactorhost.framing import FramingError
from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.plugins.chain import Around, Chain, as_it_is
from reactorhost.plugins.guard import OnError, as_error
from reactorhost.reactor import Reactor
from reactorhost.tls.role import ServerRole, TlsRole
from reactorhost.worker.admission.address_counts import AddressCounts
from reactorhost.worker.admission.admission import Admission
from reactorhost.worker.client_log import ClientLog
from reactorhost.worker.context_protocols import Dispatcher, Memberships, ProtocolEvents
from reactorhost.worker.hooks.hook_errors import HookFailure
from reactorhost.worker.hooks.hook_timing import Timing
from reactorhost.worker.hooks.loop_thread import LoopThread
from reactorhost.worker.hooks.timers import PluginTimers
from reactorhost.worker.hooks.variables import DIRECT, HookRunner
from reactorhost.worker.throttles import Throttles

if TYPE_CHECKING:
    from reactorhost.worker.hooks.hook_queues import HookQueues

Resolve = Callable[[OnError, Around], Chain]
"""Makes a chain: called with the callback for exceptions and with the wrapper for each hook."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a service's connections.

    Attributes:
        close_timeout: seconds without progress that a connection may take while it is closed.
        idle_timeout: seconds without traffic that end a connection, or None.
        max_send_buffer: bytes that may be queued for a client that does not read.
        handshake_timeout: seconds for everything that comes before `connect`.
        max_datagram: bytes of the longest datagram that is accepted.
        message_timeout: seconds within which a message that has begun must be complete, or None.
    """

    close_timeout: float = 10.0
    idle_timeout: float | None = None
    max_send_buffer: int = 16 << 20
    handshake_timeout: float = 10.0
    max_datagram: int = 65535
    message_timeout: float | None = None


@dataclass(slots=True, eq=False, repr=False)
class WorkerContext:
    """State that all services of a worker share.

    Attributes:
        counters: those of the worker; what every message adds to are those of `dispatcher`.
        dispatcher: dispatches the messages of one service, which has its own, or of all outbound connections.
        ids: the numbers of connections.
        variables: the context of `worker_start` and of the worker's other hooks; a new connection has a copy of it.
        hook_failed: called with every exception of a plugin's code.
        groups: the groups that connections have joined.
        address_counts: returns the counts of connections by address, for a service that limits them.
        throttles: the connections that plugins have throttled.
        hook_queues: run the hooks of services with async hooks; None in a worker without any.
    """

    reactor: Reactor
    counters: Counters
    dispatcher: Dispatcher
    ids: itertools.count[int]
    variables: Context
    loop_thread: LoopThread
    hook_failed: HookFailure
    timing: Timing
    log: EventLog
    groups: Memberships
    address_counts: Callable[[], AddressCounts]
    throttles: Throttles
    hook_queues: HookQueues | None = None


class ServiceContext:
    """One service, as its transports see it.

    Attributes:
        chain: the resolved hooks.
        receive: `chain.receive`; with one plugin it is the plugin's own function, except while calls are timed.
        counters: plain attributes of this service that every message adds to.
        groups: the groups that connections of the worker have joined.
        throttles: the connections of the worker that plugins have throttled.
        hook_queues: the worker's, if a hook of this service is async; else None.
        protocols: the asyncio protocols of its connections, or None.
        variables: copied for each connection.
        draining: whether the worker is about to leave, and the `drain` hooks are or were called.
        loop_thread: the only one in which plugins may use connections; `check_thread` is its `check`.
        credentials: those of unix peers whose sockets are closed, by connection, while `close` hooks are due; None in a
            service without unix sockets.
        proxies: what the PROXY headers of connections say, by connection.
        on_closed: called with each transport whose socket is closed, after its `close` hooks have run.
        admission: which clients are admitted; None for all.
        tls_role: our side of TLS on connections that begin in plain text, with the defaults for it.
    """

    def __init__(self, name: str, worker: WorkerContext, limits: Limits, resolve: Resolve) -> None:
        self.name = name
        self.limits = limits
        # Copied from `worker`: every message reads these, and one attribute access less is measurable.
        self.reactor = worker.reactor
        self.dispatcher = worker.dispatcher
        self.counters = worker.dispatcher.counters
        self.log = worker.log
        self.groups = worker.groups
        self.throttles = worker.throttles
        self.hook_queues: HookQueues | None = None
        self.protocols: ProtocolEvents | None = None
        self.admission: Admission | None = None
        # Few connections have them, and a slot would make every idle one larger.
        self.credentials: dict[int, PeerCredentials] | None = None
        self.proxies: dict[int, ProxyFacts] = {}
        self.on_closed: Callable[[Any], object] = _ignore
        self.tls_role: TlsRole = ServerRole()
        self.variables = worker.variables
        self.draining = False
        self.loop_thread = worker.loop_thread
        self.check_thread = worker.loop_thread.check
        self._worker = worker
        self._resolve = resolve
        self._plain = self.chain = self._queued(resolve(self.hook_failed, as_it_is))
        self.receive = self.chain.receive

    @cached_property
    def client_log(self) -> ClientLog:
        """The log lines about its clients."""
        # Not in the constructor: few outbound connections, each with a context of its own, cause a line.
        return ClientLog(self.name, self.reactor, self.log)

    def _queued(self, chain: Chain) -> Chain:
        """Return a chain whose coroutine functions run in hook queues; a plain chain is returned as it is."""
        if not chain.awaits:
            return chain
        self.hook_queues = self._worker.hook_queues
        assert self.hook_queues is not None, "a worker with async plugins has hook queues"
        return self.hook_queues.adapted(chain, self.hook_raised)

    def set_timed(self, timed: bool) -> None:
        """Switch between the timed and the plain hooks."""
        self.chain = self._timed if timed else self._plain
        self.receive = self.chain.receive

    @cached_property
    def _timed(self) -> Chain:
        # Not in the constructor: an outbound connection has a context of its own, which is never timed.
        timed = self._resolve(self.hook_failed, self._worker.timing.around)
        return self._queued(replace(timed, receive=self._worker.timing.around_receive(timed.receive)))

    def drop_hooks(self) -> None:
        """Release the hooks of an outbound connection that has ended: they refer to this object."""
        # What is left of its tasks may still raise, and is reported under its plugin.
        self._plain = self.chain = self.chain.without_hooks()
        self.receive = self.chain.receive

    def runner(self, variables: Context) -> HookRunner:
        """Return what calls the hooks of a connection with this context."""
        return variables if self.hook_queues is None else DIRECT

    # The worker's counters of connections are added to as well: they limit how many it accepts.

    def client_accepted(self) -> None:
        """Count an accepted client, which has a connection or a pending handshake until `client_ended`."""
        for counters in (self.counters, self._worker.counters):
            counters.accepted += 1
            counters.connections += 1

    def client_ended(self) -> None:
        """Count the end of a connection, or of a handshake that leads to none."""
        self.counters.connections -= 1
        self._worker.counters.connections -= 1

    def client_refused(self) -> None:
        """Count that a client was refused."""
        self.counters.refused += 1
        self._worker.counters.refused += 1

    def drain(self, transport: Any) -> None:
        """Call the `drain` hooks of a connection, if it is open."""
        if self.chain.has_drain and transport.is_open:
            transport.runner.run(self.chain.drain, transport.connection)

    # Failures.

    def hook_failed(self, plugin: str, hook: str, connection: Connection, error: Exception) -> None:
        """Report an exception of a plugin's code and close its connection."""
        if isinstance(error, ConnectionEndedError) and error.variables is transport_of(connection).variables:
            # A hook that awaits something need not catch what the client has caused.
            return
        self.counters.hook_errors += 1
        self._worker.hook_failed(plugin, hook, connection, error)
        transport_of(connection).close_for(CloseReason.ERROR)

    def hook_raised(self, hook: str, connection: Connection, raised: BaseException) -> None:
        """Report what a hook or a plugin's framing raised, under the plugin that the exception comes from."""
        self.hook_failed(self.chain.plugin_of(raised), hook, connection, as_error(raised))

    def session_raised(self, raised: BaseException) -> None:
        """Report what a framing raised in the opening handshake of a session, before there is a connection."""
        self.counters.hook_errors += 1
        self._worker.hook_failed(self.chain.plugin_of(raised), "framing", None, as_error(raised))

    def new_timers(
        self, connection: Connection, variables: Context, on_idle: Callable[[], object] | None = None
    ) -> PluginTimers:
        """Return the timers and tasks of a connection; an exception of a timer closes it."""
        return PluginTimers(self.reactor, partial(self._timer_failed, connection), on_idle, variables, connection)

    def _timer_failed(self, connection: Connection, error: Exception) -> None:
        self.hook_failed(self.chain.plugin_of(error), "timer", connection, error)

    def task_failed(self, connection: Connection) -> Callable[[Exception], None]:
        """Return what reports an exception of a task that is made now, under the plugin that makes it."""
        return partial(self._task_failed, self.chain.caller(), connection)

    def _task_failed(self, plugin: str | None, connection: Connection, error: Exception) -> None:
        self.hook_failed(plugin or self.chain.plugin_of(error), "task", connection, error)

    def framing_broken(self, connection: Connection, error: FramingError) -> None:
        """Log that a client's bytes do not fit the framing, and close its connection."""
        self.client_log.framing_broken(connection, str(error))
        transport_of(connection).close_for(CloseReason.FRAMING)

    def message_late(self, connection: Connection) -> None:
        """Log that a client is disconnected because its message was not complete in time, and close its connection."""
        self.counters.late_messages += 1
        assert self.limits.message_timeout is not None
        self.client_log.message_late(connection, self.limits.message_timeout)
        transport_of(connection).close_for(CloseReason.TIMEOUT)

    def overflowed(self, connection: Connection) -> None:
        """Log that a client is disconnected because it does not read what it is sent."""
        self.client_log.overflowed(connection, self.limits.max_send_buffer)

    # Pauses and ends.

    def drain_runs(self, connection: Connection) -> bool:
        """Return whether an async `drain` of a connection runs, which keeps it open as a hook that is owed does."""
        return self.draining and self.hook_queues is not None and self.hook_queues.drain_runs(connection)

    def plugin_closes(self, connection: Connection) -> None:
        """Note which async hook closes an open connection."""
        if self.hook_queues is not None:
            self.hook_queues.plugin_closes(connection)

    def input_waits(self, connection: Connection) -> bool:
        """Return whether input of a connection waits for an async hook, or in the reader of a stream handler."""
        if self.hook_queues is not None and self.hook_queues.input_waits(connection):
            return True
        return self.protocols is not None and self.protocols.holds_input(connection)

    def resumed(self, connection: Connection) -> None:
        """Run, at the end of this turn, what a pause or throttle has held in the queue of a connection's hooks."""
        if self.hook_queues is not None:
            self.reactor.call_soon(self.hook_queues.resumed, connection)

    def closed(self, transport: Any, reason: CloseReason) -> None:
        """Call the `close` hooks of a connection whose socket is closed, then `on_closed`."""
        connection: Connection = transport.connection
        if self.hook_queues is None:
            transport.variables.run(self.chain.close, connection, reason)
            self.on_closed(transport)
        else:
            self.hook_queues.finish(
                connection,
                reason,
                self.chain.close,
                lambda: self.on_closed(transport),
                self.limits.close_timeout,
            )


def _ignore(transport: Any) -> None:
    """Do nothing; the default of `ServiceContext.on_closed`."""
