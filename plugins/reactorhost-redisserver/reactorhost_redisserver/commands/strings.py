"""Commands for strings."""

from __future__ import annotations

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.commands.expiry import EXPIRY_WORDS, expiry_of
from reactorhost_redisserver.dispatch import Command
from reactorhost_redisserver.keyspace import WRONG_TYPE
from reactorhost_redisserver.numbers import (
    LEAST,
    MOST,
    OVERFLOW,
    add_floats,
    format_float,
    parse_float,
    parse_integer,
)
from reactorhost_redisserver.replies import EMPTY_BULK, OK, ONE, SYNTAX_ERROR, ZERO, ReplyError, array, bulk, integer

# As proto-max-bulk-len of Redis.
MOST_STRING_BYTES = 512 << 20
TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"


def get(client: Client, words: list[bytes]) -> bytes:
    """Return a string."""
    value = client.database.read(words[1])
    if value is None:
        return client.null
    if type(value) is not bytes:
        raise ReplyError(WRONG_TYPE)
    return b"$%d\r\n%b\r\n" % (len(value), value)


def set_(client: Client, words: list[bytes]) -> bytes:
    """Set a string."""
    if len(words) == 3:
        client.database.set(words[1], words[2])
        return OK
    return _set_with_options(client, words)


def _set_with_options(client: Client, words: list[bytes]) -> bytes:
    database, key, value = client.database, words[1], words[2]
    flags, expires_at = _set_options(client, words)
    old = database.find(key)
    reply = OK
    if "GET" in flags:
        reply = _string_reply(client, database.string(key))
    if (old is None and "XX" in flags) or (old is not None and "NX" in flags):
        return reply if "GET" in flags else client.null
    if "KEEPTTL" in flags:
        database.put(key, value)
    else:
        database.set(key, value)
    if expires_at is not None:
        _expire(client, key, expires_at)
    return reply


def _set_options(client: Client, words: list[bytes]) -> tuple[set[str], int | None]:
    flags: set[str] = set()
    expiry: tuple[bytes, bytes] | None = None
    rest = iter(words[3:])
    for word in rest:
        option = word.upper()
        if option in EXPIRY_WORDS and expiry is None and "KEEPTTL" not in flags:
            amount = next(rest, None)
            if amount is None:
                raise ReplyError(SYNTAX_ERROR)
            expiry = option, amount
        elif option in _SET_FLAGS and not (option == b"KEEPTTL" and expiry):
            flags.add(option.decode())
        else:
            raise ReplyError(SYNTAX_ERROR)
    if {"NX", "XX"} <= flags:
        raise ReplyError(SYNTAX_ERROR)
    return flags, expiry_of(client, *expiry, "set") if expiry else None


_SET_FLAGS = {b"NX", b"XX", b"GET", b"KEEPTTL"}


def _expire(client: Client, key: bytes, at: int) -> None:
    """Set when a key that was just set expires; at once, if that time has passed."""
    if at <= client.server.keyspace.now:
        client.database.remove(key)
    else:
        client.database.expire_at(key, at)


def _string_reply(client: Client, value: bytes | None) -> bytes:
    return client.null if value is None else bulk(value)


def setnx(client: Client, words: list[bytes]) -> bytes:
    """Set a string if the key does not exist."""
    if client.database.find(words[1]) is not None:
        return ZERO
    client.database.set(words[1], words[2])
    return ONE


def setex(client: Client, words: list[bytes]) -> bytes:
    """Set a string with an expiry in seconds or milliseconds."""
    name = words[0].lower()
    at = expiry_of(client, b"EX" if name == b"setex" else b"PX", words[2], name.decode())
    client.database.set(words[1], words[3])
    _expire(client, words[1], at)
    return OK


def getset(client: Client, words: list[bytes]) -> bytes:
    """Set a string, and return the old one."""
    reply = _string_reply(client, client.database.string(words[1]))
    client.database.set(words[1], words[2])
    return reply


def getdel(client: Client, words: list[bytes]) -> bytes:
    """Return a string, and remove it."""
    value = client.database.string(words[1])
    if value is None:
        return client.null
    client.database.remove(words[1])
    return bulk(value)


def getex(client: Client, words: list[bytes]) -> bytes:
    """Return a string, and change its expiry."""
    database, key = client.database, words[1]
    option = words[2].upper() if len(words) > 2 else b""
    persists = option == b"PERSIST" and len(words) == 3
    if len(words) > 2 and not persists and not (option in EXPIRY_WORDS and len(words) == 4):
        raise ReplyError(SYNTAX_ERROR)
    value = database.string(key)
    if value is None:
        return client.null
    if persists:
        if database.persist(key):
            database.changed(key)
    elif option:
        at = expiry_of(client, option, words[3], "getex")
        database.changed(key)
        _expire(client, key, at)
    return bulk(value)


def mget(client: Client, words: list[bytes]) -> bytes:
    """Return several strings."""
    values = [client.database.read(key) for key in words[1:]]
    return array([bulk(value) if isinstance(value, bytes) else client.null for value in values])


def mset(client: Client, words: list[bytes]) -> bytes:
    """Set several strings."""
    _check_pairs(words)
    for key, value in zip(words[1::2], words[2::2], strict=True):
        client.database.set(key, value)
    return OK


def msetnx(client: Client, words: list[bytes]) -> bytes:
    """Set several strings if none of the keys exists."""
    _check_pairs(words)
    if any(client.database.find(key) is not None for key in words[1::2]):
        return ZERO
    for key, value in zip(words[1::2], words[2::2], strict=True):
        client.database.set(key, value)
    return ONE


def _check_pairs(words: list[bytes]) -> None:
    if len(words) % 2 == 0:
        raise ReplyError(f"ERR wrong number of arguments for '{words[0].lower().decode()}' command")


def append(client: Client, words: list[bytes]) -> bytes:
    """Add bytes to the end of a string."""
    old = client.database.string(words[1])
    value = words[2] if old is None else _checked_length(old, len(words[2])) + words[2]
    client.database.put(words[1], value)
    return integer(len(value))


def _checked_length(old: bytes, more: int) -> bytes:
    if len(old) + more > MOST_STRING_BYTES:
        raise ReplyError(TOO_LONG)
    return old


def strlen(client: Client, words: list[bytes]) -> bytes:
    """Return the length of a string."""
    return integer(len(client.database.string(words[1]) or b""))


def incr(client: Client, words: list[bytes]) -> bytes:
    """Add 1 to a number."""
    return _add(client, words[1], 1)


def decr(client: Client, words: list[bytes]) -> bytes:
    """Subtract 1 from a number."""
    return _add(client, words[1], -1)


def incrby(client: Client, words: list[bytes]) -> bytes:
    """Add a number to another one."""
    return _add(client, words[1], parse_integer(words[2]))


def decrby(client: Client, words: list[bytes]) -> bytes:
    """Subtract a number from another one."""
    number = parse_integer(words[2])
    if number == LEAST:
        raise ReplyError("ERR decrement would overflow")
    return _add(client, words[1], -number)


def _add(client: Client, key: bytes, number: int) -> bytes:
    database = client.database
    old = database.string(key)
    value = number if old is None else parse_integer(old) + number
    if not LEAST <= value <= MOST:
        raise ReplyError(OVERFLOW)
    database.put(key, b"%d" % value)
    return b":%d\r\n" % value


def incrbyfloat(client: Client, words: list[bytes]) -> bytes:
    """Add a number to another one, with a point."""
    old = client.database.string(words[1])
    value = parse_float(b"0" if old is None else old)
    text = format_float(add_floats(value, parse_float(words[2])))
    client.database.put(words[1], text)
    return bulk(text)


def getrange(client: Client, words: list[bytes]) -> bytes:
    """Return a part of a string."""
    start, end = parse_integer(words[2]), parse_integer(words[3])
    value = client.database.string(words[1]) or b""
    if start < 0 and end < 0 and start > end:
        return EMPTY_BULK
    start = max(start + len(value), 0) if start < 0 else start
    end = max(end + len(value), 0) if end < 0 else end
    return bulk(value[start : end + 1])


def setrange(client: Client, words: list[bytes]) -> bytes:
    """Replace a part of a string."""
    at, part = parse_integer(words[2]), words[3]
    if at < 0:
        raise ReplyError("ERR offset is out of range")
    old = client.database.string(words[1]) or b""
    if not part:
        return integer(len(old))
    if at + len(part) > MOST_STRING_BYTES:
        raise ReplyError(TOO_LONG)
    value = old[:at].ljust(at, b"\0") + part + old[at + len(part) :]
    client.database.put(words[1], value)
    return integer(len(value))


_ONE_KEY = (1, 1, 1)
COMMANDS = (
    Command("get", get, 2, "readonly fast", _ONE_KEY),
    Command("set", set_, -3, "write denyoom", _ONE_KEY),
    Command("setnx", setnx, 3, "write denyoom fast", _ONE_KEY),
    Command("setex", setex, 4, "write denyoom", _ONE_KEY),
    Command("psetex", setex, 4, "write denyoom", _ONE_KEY),
    Command("getset", getset, 3, "write denyoom fast", _ONE_KEY),
    Command("getdel", getdel, 2, "write fast", _ONE_KEY),
    Command("getex", getex, -2, "write fast", _ONE_KEY),
    Command("mget", mget, -2, "readonly fast", (1, -1, 1)),
    Command("mset", mset, -3, "write denyoom", (1, -1, 2)),
    Command("msetnx", msetnx, -3, "write denyoom", (1, -1, 2)),
    Command("append", append, 3, "write denyoom fast", _ONE_KEY),
    Command("strlen", strlen, 2, "readonly fast", _ONE_KEY),
    Command("incr", incr, 2, "write denyoom fast", _ONE_KEY),
    Command("decr", decr, 2, "write denyoom fast", _ONE_KEY),
    Command("incrby", incrby, 3, "write denyoom fast", _ONE_KEY),
    Command("decrby", decrby, 3, "write denyoom fast", _ONE_KEY),
    Command("incrbyfloat", incrbyfloat, 3, "write denyoom fast", _ONE_KEY),
    Command("getrange", getrange, 4, "readonly", _ONE_KEY),
    Command("substr", getrange, 4, "readonly", _ONE_KEY),
    Command("setrange", setrange, 4, "write denyoom", _ONE_KEY),
)
