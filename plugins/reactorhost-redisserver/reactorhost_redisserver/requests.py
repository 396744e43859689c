"""Requests of one client: splits what arrives into commands.

A client speaks RESP from its first byte, a `*`, or sends inline commands: lines of words, as a person at a terminal
does. Inline commands may be followed by RESP. The other way round they are accepted only behind RESP that has arrived
with the first bytes of the connection, such as a login: hiredis, which parses RESP, does not report where a command
ends.

hiredis parses replies, so it accepts more than commands are made of, and it trusts an announced number of elements: it
allocates them at once. A number with more digits than `_MANY_WORDS` allows is therefore found before hiredis gets it,
by looking for the digits. hiredis is fed up to them. If it has consumed all of that, they announce elements, otherwise
they are part of a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import hiredis

from reactorhost_redisserver.words import UnbalancedQuotesError, split_words

INCOMPLETE: Final = object()
"""What `gets` returns if no command is complete."""

MOST_INLINE_BYTES = 64 * 1024
# One search for each kind: a search for a single literal is several times faster than one for a class of characters.
_MANY_WORDS = [re.compile(rb"\%c\d{7}" % kind) for kind in b"*>~|"]
_MANY_WORDS_OF_ANY_KIND = re.compile(rb"[*>~|]\d{7}")
_NUMBER_AT_THE_END = re.compile(rb"[*>~|]\d{0,6}\Z")
_LONGEST_NUMBER_AT_THE_END = 7
_NEWLINE = 0x0A
_STAR = 0x2A


class ProtocolError(Exception):
    """The client does not speak the protocol; the text is that of Redis."""


class RequestReader:
    """The commands of one client.

    Attributes:
        gets: returns the next command of what hiredis was fed, or `INCOMPLETE`. What it returns is not checked.
        pending: whether to call `advance` when `gets` returns `INCOMPLETE`, and then `gets` again.
    """

    __slots__ = ("_at", "_beginning", "_held", "_inline", "_reader", "_rest", "_stopped", "gets", "pending")

    def __init__(self) -> None:
        self._reader = hiredis.Reader(notEnoughData=INCOMPLETE)
        self.gets: Callable[[], Any] = self._reader.gets
        self.pending = False
        # The first bytes, until there are others.
        self._beginning: bytes | None = None
        self._inline = False
        # The beginning of a number of elements, which the next bytes continue.
        self._held = b""
        # What hiredis is not fed yet, from `_at` on; and whether a large number of elements seems to begin there.
        self._rest = b""
        self._at = 0
        self._stopped = False

    @property
    def incomplete_bytes(self) -> int:
        """How much is stored of a command that is not complete; a kilobyte more or less."""
        return self._reader.len()

    def feed(self, data: bytes) -> None:
        """Accept bytes as they arrived. Call it only when no complete command is left."""
        if self._beginning is None:
            self._beginning = data
            self._inline = data[0] != _STAR
        elif self._beginning:
            self._beginning = b""
        if self._inline:
            self._rest += data
            self.pending = True
            return
        if self._held:
            data = self._held + data
            self._held = b""
        if data[-1] != _NEWLINE:
            tail = _NUMBER_AT_THE_END.search(data, max(0, len(data) - _LONGEST_NUMBER_AT_THE_END))
            if tail:
                data, self._held = data[: tail.start()], data[tail.start() :]
        for pattern in _MANY_WORDS:
            if pattern.search(data):
                self._rest, self._at = data, 0
                self.pending = True
                return
        self._reader.feed(data)

    def advance(self) -> list[bytes] | None:
        """Continue with what waits, and return an inline command if there is one.

        Raises:
            ProtocolError: the client violates the protocol.
        """
        if self._inline:
            return self._next_line()
        if self._stopped and not self._reader.has_data():
            raise ProtocolError("invalid multibulk length")
        found = _MANY_WORDS_OF_ANY_KIND.search(self._rest, self._at + self._stopped)
        end = found.start() if found else len(self._rest)
        self._reader.feed(self._rest[self._at : end])
        self._at = end
        self.pending = self._stopped = found is not None
        if not found:
            self._rest = b""
        return None

    def recover(self, malformed: hiredis.ProtocolError) -> None:
        """Continue with inline commands where hiredis has failed.

        Raises:
            ProtocolError: they do not begin there.
        """
        beginning = self._beginning or b""
        at = _end_of_commands(beginning)
        if at is None:
            raise _violation(malformed)
        self._rest, self._held = beginning[at:], b""
        self._inline = self.pending = True
        self._reader = hiredis.Reader(notEnoughData=INCOMPLETE)
        self.gets = self._reader.gets

    def _next_line(self) -> list[bytes] | None:
        if self._rest[:1] == b"*":
            rest, self._rest = self._rest, b""
            self._inline = self.pending = False
            self.feed(rest)
            return None
        line, newline, rest = self._rest.partition(b"\n")
        if not newline:
            if len(line) > MOST_INLINE_BYTES:
                raise ProtocolError("too big inline request")
            self.pending = False
            return None
        self._rest = rest
        self.pending = bool(rest)
        try:
            return split_words(line.removesuffix(b"\r"))
        except UnbalancedQuotesError:
            raise ProtocolError("unbalanced quotes in request") from None


def _end_of_commands(data: bytes) -> int | None:
    """Return where the commands in RESP at the beginning of some bytes end, or None if that is not before their end."""
    at = 0
    while command := _COMMAND.match(data, at):
        at = command.end()
        for _ in range(int(command[1])):
            word = _WORD.match(data, at)
            if word is None:
                return None
            at = word.end() + int(word[1]) + 2
    return at if at < len(data) and data[at] != _STAR else None


_COMMAND = re.compile(rb"\*(\d{1,6})\r\n")
_WORD = re.compile(rb"\$(\d{1,9})\r\n")


def checked(command: object) -> list[bytes]:
    """Return the words of a command that `gets` has returned; none if there is nothing to do.

    Raises:
        ProtocolError: it is not an array of bulk strings.
    """
    if command is None:
        return []
    if type(command) is not list:
        raise ProtocolError("expected an array of bulk strings")
    for word in command:
        if type(word) is not bytes:
            raise ProtocolError("invalid bulk length" if word is None else f"expected '$', got '{_kind(word)}'")
    return command


def _kind(element: object) -> str:
    """Return the first byte of an element of RESP that is not a bulk string."""
    return next((kind for types, kind in _KINDS if isinstance(element, types)), "?")


_KINDS: list[tuple[type | tuple[type, ...], str]] = [
    (hiredis.ReplyError, "-"),
    (bool, "#"),
    (int, ":"),
    (float, ","),
    (dict, "%"),
    (hiredis.PushNotification, ">"),
    (list, "*"),
]


def _violation(malformed: hiredis.ProtocolError) -> ProtocolError:
    """Return how Redis reports what hiredis could not parse."""
    text = str(malformed)
    if "multi-bulk" in text.lower():
        return ProtocolError("invalid multibulk length")
    if "bulk string" in text.lower():
        return ProtocolError("invalid bulk length")
    found = re.search(r'got "(.+)" as reply type byte', text)
    return ProtocolError(f"expected '$', got '{found[1] if found else '?'}'")
