"""The client's end of the control socket, for a command that waits and for a screen that must not.

A request is `{"verb": NAME, ...}` on one line. The reply is any number of messages with `progress` or `rows`, then one
with a `status`, an exit status, which ends it. `reactorhost.master.admin.control_server` is the other end.

A reply is acted on: a `restart` executes what the host says. So no request is sent to a process of another user.

Nothing here imports the reactor: a command pays for every module that it loads.
"""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from reactorhost.ipc.messages import Message, MessageDecoder
from reactorhost.system.ownership import is_trusted, peer, user_name

CONTROL_SOCKET = "control.sock"
"""The file name of the control socket in the run directory."""

_READ_BYTES = 262_144


class ForeignHostError(PermissionError):
    """The process that listens on a control socket belongs to a user that this process does not trust."""

    def __init__(self, uid: int) -> None:
        super().__init__(errno.EACCES, f"it belongs to user {user_name(uid)}")
        self.uid = uid


class ControlClient:
    """One connection to a control socket.

    Args:
        path: the socket.
        timeout: how long a call may block, in seconds. None means without limit. With 0 no call blocks: wait for
            `socket` to become readable, then call `receive`.

    Attributes:
        socket: the connected socket; its timeout may be changed.

    Raises:
        ForeignHostError: another user listens there.
        OSError: the host does not listen there, or this user may not connect.
    """

    def __init__(self, path: Path, timeout: float | None = None) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._decoder = MessageDecoder()
        try:
            self.socket.settimeout(timeout)
            self.socket.connect(str(path))
            # Of the process, not of the file: a link in a foreign directory can lead to any socket.
            _, uid, _ = peer(self.socket)
            if not is_trusted(uid):
                raise ForeignHostError(uid)
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def send(self, verb: str, **fields: object) -> None:
        """Send a request.

        Raises:
            OSError: the host is gone, or does not read.
        """
        # Without a timeout this cannot block for long: a request is shorter than the buffer of a unix socket (212,992
        # bytes by default). With 0 a full buffer raises BlockingIOError, after which the line may be cut: close then.
        self.socket.sendall(json.dumps({"verb": verb, **fields}).encode() + b"\n")

    def receive(self) -> list[Message]:
        """Return the messages that are complete after one read, which may be none.

        Raises:
            ConnectionError: the host closed the connection, or sent something else than messages.
            TimeoutError: nothing arrived in time.
        """
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise ConnectionResetError("the host closed the connection")
        return list(self._decoder.feed(data))

    def replies(self, verb: str, **fields: object) -> Iterator[Message]:
        """Send a request and yield the messages of the reply; the last one has a `status`.

        Raises:
            ConnectionError: the host closed the connection before that.
            TimeoutError: nothing arrived in time.
        """
        # A host that ends closes the connection, which raises here: a reply without a `status` is never complete.
        self.send(verb, **fields)
        while True:
            for message in self.receive():
                yield message
                if "status" in message:
                    return

    def close(self) -> None:
        """Close the connection. The host goes on with a request that it has begun."""
        self.socket.close()
