"""A part of a file in the send buffer of a connection.

The kernel copies it to a plain socket (sendfile(2)). For TLS, and where the kernel cannot do that, it is read in
pieces. A piece is kept until the socket has accepted all of it: after a BlockingIOError TLS requires the same bytes
again, and the file may have changed by then.
"""

from __future__ import annotations

import io
import os
import socket
import stat
from collections.abc import Callable
from typing import Any

from reactorhost.worker.stream.socket import StreamSocket

# More at once was not faster, and one client must not keep the others waiting.
_LARGEST_SENDFILE = 1024 * 1024
_PIECE_BYTES = 64 * 1024


class FilePartError(ConnectionError):
    """The rest of a file cannot be read, so the connection has failed for the client.

    Attributes:
        plugin: name of the plugin that sends the file, or `?`.
    """

    def __init__(self, plugin: str, message: str) -> None:
        super().__init__(message)
        self.plugin = plugin


class FilePart:
    """A part of a regular file, and how much of it is left.

    `on_end` is called once, with whether the kernel has accepted all of it. The plugin's own descriptor is used until
    `keep`.

    Attributes:
        left: bytes that were not sent yet.
    """

    __slots__ = ("_by_kernel", "_descriptor", "_is_kept", "_offset", "_on_end", "_piece", "_plugin", "left")

    def __init__(self, descriptor: int, offset: int, count: int, plugin: str, on_end: Callable[[bool], object]) -> None:
        self.left = count
        self._plugin = plugin
        self._descriptor = descriptor
        self._is_kept = False
        self._offset = offset
        self._on_end = on_end
        self._by_kernel = True
        self._piece = memoryview(b"")

    def send(self, sock: StreamSocket) -> int:
        """Send the next bytes; returns how many the kernel has accepted.

        Raises:
            BlockingIOError: it accepts nothing now.
            FilePartError: the file cannot be read.
            OSError: the connection failed.
        """
        if self._by_kernel and isinstance(sock, socket.SocketType):
            try:
                sent = os.sendfile(sock.fileno(), self._descriptor, self._offset, min(self.left, _LARGEST_SENDFILE))
            except BlockingIOError:
                raise
            except OSError:
                # Of the file, of the socket, or because the file system does not support it: the other way shows.
                self._by_kernel = False
            else:
                if not sent:
                    raise self._truncated()
                return self._sent(sent)
        if not self._piece:
            self._piece = memoryview(self._read())
        sent = sock.send(self._piece)
        self._piece = self._piece[sent:]
        return self._sent(sent)

    def keep(self) -> None:
        """Duplicate the descriptor, because the plugin may close its own.

        Raises:
            FilePartError: there is no descriptor left.
        """
        try:
            self._descriptor = os.dup(self._descriptor)
        except OSError as error:
            raise FilePartError(self._plugin, f"a file cannot be kept open until it is sent: {error}") from error
        self._is_kept = True

    def end(self, *, is_sent: bool) -> None:
        """Close the duplicate, and call `on_end`; to be called once."""
        if self._is_kept:
            os.close(self._descriptor)
        self._on_end(is_sent)

    def _sent(self, sent: int) -> int:
        self._offset += sent
        self.left -= sent
        return sent

    def _read(self) -> bytes:
        try:
            piece = os.pread(self._descriptor, min(self.left, _PIECE_BYTES), self._offset)
        except OSError as error:
            raise FilePartError(self._plugin, f"a file that is being sent cannot be read: {error}") from error
        if not piece:
            raise self._truncated()
        return piece

    def _truncated(self) -> FilePartError:
        what = f"a file that is being sent has become shorter, and {self.left} bytes are missing"
        return FilePartError(self._plugin, what)


def checked_part(file: Any, offset: int, count: int | None) -> tuple[int, int, int]:
    """Return descriptor, offset and count of a part of a plugin's file.

    Raises:
        TypeError: it is not a binary file that is open for reading, or a number is of another type.
        ValueError: it is not a regular file, or the part is not within it.
    """
    for name, number in (("offset", offset), ("count", 0 if count is None else count)):
        if not isinstance(number, int) or isinstance(number, bool):
            raise TypeError(f"{name} must be a whole number, not {number!r}")
        if number < 0:
            raise ValueError(f"{name} must not be negative, as {number} is")
    descriptor = _descriptor_of(file)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"send_file sends regular files, and {file!r} is not one")
    left = status.st_size - offset
    if left < 0 or (count is not None and count > left):
        part = f"offset {offset}" if count is None else f"offset {offset} and count {count}"
        raise ValueError(f"the file has {status.st_size} bytes, and ends before {part}")
    return descriptor, offset, left if count is None else count


def _descriptor_of(file: Any) -> int:
    try:
        if not isinstance(file, io.TextIOBase) and file.readable():
            descriptor: int = file.fileno()
            return descriptor
    except (AttributeError, OSError, ValueError):
        # Without a descriptor, as BytesIO, or closed.
        pass
    raise TypeError(f"send_file takes a binary file that is open for reading, not {file!r}") from None
