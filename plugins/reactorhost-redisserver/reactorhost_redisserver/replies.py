"""Replies in RESP2 and RESP3, as bytes. Nothing here knows connections or keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

OK = b"+OK\r\n"
QUEUED = b"+QUEUED\r\n"
ZERO = b":0\r\n"
ONE = b":1\r\n"
EMPTY_BULK = b"$0\r\n\r\n"
EMPTY_ARRAY = b"*0\r\n"
NULL_BULK = b"$-1\r\n"
NULL_ARRAY = b"*-1\r\n"
NULL = b"_\r\n"
"""The only null of RESP3."""

SYNTAX_ERROR = "ERR syntax error"


class ReplyError(Exception):
    """A command fails with this error; its text begins with the code, such as `ERR`."""

    @property
    def reply(self) -> bytes:
        """The error as it is sent."""
        return error(self.args[0])


def error(text: str) -> bytes:
    """Return an error reply. Line ends, which a client may have sent, become blanks."""
    return b"-%b\r\n" % text.translate(_BLANKS).encode("utf-8", "surrogateescape")


_BLANKS = {ord("\r"): " ", ord("\n"): " "}


def shown(word: bytes) -> str:
    """Return a word of a client as a part of an error, which ends at a NUL as in C."""
    return word.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def integer(number: int) -> bytes:
    """Return a number."""
    return b":%d\r\n" % number


def bulk(data: bytes) -> bytes:
    """Return a bulk string."""
    return b"$%d\r\n%b\r\n" % (len(data), data)


def array(replies: Sequence[bytes]) -> bytes:
    """Return an array of encoded replies."""
    return b"*%d\r\n%b" % (len(replies), b"".join(replies))


def bulks(words: Iterable[bytes]) -> bytes:
    """Return an array of bulk strings."""
    return array([bulk(word) for word in words])


def push(replies: Sequence[bytes], protocol: int) -> bytes:
    """Return a message that is no answer: in RESP2 an array like any other."""
    return b"%c%d\r\n%b" % (b">" if protocol == 3 else b"*", len(replies), b"".join(replies))


def mapping(pairs: Mapping[bytes, bytes], protocol: int) -> bytes:
    """Return a map of bulk strings to encoded replies: in RESP2 an array of both in turn."""
    encoded = b"".join([b"$%d\r\n%b\r\n%b" % (len(key), key, value) for key, value in pairs.items()])
    if protocol == 3:
        return b"%%%d\r\n%b" % (len(pairs), encoded)
    return b"*%d\r\n%b" % (2 * len(pairs), encoded)


def members(replies: Sequence[bytes], protocol: int) -> bytes:
    """Return a set of encoded replies: in RESP2 an array."""
    return b"%c%d\r\n%b" % (b"~" if protocol == 3 else b"*", len(replies), b"".join(replies))
