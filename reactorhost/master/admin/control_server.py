"""The server of the control socket: requests and responses are JSON objects, one a line.

A request is `{"verb": NAME, ...}`. A response is any number of `{"progress": TEXT}` and `{"rows": [...]}`, then
`{"status": EXIT_STATUS, ...}`: 0 with the verb's result, or another number with `what`, `where`, `hint`, `details`.

The requests of a client are carried out one after the other, at most one in a turn: a status takes milliseconds, and
the master also has workers to look after. A client that sends many waits; the others do not. Clients that request
nothing are disconnected, the one that is idle for longest as soon as another client needs its place.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reactorhost.errors import ReactorhostError, UsageError, did_you_mean, error_from_os, limit_hint
from reactorhost.ipc.jsonlines import JsonLine, Message
from reactorhost.ipc.line_state import LineState
from reactorhost.logs import EventLog
from reactorhost.master.admin.control_state import ControlState, SessionState
from reactorhost.reactor import READ, Reactor, TimerHandle
from reactorhost.system import process
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.own_file import FileState, OwnFile
from reactorhost.system.ownership import is_trusted, peer
from reactorhost.system.rate_limit import RateLimit

_MOST_QUEUED_BYTES = 64 * 1024 * 1024
_RETRY_SECONDS = 0.5
_MOST_CLIENTS = 64
# What clients leave free: for files that the master writes.
_SPARE_DESCRIPTORS = 4
_MOST_WAITING = 16
_IDLE_SECONDS = 300.0
_LINE_SECONDS = 60.0

Verb = Callable[["Session", Message], None]


class Session:
    """One client of the control socket, and the response to its request.

    Attributes:
        line: its connection.
        waiting: requests that were not begun; `busy` says whether another one was.
        active_at: when it last requested something, or got the end of a response.
    """

    def __init__(self, line: JsonLine, on_response: Callable[[Session], object]) -> None:
        self.line = line
        self.waiting: deque[Message] = deque()
        self.busy = False
        self.active_at = 0.0
        self._on_response = on_response

    def progress(self, text: str, **fields: object) -> None:
        """Report how far the request is."""
        self.line.send({"progress": text, **fields})

    def warning(self, text: str) -> None:
        """Report what the client should know although the request goes on."""
        self.line.send({"progress": text, "warning": True})

    def rows(self, rows: list[Message]) -> None:
        """Send a part of a long result."""
        self.line.send({"rows": rows})

    def done(self, **result: object) -> None:
        """End with success."""
        self._end({"status": 0, **result})

    def failed(self, error: ReactorhostError) -> None:
        """End with a failure."""
        self._end(error.as_fields())

    @property
    def idle(self) -> bool:
        """Whether the client waits for nothing."""
        return not self.busy and not self.waiting

    def _end(self, message: Message) -> None:
        self.line.send(message)
        self.busy = False
        self._on_response(self)


@dataclass(slots=True)
class ControlServer:
    """Accepts the clients of the control socket and calls the verbs that they request."""

    reactor: Reactor
    registry: ForkRegistry
    path: Path
    verbs: Mapping[str, Verb]
    log: EventLog
    _listener: socket.socket | None = None
    _file: OwnFile | None = None
    _retry: TimerHandle | None = None
    _sessions: dict[JsonLine, Session] = field(default_factory=dict)
    _lines: RateLimit = field(default_factory=lambda: RateLimit(1, _LINE_SECONDS))
    _most_clients: int = field(default_factory=lambda: process.client_limit(_MOST_CLIENTS))

    def open(self) -> None:
        """Listen, for this user and root only; called again when the file was removed.

        Raises:
            ReactorhostError: the socket cannot be created.
        """
        # Clients that connected before the file was removed wait in the queue of the socket that is replaced. Without a
        # descriptor for one of them there is none for the new socket either, and the old one stays for now.
        while self._listener is not None and self._accept_next(self._listener):
            pass
        # Not chmod after bind: in between, others could connect.
        before = os.umask(0o177)
        try:
            listener = self._bound()
        except OSError as error:
            # A path that is too long is refused by Python itself, without an errno.
            raise error_from_os(error, f"cannot create {self.path}", hint="use another, shorter --run-dir") from None
        finally:
            os.umask(before)
        self._stop_listening()
        self._listen(listener)

    def _listen(self, listener: socket.socket) -> None:
        self._listener = listener
        self.registry.add(listener, listener.close)
        self._watch()

    def export(self) -> ControlState:
        """Return the state of the socket and its clients, whose descriptors stay open."""
        sessions = tuple(
            SessionState(each.line.export(), tuple(each.waiting), each.busy, each.active_at)
            for each in self._sessions.values()
        )
        return ControlState(None if self._listener is None else self._listener.fileno(), self._file, sessions)

    def restore(self, state: ControlState) -> list[Session]:
        """Listen and serve clients in place of another program; returns them in the order of the state."""
        self._file = state.file
        if state.listener is not None:
            self._listen(socket.socket(fileno=state.listener))
        return [self._restore_session(each) for each in state.sessions]

    def _restore_session(self, state: SessionState) -> Session:
        session = self._add(socket.socket(fileno=state.line.descriptor), state.line)
        session.waiting.extend(state.waiting)
        session.busy, session.active_at = state.busy, state.active_at
        if session.waiting and not session.busy:
            self.reactor.call_soon(self._begin, session)
        return session

    def sessions(self) -> list[Session]:
        """Return the clients, in the order of the state that `export` returns."""
        return list(self._sessions.values())

    def state(self) -> FileState:
        """Return what is at the path of the socket."""
        return FileState.MISSING if self._file is None else self._file.state()

    def close(self) -> None:
        """Stop listening and end every session; the reactor does not run any more."""
        self._stop_listening()
        for line in tuple(self._sessions):
            line.close()

    def disconnect_idle(self) -> None:
        """Disconnect clients that have requested nothing for minutes; called once a second."""
        for session in tuple(self._sessions.values()):
            if session.idle and self.reactor.now - session.active_at >= _IDLE_SECONDS:
                self._disconnect(session)

    # Requests.

    def message_received(self, line: JsonLine, message: Message) -> None:
        """Add a request to those of its client."""
        session = self._sessions[line]
        if session.idle:
            self.reactor.call_soon(self._begin, session)
        session.waiting.append(message)
        line.set_reading(len(session.waiting) < _MOST_WAITING)

    def line_closed(self, line: JsonLine) -> None:
        """Forget a client that disconnected; what it requested continues."""
        session = self._sessions.pop(line, None)
        if session is not None:
            session.waiting.clear()

    def _begin(self, session: Session) -> None:
        """Carry out the next request of a client."""
        if not session.waiting:
            # It disconnected meanwhile.
            return
        message = session.waiting.popleft()
        session.line.set_reading(len(session.waiting) < _MOST_WAITING)
        session.busy, session.active_at = True, self.reactor.now
        name = str(message.get("verb"))
        verb = self.verbs.get(name)
        if verb is None:
            hint = did_you_mean(name, self.verbs) or f"verbs: {', '.join(sorted(self.verbs))}"
            session.failed(UsageError(f"there is no verb {name!r}", hint=hint))
            return
        try:
            verb(session, message)
        except ReactorhostError as error:
            session.failed(error)
        except OSError as error:
            # It concerns this request only, so the host goes on.
            session.failed(error_from_os(error, f"the request {name!r} failed", hint=limit_hint(error)))

    def _responded(self, session: Session) -> None:
        session.active_at = self.reactor.now
        if session.waiting:
            self.reactor.call_soon(self._begin, session)
        elif session.line.ended:
            session.line.close_when_sent()

    def _ended(self, line: JsonLine) -> None:
        # `nc -N` sends its request, ends its half, and waits for the response.
        if self._sessions[line].idle:
            line.close_when_sent()

    # Clients.

    def _bound(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            # The lock is held, so a file is one that a killed master left behind.
            self.path.unlink(missing_ok=True)
            listener.bind(str(self.path))
            self._file = OwnFile.at(self.path)
            listener.listen(64)
        except OSError:
            listener.close()
            raise
        return listener

    def _stop_listening(self) -> None:
        if self._listener is None:
            return
        if self._retry is None:
            self.reactor.unregister(self._listener.fileno())
        else:
            self._retry.cancel()
            self._retry = None
        self.registry.discard(self._listener)
        self._listener.close()
        self._listener = None

    def _watch(self) -> None:
        self._retry = None
        if self._listener is not None:
            self.reactor.register(self._listener.fileno(), READ, self._accept)

    def _accept(self, events: int) -> None:
        assert self._listener is not None, "only a listener that is open is watched"
        self._accept_next(self._listener)

    def _accept_next(self, listener: socket.socket) -> bool:
        """Accept a client that waits, or make room for it; returns False if there is none, or no descriptor for it."""
        try:
            client, _ = listener.accept()
        except OSError as error:
            # At the limit of descriptors the client stays in the queue. A place is made for it, or else the listener,
            # which would be reported in every turn, is not looked at for a while.
            if error.errno in (errno.EMFILE, errno.ENFILE) and self._retry is None:
                if self._make_room():
                    return True
                self.reactor.unregister(listener.fileno())
                self._retry = self.reactor.call_later(_RETRY_SECONDS, self._watch)
            # Else none waits, or the client has disconnected.
            return False
        # A second check beside the mode of the file, which an operator can change.
        pid, uid, _ = peer(client)
        if not is_trusted(uid):
            self.log.warning("control_refused", pid=pid, uid=uid)
            client.close()
            return True
        try:
            process.require_free_descriptors(_SPARE_DESCRIPTORS)
        except OSError:
            self._make_room()
        full = len(self._sessions) >= self._most_clients and not self._make_room()
        session = self._add(client)
        session.active_at = self.reactor.now
        if full:
            what = f"{len(self._sessions) - 1} clients of the control socket wait for responses"
            session.line.send(ReactorhostError(what, hint="try again later").as_fields())
            session.line.close_when_sent()
        return True

    def _add(self, client: socket.socket, state: LineState | None = None) -> Session:
        line = JsonLine(
            self.reactor,
            client,
            self,
            self.registry,
            most_queued=_MOST_QUEUED_BYTES,
            on_end=self._ended,
            state=state,
        )
        session = self._sessions[line] = Session(line, self._responded)
        return session

    def _make_room(self) -> bool:
        """Disconnect the client that is idle for longest; returns False if none is."""
        idle = [session for session in self._sessions.values() if session.idle]
        for session in sorted(idle, key=lambda session: session.active_at):
            # A request that has arrived, and was not received yet, would be lost.
            session.line.receive_within(0)
            if session.line.closed:
                return True
            if session.idle:
                self._disconnect(session)
                return True
        return False

    def _disconnect(self, session: Session) -> None:
        if self._lines.admits(self.reactor.now):
            idle, suppressed = self.reactor.now - session.active_at, self._lines.take_suppressed()
            self.log.info("control_client_disconnected", idle_seconds=round(idle, 1), suppressed=suppressed)
        session.line.close()
        self.line_closed(session.line)
