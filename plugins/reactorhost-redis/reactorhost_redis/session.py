"""One connection to Redis, which is made again whenever it breaks.

    WAITING -> CONNECTING -> GREETING -> PREPARING -> READY
       ^          |             |            |          |
       +----------+-------------+------------+----------+      back-off with jitter

GREETING is the login: `HELLO 3` with the password and the name of the connection, `SELECT`, and a `PING` whose answer
says that the server serves (one that loads its data refuses it). PREPARING is what the user of the session does first,
the subscriber its subscriptions. A session that was refused for a reason that lasts, a wrong password for example,
waits as long as it may before it tries again.

Answers come in the order of the commands, so a queue of what waits for them is all that is needed; push messages
(RESP3) are not answers. The bytes of the commands without an answer are bounded. They include what waits in the buffers
of both kernels, so a server that is stopped cannot make them grow.

Commands are sent once in a turn of the event loop, by one system call.
"""

from __future__ import annotations

import enum
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import hiredis

from reactorhost import CloseReason, ConnectFailedError, Connection, Worker
from reactorhost_redis.backoff import Backoff
from reactorhost_redis.commands import packed
from reactorhost_redis.redis_url import RedisUrl
from reactorhost_redis.refusals import RefusalLog, refusal_of

# An answer that is not complete after so many bytes is none of the bus: a hundred messages of 1 MiB fit.
MOST_ANSWER_BYTES = 256 << 20
# Those of the login are short. It is not known yet whether this is Redis at all.
MOST_LOGIN_BYTES = 1 << 20

_INCOMPLETE = object()
_CHECKS_UNTIL_BROKEN = 2

OnAnswer = Callable[[object, Any], object]
"""Called with an answer, an error of Redis (`hiredis.ReplyError`) or `LOST`, and with what was passed to `send`."""

LOST = object()
"""In place of the answer to a command whose connection broke first."""


class SessionState(enum.Enum):
    """How far a session has got."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    GREETING = "greeting"
    PREPARING = "preparing"
    READY = "ready"
    STOPPED = "stopped"


class SessionUser(Protocol):
    """What uses a session."""

    def prepare(self) -> None:
        """Send what has to be answered before the session is ready, then call its `ready`."""

    def pushed(self, message: list[Any]) -> None:
        """Handle a push message."""

    def broke(self) -> None:
        """Handle that the connection broke: nothing more will arrive on it."""

    def leave(self) -> None:
        """Send what waits for something: the worker is about to exit."""


class Session:
    """One connection to Redis.

    `on_change` is called after each change of the state, with the reason if the connection broke or was refused. While
    `may_connect` returns False it waits for `start`, however long it has waited already.

    Attributes:
        state: how far it has got.
    """

    # Set by `RedisBackend`, since user and session need each other.
    user: SessionUser

    def __init__(
        self,
        worker: Worker,
        url: RedisUrl,
        tls: ssl.SSLContext | None,
        name: str,
        refusals: RefusalLog,
        on_change: Callable[[str], object],
        may_connect: Callable[[], bool] = lambda: True,
    ) -> None:
        self.state = SessionState.WAITING
        self._worker = worker
        self._url = url
        self._tls = tls
        self._name = name
        self._refusals = refusals
        self._on_change = on_change
        self._may_connect = may_connect
        self._backoff = Backoff(url.retry)
        self._wire: _Wire | None = None
        self._waiting_answers: deque[tuple[int, OnAnswer, Any]] = deque()
        self._unanswered_bytes = 0
        self._unsent: list[bytes] = []
        self._ready_at = 0.0

    def start(self) -> None:
        """Connect, and connect again whenever the connection breaks, until `stop`."""
        self.state = SessionState.CONNECTING
        url = self._url
        wire = self._wire = _Wire(self, url.timeout / _CHECKS_UNTIL_BROKEN)
        try:
            self._worker.connect(url.address, wire, timeout=url.timeout, tls=self._tls, server_name=url.server_name)
        except ConnectFailedError:
            # The worker is about to exit.
            self.stop()

    def stop(self) -> None:
        """Send what waits, and disconnect."""
        wire, self._wire = self._wire, None
        self.state = SessionState.STOPPED
        if wire is not None and wire.connection is not None:
            self.flush(wire.connection)
            wire.connection.close()
        self._end_answers()

    def fits(self, size: int) -> bool:
        """Return whether a command of this size may be sent now; one that is larger than the bound may go alone."""
        return not self._unanswered_bytes or self._unanswered_bytes + size <= self._url.max_queue

    def send(self, command: bytes, on_answer: OnAnswer, context: Any = None) -> None:
        """Send a packed command at the end of the turn; a session that is not connected loses it."""
        wire = self._wire
        if wire is None or wire.connection is None:
            on_answer(LOST, context)
            return
        self._waiting_answers.append((len(command), on_answer, context))
        self._unanswered_bytes += len(command)
        self._push(command)

    def send_unanswered(self, command: bytes) -> None:
        """Send a packed command whose answers are push messages, if the session is connected."""
        if self._wire is not None and self._wire.connection is not None:
            self._push(command)

    def ready(self) -> None:
        """End the preparation."""
        self._ready_at = self._worker.now()
        self._enter(SessionState.READY)

    def refused(self, error: Exception) -> None:
        """Break the connection because of an error of Redis."""
        refusal = refusal_of(error, self._url.without_password)
        self._refusals.report(refusal)
        self.broken(refusal.sentence, lasts=refusal.lasts)

    def broken(self, reason: str, *, lasts: bool = False) -> None:
        """Abort the connection, and connect again later."""
        wire, self._wire = self._wire, None
        if wire is None:
            return
        if wire.connection is not None:
            wire.connection.abort()
        if self.state is SessionState.READY:
            self._backoff.served(self._worker.now() - self._ready_at)
        self._worker.call_later(self._backoff.longest() if lasts else self._backoff.next(), self._start_again)
        # Before the lost answers: what is sent because of them is lost too, and not sent by a connection that is gone.
        self.state = SessionState.WAITING
        self._end_answers()
        self.user.broke()
        self._on_change(reason)

    def _start_again(self) -> None:
        if self.state is SessionState.WAITING and self._may_connect():
            self.start()

    def _end_answers(self) -> None:
        self._unsent.clear()
        lost, self._waiting_answers = self._waiting_answers, deque()
        self._unanswered_bytes = 0
        for _, on_answer, context in lost:
            on_answer(LOST, context)

    def _enter(self, state: SessionState) -> None:
        self.state = state
        self._on_change("")

    def _push(self, command: bytes) -> None:
        if not self._unsent:
            self._worker.call_later(0, self._send_all)
        self._unsent.append(command)

    def _send_all(self) -> None:
        if self._wire is not None and self._wire.connection is not None:
            self.flush(self._wire.connection)

    def flush(self, connection: Connection) -> None:
        """Send what waits now."""
        if self._unsent:
            data = b"".join(self._unsent)
            self._unsent.clear()
            connection.send(data)

    # Calls of the wire.

    def connected(self) -> None:
        """Log in."""
        self._enter(SessionState.GREETING)
        url = self._url
        login = () if url.password is None else ("AUTH", url.user or "default", url.password)
        self.send(packed("HELLO", 3, *login, "SETNAME", self._name), self._greeted)
        if url.database:
            self.send(packed("SELECT", url.database), self._greeted)
        self.send(packed("PING"), self._serves)

    def ping(self) -> None:
        """Request an answer."""
        self.send(packed("PING"), self._greeted)

    def answered(self, answer: object) -> None:
        """Pass an answer to the command that waits for it."""
        if not self._waiting_answers:
            # With the reason why the server disconnects, `maxclients` for example; or it is not Redis.
            if isinstance(answer, hiredis.ReplyError):
                self.refused(answer)
            else:
                self.broken("the server sends what was not requested; is this Redis?", lasts=True)
            return
        size, on_answer, context = self._waiting_answers.popleft()
        self._unanswered_bytes -= size
        on_answer(answer, context)

    def is_current(self, wire: _Wire) -> bool:
        """Return whether this connection is in use."""
        return self._wire is wire

    def _greeted(self, answer: object, _context: object) -> None:
        if isinstance(answer, hiredis.ReplyError):
            self.refused(answer)

    def _serves(self, answer: object, _context: object) -> None:
        if isinstance(answer, hiredis.ReplyError):
            self.refused(answer)
        elif answer is not LOST:
            self._enter(SessionState.PREPARING)
            self.user.prepare()


class _Wire:
    """The handler of one connection of a session; what it reports is ignored once the session has another one."""

    def __init__(self, session: Session, check_seconds: float) -> None:
        self.connection: Connection | None = None
        self._session = session
        self._check_seconds = check_seconds
        self._silent_checks = 0
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)

    def connect(self, connection: Connection) -> None:
        """See the hook."""
        if not self._session.is_current(self):
            connection.abort()
            return
        self.connection = connection
        connection.call_later(self._check_seconds, self._check)
        self._session.connected()

    def failed(self, error: ConnectFailedError) -> None:
        """Report that there is no connection."""
        if self._session.is_current(self):
            self._session.broken(error.reason)

    def receive(self, data: bytes) -> None:
        """Pass on what is complete."""
        self._silent_checks = 0
        session, reader = self._session, self._reader
        reader.feed(data)
        while session.is_current(self):
            try:
                reply = reader.gets()
            except hiredis.ProtocolError:
                # Without its text, which has bytes of the answer.
                session.broken("the server does not speak the protocol of Redis", lasts=True)
                return
            if reply is _INCOMPLETE:
                break
            if isinstance(reply, hiredis.PushNotification):
                session.user.pushed(reply)
            else:
                session.answered(reply)
        most = MOST_LOGIN_BYTES if session.state is SessionState.GREETING else MOST_ANSWER_BYTES
        if session.is_current(self) and reader.len() > most:
            session.broken("an answer of the server is too long", lasts=True)

    def drain(self, connection: Connection) -> None:
        """Send what waits: the worker is about to leave, and its timers are cancelled."""
        if self._session.is_current(self):
            self._session.user.leave()
            self._session.flush(connection)

    def close(self, reason: CloseReason) -> None:
        """Report that the connection broke."""
        if not self._session.is_current(self):
            return
        if reason is CloseReason.SHUTDOWN:
            # The worker is about to exit.
            self._session.stop()
        else:
            self._session.broken(_CLOSED.get(reason, f"the connection was closed: {reason}"))

    def _check(self) -> None:
        # By the number of checks and not by a clock: after a hook that has blocked the worker there is one check, and
        # what has arrived meanwhile is read before the next one.
        if not self._session.is_current(self) or self.connection is None:
            return
        if self._silent_checks >= _CHECKS_UNTIL_BROKEN:
            self._session.broken(f"the server does not answer within {_CHECKS_UNTIL_BROKEN * self._check_seconds:g} s")
            return
        if not self._silent_checks:
            self._session.ping()
        self._silent_checks += 1
        self.connection.call_later(self._check_seconds, self._check)


_CLOSED = {
    CloseReason.PEER: "the server has closed the connection",
    CloseReason.OVERFLOW: "more than max_send_buffer bytes waited for the server",
    CloseReason.ERROR: "an error in reactorhost-redis, see hook_failed in the log",
}
