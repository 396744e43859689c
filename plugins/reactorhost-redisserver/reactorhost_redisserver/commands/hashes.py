"""Commands for hashes."""

from __future__ import annotations

import random

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.commands.scanning import MOST_REPEATED, parse_cursor, scan_options, scan_reply
from reactorhost_redisserver.dispatch import Command
from reactorhost_redisserver.keyspace import FIELD_BYTES
from reactorhost_redisserver.numbers import (
    LEAST,
    MOST,
    OVERFLOW,
    add_floats,
    format_float,
    parse_count,
    parse_float,
    parse_integer,
)
from reactorhost_redisserver.replies import (
    EMPTY_ARRAY,
    OK,
    ONE,
    SYNTAX_ERROR,
    ZERO,
    ReplyError,
    array,
    bulk,
    bulks,
    integer,
    mapping,
)


def _put(client: Client, key: bytes, name: bytes, value: bytes) -> bool:
    """Set a field of a hash, which may be new; returns whether the field is."""
    database = client.database
    fields = database.hash(key)
    if fields is None:
        database.store(key, {name: value}, None)
        return True
    old = fields.get(name)
    fields[name] = value
    database.changed(key, FIELD_BYTES + len(name) + len(value) if old is None else len(value) - len(old))
    return old is None


def hset(client: Client, words: list[bytes]) -> bytes:
    """Set fields."""
    return integer(_put_all(client, words))


def hmset(client: Client, words: list[bytes]) -> bytes:
    """Set fields, without their number."""
    _put_all(client, words)
    return OK


def _put_all(client: Client, words: list[bytes]) -> int:
    if len(words) % 2:
        raise ReplyError(f"ERR wrong number of arguments for '{words[0].lower().decode()}' command")
    return sum([_put(client, words[1], words[at], words[at + 1]) for at in range(2, len(words), 2)])


def hsetnx(client: Client, words: list[bytes]) -> bytes:
    """Set a field if it does not exist."""
    if words[2] in (client.database.hash(words[1]) or {}):
        return ZERO
    _put(client, words[1], words[2], words[3])
    return ONE


def hget(client: Client, words: list[bytes]) -> bytes:
    """Return a field."""
    value = (client.database.hash(words[1]) or {}).get(words[2])
    return client.null if value is None else bulk(value)


def hmget(client: Client, words: list[bytes]) -> bytes:
    """Return several fields."""
    fields = client.database.hash(words[1]) or {}
    return array([bulk(fields[name]) if name in fields else client.null for name in words[2:]])


def hgetall(client: Client, words: list[bytes]) -> bytes:
    """Return all fields with their names."""
    fields = client.database.hash(words[1]) or {}
    return mapping({name: bulk(value) for name, value in fields.items()}, client.protocol)


def hkeys(client: Client, words: list[bytes]) -> bytes:
    """Return the names of all fields."""
    return bulks(client.database.hash(words[1]) or {})


def hvals(client: Client, words: list[bytes]) -> bytes:
    """Return all fields."""
    return bulks((client.database.hash(words[1]) or {}).values())


def hlen(client: Client, words: list[bytes]) -> bytes:
    """Return the number of fields."""
    return integer(len(client.database.hash(words[1]) or {}))


def hexists(client: Client, words: list[bytes]) -> bytes:
    """Return whether a field exists."""
    return ONE if words[2] in (client.database.hash(words[1]) or {}) else ZERO


def hstrlen(client: Client, words: list[bytes]) -> bytes:
    """Return the length of a field."""
    return integer(len((client.database.hash(words[1]) or {}).get(words[2], b"")))


def hdel(client: Client, words: list[bytes]) -> bytes:
    """Remove fields, and the hash with its last one."""
    database, key = client.database, words[1]
    fields = database.hash(key)
    if fields is None:
        return ZERO
    removed = [(name, fields.pop(name)) for name in words[2:] if name in fields]
    if removed:
        database.changed(key, -sum(len(name) + len(value) + FIELD_BYTES for name, value in removed))
    if not fields:
        database.remove(key)
    return integer(len(removed))


def hincrby(client: Client, words: list[bytes]) -> bytes:
    """Add a number to a field."""
    number = parse_integer(words[3])
    old = (client.database.hash(words[1]) or {}).get(words[2], b"0")
    value = parse_integer(old, "ERR hash value is not an integer") + number
    if not LEAST <= value <= MOST:
        raise ReplyError(OVERFLOW)
    _put(client, words[1], words[2], b"%d" % value)
    return integer(value)


def hincrbyfloat(client: Client, words: list[bytes]) -> bytes:
    """Add a number to a field, with a point."""
    number = parse_float(words[3])
    old = (client.database.hash(words[1]) or {}).get(words[2], b"0")
    text = format_float(add_floats(parse_float(old, "ERR hash value is not a float"), number))
    _put(client, words[1], words[2], text)
    return bulk(text)


def hrandfield(client: Client, words: list[bytes]) -> bytes:
    """Return fields by chance: without a count one, with a negative count the same ones possibly again."""
    if len(words) == 2:
        fields = client.database.hash(words[1])
        return client.null if fields is None else bulk(random.choice(list(fields)))  # noqa: S311 no secret
    count = parse_count(words[2])
    if len(words) > 4 or (len(words) == 4 and words[3].upper() != b"WITHVALUES"):
        raise ReplyError(SYNTAX_ERROR)
    with_values = len(words) == 4
    if count < -MOST_REPEATED or count > MOST // 2 or (with_values and count < LEAST // 2):
        raise ReplyError("ERR value is out of range")
    fields = client.database.hash(words[1])
    if not fields or not count:
        return EMPTY_ARRAY
    names = list(fields)
    if count < 0:
        chosen = random.choices(names, k=-count)  # noqa: S311 no secret
    else:
        chosen = names if count >= len(names) else random.sample(names, count)
    if not with_values:
        return bulks(chosen)
    if client.protocol == 3:
        return array([bulks([name, fields[name]]) for name in chosen])
    return bulks([word for name in chosen for word in (name, fields[name])])


def hscan(client: Client, words: list[bytes]) -> bytes:
    """Return some of the fields."""
    parse_cursor(words[2])
    fields = client.database.hash(words[1])
    if fields is None:
        return scan_reply(0, [])
    options = scan_options(words[2:])
    cursor, names = client.server.scans.next(options.cursor, options.count, fields, lambda: list(fields))
    chosen = [name for name in names if name in fields and options.matches(name)]
    return scan_reply(cursor, [word for name in chosen for word in (name, fields[name])])


_ONE_KEY = (1, 1, 1)
COMMANDS = (
    Command("hset", hset, -4, "write denyoom fast", _ONE_KEY),
    Command("hmset", hmset, -4, "write denyoom fast", _ONE_KEY),
    Command("hsetnx", hsetnx, 4, "write denyoom fast", _ONE_KEY),
    Command("hget", hget, 3, "readonly fast", _ONE_KEY),
    Command("hmget", hmget, -3, "readonly fast", _ONE_KEY),
    Command("hgetall", hgetall, 2, "readonly", _ONE_KEY),
    Command("hkeys", hkeys, 2, "readonly", _ONE_KEY),
    Command("hvals", hvals, 2, "readonly", _ONE_KEY),
    Command("hlen", hlen, 2, "readonly fast", _ONE_KEY),
    Command("hexists", hexists, 3, "readonly fast", _ONE_KEY),
    Command("hstrlen", hstrlen, 3, "readonly fast", _ONE_KEY),
    Command("hdel", hdel, -3, "write fast", _ONE_KEY),
    Command("hincrby", hincrby, 4, "write denyoom fast", _ONE_KEY),
    Command("hincrbyfloat", hincrbyfloat, 4, "write denyoom fast", _ONE_KEY),
    Command("hrandfield", hrandfield, -2, "readonly", _ONE_KEY),
    Command("hscan", hscan, -3, "readonly", _ONE_KEY),
)
