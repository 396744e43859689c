"""Commands for lists."""

from __future__ import annotations

import math
from collections import deque
from itertools import islice

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.commands.keys import NO_SUCH_KEY
from reactorhost_redisserver.dispatch import Command
from reactorhost_redisserver.keyspace import List, element_bytes
from reactorhost_redisserver.numbers import MOST, NOT_POSITIVE, parse_float, parse_integer
from reactorhost_redisserver.replies import (
    EMPTY_ARRAY,
    OK,
    SYNTAX_ERROR,
    ZERO,
    ReplyError,
    bulk,
    bulks,
    integer,
)
from reactorhost_redisserver.waits import Wait, popped_reply

_FOREVER = 1 << 40
"""Milliseconds, more than 30 years, for which no timer is needed."""
INDEX_OUT_OF_RANGE = "ERR index out of range"


def lpush(client: Client, words: list[bytes]) -> bytes:
    """Add elements at the beginning."""
    return _push(client, words, left=True, create=True)


def rpush(client: Client, words: list[bytes]) -> bytes:
    """Add elements at the end."""
    return _push(client, words, left=False, create=True)


def lpushx(client: Client, words: list[bytes]) -> bytes:
    """Add elements at the beginning of a list that exists."""
    return _push(client, words, left=True, create=False)


def rpushx(client: Client, words: list[bytes]) -> bytes:
    """Add elements at the end of a list that exists."""
    return _push(client, words, left=False, create=False)


def _push(client: Client, words: list[bytes], *, left: bool, create: bool) -> bytes:
    database, key, new = client.database, words[1], words[2:]
    elements = database.elements(key)
    if elements is None:
        if not create:
            return ZERO
        elements = deque(reversed(new) if left else new)
        database.store(key, elements, None)
        return integer(len(elements))
    if left:
        elements.extendleft(new)
    else:
        elements.extend(new)
    database.changed(key, element_bytes(new))
    return integer(len(elements))


def lpop(client: Client, words: list[bytes]) -> bytes:
    """Remove and return the first element, or as many as are wanted."""
    return _pop(client, words, left=True)


def rpop(client: Client, words: list[bytes]) -> bytes:
    """Remove and return the last element, or as many as are wanted."""
    return _pop(client, words, left=False)


def _pop(client: Client, words: list[bytes], *, left: bool) -> bytes:
    if len(words) > 3:
        raise ReplyError(f"ERR wrong number of arguments for '{words[0].lower().decode()}' command")
    if len(words) == 2:
        elements = client.database.elements(words[1])
        return client.null if elements is None else bulk(client.database.pop(words[1], elements, 1, left=left)[0])
    count = parse_integer(words[2], NOT_POSITIVE)
    if count < 0:
        raise ReplyError(NOT_POSITIVE)
    elements = client.database.elements(words[1])
    if elements is None:
        return client.null_array
    return bulks(client.database.pop(words[1], elements, count, left=left))


def llen(client: Client, words: list[bytes]) -> bytes:
    """Return the number of elements."""
    return integer(len(client.database.elements(words[1]) or ()))


def lindex(client: Client, words: list[bytes]) -> bytes:
    """Return an element by its index, from the end if that is negative."""
    elements = client.database.elements(words[1])
    if elements is None:
        return client.null
    index = parse_integer(words[2])
    return bulk(elements[index]) if -len(elements) <= index < len(elements) else client.null


def lrange(client: Client, words: list[bytes]) -> bytes:
    """Return the elements between two indices."""
    first, last = parse_integer(words[2]), parse_integer(words[3])
    elements = client.database.elements(words[1])
    if elements is None:
        return EMPTY_ARRAY
    part = _between(elements, first, last)
    return bulks(islice(elements, part.start, part.stop))


def _between(elements: List, first: int, last: int) -> range:
    """Return the indices from one to another, both included; negative ones count from the end."""
    size = len(elements)
    start = max(0, first + size if first < 0 else first)
    stop = min(size, (last + size if last < 0 else last) + 1)
    return range(start, max(start, stop))


def ltrim(client: Client, words: list[bytes]) -> bytes:
    """Remove the elements that are not between two indices."""
    first, last = parse_integer(words[2]), parse_integer(words[3])
    database, key = client.database, words[1]
    elements = database.elements(key)
    if elements is None:
        return OK
    part = _between(elements, first, last)
    kept = len(part)
    if kept == len(elements):
        # As in Redis: it counts as a change for those that watch the key.
        database.changed(key)
    database.pop(key, elements, len(elements) - part.stop if kept else len(elements), left=False)
    database.pop(key, elements, len(elements) - kept, left=True)
    return OK


def lrem(client: Client, words: list[bytes]) -> bytes:
    """Remove elements that are equal to one: all, or so many from the beginning, or from the end if negative."""
    count = parse_integer(words[2])
    database, key, wanted = client.database, words[1], words[3]
    elements = database.elements(key)
    if elements is None:
        return ZERO
    left = min(abs(count) or len(elements), len(elements))
    kept: List = deque()
    removed: list[bytes] = []
    for element in elements if count >= 0 else reversed(elements):
        if element == wanted and len(removed) < left:
            removed.append(element)
        else:
            kept.append(element)
    if removed:
        elements.clear()
        elements.extend(kept if count >= 0 else reversed(kept))
        database.shrunk(key, elements, removed)
    return integer(len(removed))


def lset(client: Client, words: list[bytes]) -> bytes:
    """Replace an element by its index."""
    database, key = client.database, words[1]
    elements = database.elements(key)
    if elements is None:
        raise ReplyError(NO_SUCH_KEY)
    index = parse_integer(words[2])
    if not -len(elements) <= index < len(elements):
        raise ReplyError(INDEX_OUT_OF_RANGE)
    old, elements[index] = elements[index], words[3]
    database.changed(key, len(words[3]) - len(old))
    return OK


def linsert(client: Client, words: list[bytes]) -> bytes:
    """Add an element before or after another one."""
    place = words[2].upper()
    if place not in (b"BEFORE", b"AFTER"):
        raise ReplyError(SYNTAX_ERROR)
    database, key = client.database, words[1]
    elements = database.elements(key)
    if elements is None:
        return ZERO
    try:
        index = elements.index(words[3])
    except ValueError:
        return integer(-1)
    elements.insert(index + (place == b"AFTER"), words[4])
    database.changed(key, element_bytes([words[4]]))
    return integer(len(elements))


def blpop(client: Client, words: list[bytes]) -> bytes:
    """Remove and return the first element of the first list that exists, or wait for one."""
    return _pop_or_wait(client, words, left=True)


def brpop(client: Client, words: list[bytes]) -> bytes:
    """Remove and return the last element of the first list that exists, or wait for one."""
    return _pop_or_wait(client, words, left=False)


def _pop_or_wait(client: Client, words: list[bytes], *, left: bool) -> bytes:
    milliseconds = math.ceil(parse_float(words[-1], "ERR timeout is not a float or out of range") * 1000)
    # As in Redis, where one that is too large overflows.
    if not 0 <= milliseconds <= MOST:
        raise ReplyError("ERR timeout is negative")
    database, keys = client.database, words[1:-1]
    for key in keys:
        elements = database.elements(key)
        if elements is not None:
            return popped_reply(database, key, elements, left=left)
    if client.executing:
        return client.null_array
    Wait(client, database, keys, left, milliseconds / 1000 if milliseconds < _FOREVER else 0.0).begin()
    return b""


_ONE_KEY = (1, 1, 1)
_WAITING = "write noscript blocking"
COMMANDS = (
    Command("lpush", lpush, -3, "write denyoom fast", _ONE_KEY),
    Command("rpush", rpush, -3, "write denyoom fast", _ONE_KEY),
    Command("lpushx", lpushx, -3, "write denyoom fast", _ONE_KEY),
    Command("rpushx", rpushx, -3, "write denyoom fast", _ONE_KEY),
    Command("lpop", lpop, -2, "write fast", _ONE_KEY),
    Command("rpop", rpop, -2, "write fast", _ONE_KEY),
    Command("llen", llen, 2, "readonly fast", _ONE_KEY),
    Command("lindex", lindex, 3, "readonly", _ONE_KEY),
    Command("lrange", lrange, 4, "readonly", _ONE_KEY),
    Command("linsert", linsert, 5, "write denyoom", _ONE_KEY),
    Command("lset", lset, 4, "write denyoom", _ONE_KEY),
    Command("lrem", lrem, 4, "write", _ONE_KEY),
    Command("ltrim", ltrim, 4, "write", _ONE_KEY),
    Command("blpop", blpop, -3, _WAITING, (1, -2, 1)),
    Command("brpop", brpop, -3, _WAITING, (1, -2, 1)),
)
