"""The server of the control socket: requests and responses are JSON objects, one a line.

A request is `{"verb": NAME, ...}`. A response is any number of `{"progress": TEXT}` and `{"rows": [...]}`, then
`{"status": EXIT_STATUS, ...}`: 0 with the verb's result, or another number with `what`, `where`, `hint`, `details`.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reactorhost.errors import ReactorhostError, UsageError, did_you_mean, error_from_os
from reactorhost.ipc.jsonlines import JsonLine, Message
from reactorhost.logs import EventLog
from reactorhost.reactor import READ, Reactor
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.ownership import is_trusted, peer

_MOST_QUEUED_BYTES = 64 * 1024 * 1024
_RETRY_SECONDS = 0.5

Verb = Callable[["Session", Message], None]


class Session:
    """One client of the control socket, and the response to its request."""

    def __init__(self, line: JsonLine) -> None:
        self._line = line

    def progress(self, text: str, **fields: object) -> None:
        """Report how far the request is."""
        self._line.send({"progress": text, **fields})

    def warning(self, text: str) -> None:
        """Report what the client should know although the request goes on."""
        self._line.send({"progress": text, "warning": True})

    def rows(self, rows: list[Message]) -> None:
        """Send a part of a long result."""
        self._line.send({"rows": rows})

    def done(self, **result: object) -> None:
        """End with success."""
        self._line.send({"status": 0, **result})

    def failed(self, error: ReactorhostError) -> None:
        """End with a failure."""
        self._line.send(error.as_fields())


@dataclass(slots=True)
class ControlServer:
    """Accepts the clients of the control socket and calls the verbs that they request."""

    reactor: Reactor
    registry: ForkRegistry
    path: Path
    verbs: Mapping[str, Verb]
    log: EventLog
    _listener: socket.socket = field(
        default_factory=lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    )
    _sessions: dict[JsonLine, Session] = field(default_factory=dict)

    def open(self) -> None:
        """Listen, for this user and root only.

        Raises:
            NotPermittedError: the socket cannot be created.
        """
        self.registry.add(self._listener, self._listener.close)
        # The lock is held, so the file is one that a killed master left behind.
        self.path.unlink(missing_ok=True)
        # Not chmod after bind: in between, others could connect.
        before = os.umask(0o177)
        try:
            self._listener.bind(str(self.path))
        except OSError as error:
            # A path that is too long is refused by Python itself, without an errno.
            raise error_from_os(error, f"cannot create {self.path}", hint="use another, shorter --run-dir") from None
        finally:
            os.umask(before)
        self._listener.listen(64)
        self._watch()

    def close(self) -> None:
        """Stop listening and end every session; the reactor does not run any more."""
        self.registry.discard(self._listener)
        self._listener.close()
        for line in tuple(self._sessions):
            line.close()

    def message_received(self, line: JsonLine, message: Message) -> None:
        """Call the verb that a client requests."""
        session = self._sessions[line]
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

    def line_closed(self, line: JsonLine) -> None:
        """Forget a client that disconnected; what it requested continues."""
        self._sessions.pop(line, None)

    def _watch(self) -> None:
        self.reactor.register(self._listener.fileno(), READ, self._accept)

    def _accept(self, events: int) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                # The client stays in the queue, and the listener would be reported in every turn.
                self.reactor.unregister(self._listener.fileno())
                self.reactor.call_later(_RETRY_SECONDS, self._watch)
            # Else the client has disconnected.
            return
        # A second check beside the mode of the file, which an operator can change.
        pid, uid = peer(client)
        if not is_trusted(uid):
            self.log.warning("control_refused", pid=pid, uid=uid)
            client.close()
            return
        line = JsonLine(self.reactor, client, self, self.registry, most_queued=_MOST_QUEUED_BYTES)
        self._sessions[line] = Session(line)
