"""The bus between hosts: from the `Outbound` and `Inbound` of a worker to the `Backend` that carries its messages.

    publish -> sequence number, envelope -> Backend.publish(key)          keys `t:TOPIC` and `g:GROUP`
    Backend -> received -> own host? other version? seen before?  -> Inbound.message
                                                      something missing -> Inbound.missed, or with history: read again

Keys of its own carry frames: `p:` what every worker of the other hosts reads, its presence above all, and `w:` and the
worker what only this one reads.

A message that is not sent is not lost without notice. Its number is used up, so that the next message with its key
shows the gap. A receiver whose connection was lost in between would not see it, therefore a notice is owed too: see
`Notices`.

After a connection that was lost, everything may be missing: see `Recovery`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from reactorhost.bus import frames
from reactorhost.bus.backend import Backend, BackendState
from reactorhost.bus.envelope import Envelope, EnvelopeError, EnvelopeFlags, is_from, opened, sealed
from reactorhost.bus.frame_decoder import FrameDecoder, FrameError
from reactorhost.bus.names import GROUP, TOPIC
from reactorhost.bus.numbers import Arrival, Numbers, ReceivedNumbers
from reactorhost.bus.patterns import PatternMap
from reactorhost.bus.refs import Origin
from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor, TimerHandle
from reactorhost.system.rate_limit import RateLimit
from reactorhost.worker.bus.contract import HEARTBEATS_A_PERIOD, Inbound, KeptHistory
from reactorhost.worker.bus.drops import Drops
from reactorhost.worker.bus.remote.notices import Notices
from reactorhost.worker.bus.remote.recovery import Recovery
from reactorhost.worker.bus.remote.remote_workers import RemoteWorkers
from reactorhost.worker.bus.unlinked import UnlinkedWorkers

ALL_WORKERS = "p:"
_LINE_SECONDS = 60.0
_MOST_WAITING_BYTES = 1 << 20
_NOT_CONNECTED = "the server is not connected yet"
_FULL = "too much waits for the server"
_REFUSED = "the server has refused to pass them on or to store them"

_NO_FLAGS = EnvelopeFlags(0)


class BackendBridge:
    """The way of one worker to those of other hosts.

    Attributes:
        state: that of the connection; `reason` is why it is not up, and `since` the time of the change.
    """

    def __init__(
        self,
        own: Origin,
        backend: Backend,
        reactor: Reactor,
        inbound: Inbound,
        history: KeptHistory,
        counters: Counters,
        log: EventLog,
        *,
        down_period: float,
        on_state: Callable[[BackendState, str], object] = lambda state, reason: None,
    ) -> None:
        self.state = BackendState.CONNECTING
        self.reason = ""
        self.since = reactor.now
        self._own = own
        self._backend = backend
        self._reactor = reactor
        self._inbound = inbound
        self._counters = counters
        self._log = log
        self._keep_of = history.keep_of
        self._on_state = on_state
        self._drops = Drops(reactor, counters, log)
        self._unreadable_lines = RateLimit(1, _LINE_SECONDS)
        self._sent = Numbers()
        self._seen = ReceivedNumbers()
        self._wanted: PatternMap[None] = PatternMap()
        self._notices = Notices(lambda: reactor.now, self._send_notice)
        self._was_down = False
        # What was dropped before is of no concern here, or was reported.
        self._reported_at = reactor.now
        self._remote = RemoteWorkers(inbound, self._send_frames)
        self._unlinked = UnlinkedWorkers(reactor, _MOST_WAITING_BYTES, down_period, _not_there)
        # Until the workers of other hosts have had time to answer; then one that is not known has ended.
        self._learning = True
        self._recovery = Recovery(own.host, self.stored, self._seen, inbound, history.keep_of)
        self._beat_seconds = down_period / HEARTBEATS_A_PERIOD
        self._timer: TimerHandle | None = None
        history.read_stored = self._read_messages

    def start(self) -> None:
        """Connect."""
        self._backend.subscribe(ALL_WORKERS)
        self._backend.subscribe(_only(self._own))
        self._backend.start(self)
        self._timer = self._reactor.call_later(self._beat_seconds, self._beat)

    # `Outbound`.

    def want(self, pattern: str) -> None:
        """Receive the messages of a key or of a pattern of keys."""
        self._wanted[pattern] = None
        self._backend.subscribe(pattern)

    def drop(self, pattern: str) -> None:
        """Revoke `want`."""
        if pattern in self._wanted:
            del self._wanted[pattern]
        self._backend.unsubscribe(pattern)
        # A number that is missed from now on is not missing.
        if not pattern.endswith("*"):
            self._forget(pattern)
            return
        for key in self._seen.known_keys():
            self._forget(key)

    def publish(self, key: str, number: int, data: bytes) -> None:
        """Send a message to the workers of other hosts that want its key."""
        flags = EnvelopeFlags.BEGINS if self._sent.last(key) is None else _NO_FLAGS
        noticed = not self._notices or self._notices.send_before(key)
        sequence = self._sent.next(key)
        payload = sealed(Envelope(self._own.host, self._own.worker, flags, sequence, number, data))
        if not (noticed and self._backend.publish(key, payload, self._keep_of(key))):
            reason = self.reason or (_NOT_CONNECTED if self.state is BackendState.CONNECTING else _FULL)
            self._dropped((key,), 1, reason)

    def set_member(self, member: str, info: bytes | None) -> None:
        """Change the own PRESENCE."""
        self._remote.set_member(member, info)

    def to_connection(self, origin: Origin, number: int, data: bytes | None) -> bool:
        """Send a message for one connection of a worker; False: the worker is gone, or the message is dropped."""
        frame = frames.to_connection(number, data)
        if self._remote.knows(origin):
            return self._send_frames(origin, frame)
        return self._learning and not self._remote.has_ended(origin) and self._unlinked.keep(origin, frame)

    def presence(self) -> Iterable[tuple[Origin, Mapping[str, bytes]]]:
        """Return the PRESENCE of every worker of another host."""
        return self._remote.presence()

    def push(self, messages: Iterable[bytes], unless: Container[Origin]) -> None:
        """Do nothing: other hosts have a history of their own, or that of the backend."""

    def report_ended(self, worker: Origin, in_order: bool) -> bool:
        """Notify the other hosts that another worker of this one has ended; returns False if that was not sent."""
        return self.state is BackendState.UP and self._send_frames(None, frames.ended(worker.worker, in_order=in_order))

    def leave(self) -> None:
        """Notify the other hosts that the members of this worker leave, before the backend's connections are closed."""
        self._remote.leave()

    def stop(self) -> None:
        """Send what waits if that is possible at once, and disconnect."""
        if self._timer is not None:
            self._timer.cancel()
        self._unlinked.stop()
        self._backend.stop()
        self._drops.finish()

    def stored(self, key: str, most: int, on_result: Callable[[list[Envelope] | None], object]) -> None:
        """Read the newest messages of a key that the backend has stored, those of this host too."""

        def read(payloads: Sequence[bytes] | None) -> None:
            opened_ones = None if payloads is None else [each for each in map(self._open, payloads) if each is not None]
            on_result(opened_ones)

        self._backend.stored(key, most, read)

    def _read_messages(self, key: str, most: int, on_result: Callable[[Sequence[bytes] | None], object]) -> None:
        def read(found: list[Envelope] | None) -> None:
            on_result(None if found is None else [envelope.data for envelope in found])

        self.stored(key, most, read)

    # `BackendLink`.

    def received(self, key: str, payload: bytes) -> None:
        """Handle a payload."""
        if is_from(self._own.host, payload):
            return
        envelope = self._open(payload)
        if envelope is None:
            return
        kind = key[:2]
        if kind in (TOPIC, GROUP):
            # It may come after `drop`.
            if self._wanted.matching(key):
                self._message(key, envelope)
        elif envelope.is_notice:
            self._notice_for_all(envelope)
        elif key == ALL_WORKERS or key == _only(self._own):
            self._frames(envelope)

    def state_changed(self, state: BackendState, reason: str = "") -> None:
        """Note the state; after the connection was down, notify of what may be missing."""
        before, self.state, self.reason = self.state, state, reason
        if before is not state:
            self.since = self._reactor.now
        if state is BackendState.DOWN:
            self._was_down = True
        elif state is BackendState.UP:
            self._remote.introduce()
            self._notices.send()
            if self._was_down:
                self._was_down = False
                self._reported_at = self._reactor.now
                self._seen.interrupt()
                self._recovery.begin(list(self._wanted))
        self._on_state(state, reason)

    def lost(self, keys: Sequence[str] | None, count: int) -> None:
        """Count messages that were dropped, and owe their receivers a notice."""
        self._dropped(keys, count, self.reason or _REFUSED)

    def _dropped(self, keys: Sequence[str] | None, count: int, reason: str) -> None:
        self._drops.add(None, {"to": "other hosts", "key": keys[0] if keys else "?", "reason": reason}, count)
        self._notices.owe(None if keys is None else (key for key in keys if key.startswith((TOPIC, GROUP))))

    # What arrives.

    def _message(self, key: str, envelope: Envelope) -> None:
        if self._recovery.holds(key, envelope):
            return
        origin = envelope.origin
        arrival = self._seen.arrival(key, origin, envelope.sequence, begins=envelope.begins)
        if arrival is Arrival.REPEATED:
            return
        last = self._seen.last(key, origin)
        kept = self._keep_of(key) is not None
        # A key with history was reported as recovered before it was known what its publisher has dropped.
        missing = (kept or not self._is_reported(envelope)) if envelope.is_notice else arrival is Arrival.AFTER_GAP
        if missing:
            if kept and last is not None:
                self._recovery.begin_with(key, envelope)
                return
            self._counters.bus_dropped += 1 if last is None else envelope.sequence - last - (not envelope.is_notice)
            self._inbound.missed(origin, (key,), False)
        self._seen.note(key, origin, envelope.sequence)
        if not envelope.is_notice:
            self._inbound.message(origin, key, envelope.number, envelope.data)

    def _notice_for_all(self, envelope: Envelope) -> None:
        if not self._is_reported(envelope):
            self._inbound.missed(envelope.origin, None, False)
            return
        kept = [key for key in self._seen.known_keys() if self._keep_of(key) is not None]
        if kept:
            self._inbound.missed(envelope.origin, kept, False)

    def _is_reported(self, notice: Envelope) -> bool:
        """Return whether the outage in which the messages of a notice were dropped is reported here, or will be."""
        return self._was_down or notice.dropped_seconds > self._reactor.now - self._reported_at

    def _frames(self, envelope: Envelope) -> None:
        origin = envelope.origin
        try:
            for frame in FrameDecoder().feed(envelope.data):
                if isinstance(frame, frames.ToConnection):
                    self._inbound.to_connection(frame.connection, frame.data)
                elif isinstance(frame, frames.Ended):
                    worker = Origin(origin.host, frame.worker)
                    if self._remote.end(worker) and not frame.in_order:
                        self._inbound.missed(worker, None, False)
                else:
                    self._remote.received(origin, frame)
                    self._send_waiting(origin)
        except FrameError as error:
            self._refuse(str(error))

    def _open(self, payload: bytes) -> Envelope | None:
        try:
            return opened(payload)
        except EnvelopeError as error:
            self._refuse(str(error))
            return None

    def _refuse(self, reason: str) -> None:
        self._counters.bus_dropped += 1
        if self._unreadable_lines.admits(self._reactor.now):
            self._log.warning("bus_payload_unreadable", reason=reason)

    def _forget(self, key: str) -> None:
        if not self._wanted.matching(key):
            self._seen.forget(key)
            self._recovery.forget(key)

    # What is sent.

    def _send_frames(self, to: Origin | None, data: bytes) -> bool:
        """Send frames to a worker, or to all of other hosts with None."""
        payload = sealed(Envelope(self._own.host, self._own.worker, _NO_FLAGS, 0, 0, data))
        return self._backend.publish(ALL_WORKERS if to is None else _only(to), payload, None)

    def _send_waiting(self, origin: Origin) -> None:
        """Send what waits for a worker that is known now."""
        for frame in self._unlinked.take(origin):
            if not self._send_frames(origin, frame):
                self._drops.add(None, {"to": "other hosts", "reason": self.reason or _FULL})

    def _beat(self) -> None:
        self._timer = self._reactor.call_later(self._beat_seconds, self._beat)
        if self.state is BackendState.UP:
            if self._reactor.now - self.since >= self._beat_seconds:
                self._learning = False
            self._remote.beat()
            self._notices.send()
        self._remote.remove_silent()

    def _send_notice(self, key: str | None, seconds: float) -> bool:
        last = None if key is None else self._sent.last(key)
        # The number of a key may be forgotten.
        where = ALL_WORKERS if key is None or last is None else key
        notice = Envelope.notice(self._own, last or 0, seconds)
        return self._backend.publish(where, sealed(notice), None)


def _not_there(origin: Origin, messages: int) -> None:
    """Do nothing: the workers that there are have answered."""


def _only(origin: Origin) -> str:
    return f"w:{origin.host.hex()}-{origin.worker.hex()}"
