"""Commands for keys of any type."""

from __future__ import annotations

import random
from collections import deque

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.commands.scanning import scan_options, scan_reply
from reactorhost_redisserver.dispatch import Command
from reactorhost_redisserver.globs import compiled
from reactorhost_redisserver.keyspace import Database, Value
from reactorhost_redisserver.numbers import parse_integer
from reactorhost_redisserver.replies import OK, ONE, SYNTAX_ERROR, ZERO, ReplyError, bulk, bulks, integer

NO_SUCH_KEY = "ERR no such key"
DATABASE_OUT_OF_RANGE = "ERR DB index is out of range"


def delete(client: Client, words: list[bytes]) -> bytes:
    """Remove keys, for DEL and UNLINK."""
    database = client.database
    return integer(sum(database.find(key) is not None and database.remove(key) is not None for key in words[1:]))


def exists(client: Client, words: list[bytes]) -> bytes:
    """Return how many of the keys exist, for EXISTS and TOUCH."""
    return integer(sum(client.database.find(key) is not None for key in words[1:]))


def type_(client: Client, words: list[bytes]) -> bytes:
    """Return the type of a key."""
    return b"+%b\r\n" % _type_name(client.database.find(words[1]))


def _type_name(value: Value | None) -> bytes:
    return _TYPE_NAMES[type(value)]


_TYPE_NAMES = {type(None): b"none", bytes: b"string", dict: b"hash", deque: b"list", set: b"set"}


def keys(client: Client, words: list[bytes]) -> bytes:
    """Return all keys that match a pattern."""
    matches = compiled(words[1]).fullmatch
    return bulks([key for key in client.database.live_keys() if matches(key)])


def scan(client: Client, words: list[bytes]) -> bytes:
    """Return some of the keys."""
    options = scan_options(words[1:], kinds=True)
    database = client.database
    cursor, names = client.server.scans.next(
        options.cursor, options.count, database, lambda: list(database.live_keys())
    )
    chosen = [
        name
        for name in names
        if options.matches(name)
        and (value := database.find(name)) is not None
        and options.kind in (None, _type_name(value))
    ]
    return scan_reply(cursor, chosen)


def randomkey(client: Client, words: list[bytes]) -> bytes:
    """Return a key by chance."""
    del words
    found = list(client.database.live_keys())
    return bulk(random.choice(found)) if found else client.null  # noqa: S311 no secret


def rename(client: Client, words: list[bytes]) -> bytes:
    """Change the name of a key."""
    return _rename(client, words, replace=True)


def renamenx(client: Client, words: list[bytes]) -> bytes:
    """Change the name of a key if the new one is free."""
    return _rename(client, words, replace=False)


def _rename(client: Client, words: list[bytes], *, replace: bool) -> bytes:
    database, old, new = client.database, words[1], words[2]
    if database.find(old) is None:
        raise ReplyError(NO_SUCH_KEY)
    taken = database.find(new) is not None
    if old == new or (taken and not replace):
        return OK if replace else ZERO
    expires_at = database.expires.get(old)
    value = database.remove(old)
    assert value is not None
    database.remove(new)
    database.store(new, value, expires_at)
    return OK if replace else ONE


def copy(client: Client, words: list[bytes]) -> bytes:
    """Copy a key."""
    target, replace = client.database, False
    rest = iter(words[3:])
    for word in rest:
        option = word.upper()
        if option == b"REPLACE":
            replace = True
        elif option == b"DB" and (number := next(rest, None)) is not None:
            target = database_of(client, number)
        else:
            raise ReplyError(SYNTAX_ERROR)
    if target is client.database and words[1] == words[2]:
        raise ReplyError("ERR source and destination objects are the same")
    value = client.database.find(words[1])
    if value is None or (target.find(words[2]) is not None and not replace):
        return ZERO
    target.remove(words[2])
    copied = value if isinstance(value, bytes) else value.copy()
    target.store(words[2], copied, client.database.expires.get(words[1]))
    return ONE


def move(client: Client, words: list[bytes]) -> bytes:
    """Move a key to another database."""
    source, key = client.database, words[1]
    target = database_of(client, words[2])
    if target is source:
        raise ReplyError("ERR source and destination objects are the same")
    if source.find(key) is None or target.find(key) is not None:
        return ZERO
    expires_at = source.expires.get(key)
    value = source.remove(key)
    assert value is not None
    target.store(key, value, expires_at)
    return ONE


def database_of(client: Client, word: bytes, error: str | None = None) -> Database:
    """Return the database with a number.

    Raises:
        ReplyError: there is none.
    """
    index = parse_integer(word) if error is None else parse_integer(word, error)
    databases = client.server.keyspace.databases
    if not 0 <= index < len(databases):
        raise ReplyError(DATABASE_OUT_OF_RANGE)
    return databases[index]


_ONE_KEY = (1, 1, 1)
COMMANDS = (
    Command("del", delete, -2, "write", (1, -1, 1)),
    Command("unlink", delete, -2, "write fast", (1, -1, 1)),
    Command("exists", exists, -2, "readonly fast", (1, -1, 1)),
    Command("touch", exists, -2, "readonly fast", (1, -1, 1)),
    Command("type", type_, 2, "readonly fast", _ONE_KEY),
    Command("keys", keys, 2, "readonly"),
    Command("scan", scan, -2, "readonly"),
    Command("randomkey", randomkey, 1, "readonly"),
    Command("rename", rename, 3, "write", (1, 2, 1)),
    Command("renamenx", renamenx, 3, "write fast", (1, 2, 1)),
    Command("copy", copy, -3, "write denyoom", (1, 2, 1)),
    Command("move", move, 3, "write fast", _ONE_KEY),
)
