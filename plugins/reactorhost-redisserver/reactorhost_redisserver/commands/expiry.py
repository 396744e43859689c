"""Commands for the expiry of keys, and the words that other commands have for it."""

from __future__ import annotations

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.dispatch import Command
from reactorhost_redisserver.numbers import LEAST, MOST, parse_integer
from reactorhost_redisserver.replies import ONE, ZERO, ReplyError, integer, shown

EXPIRY_WORDS = {b"EX": (1000, True), b"PX": (1, True), b"EXAT": (1000, False), b"PXAT": (1, False)}
"""By the name of an option: the milliseconds of its unit, and whether it counts from now."""


def expiry_of(client: Client, option: bytes, word: bytes, name: str) -> int:
    """Return the Unix milliseconds of an option such as EX, which must be in the future or in the past of 1970.

    Raises:
        ReplyError: the word is no valid time for a command of this name.
    """
    number = parse_integer(word)
    unit, relative = EXPIRY_WORDS[option]
    invalid = ReplyError(f"ERR invalid expire time in '{name}' command")
    if number <= 0:
        raise invalid
    return _in_milliseconds(client, number, unit, invalid, relative=relative)


def _in_milliseconds(client: Client, number: int, unit: int, invalid: ReplyError, *, relative: bool) -> int:
    at = number * unit
    if not LEAST <= at <= MOST:
        raise invalid
    if relative:
        at += client.server.keyspace.now
        if at > MOST:
            raise invalid
    return at


def expire(client: Client, words: list[bytes]) -> bytes:
    """Set when a key expires, for EXPIRE and its three relatives."""
    name = words[0].lower()
    unit = 1 if name.startswith(b"p") else 1000
    number = parse_integer(words[2])
    conditions = _conditions(words[3:])
    database, key = client.database, words[1]
    invalid = ReplyError(f"ERR invalid expire time in '{name.decode()}' command")
    at = _in_milliseconds(client, number, unit, invalid, relative=not name.endswith(b"at"))
    if database.find(key) is None or not _allowed(conditions, database.expires.get(key), at):
        return ZERO
    if at <= client.server.keyspace.now:
        database.remove(key)
    else:
        database.changed(key)
        database.expire_at(key, at)
    return ONE


def _conditions(words: list[bytes]) -> set[bytes]:
    conditions = set()
    for word in words:
        condition = word.upper()
        if condition not in (b"NX", b"XX", b"GT", b"LT"):
            raise ReplyError(f"ERR Unsupported option {shown(word)}")
        conditions.add(condition)
    if b"NX" in conditions and len(conditions) > 1:
        raise ReplyError("ERR NX and XX, GT or LT options at the same time are not compatible")
    if {b"GT", b"LT"} <= conditions:
        raise ReplyError("ERR GT and LT options at the same time are not compatible")
    return conditions


def _allowed(conditions: set[bytes], old: int | None, new: int) -> bool:
    # A key without an expiry expires later than any other one.
    return not (
        (b"NX" in conditions and old is not None)
        or (b"XX" in conditions and old is None)
        or (b"GT" in conditions and (old is None or new <= old))
        or (b"LT" in conditions and old is not None and new >= old)
    )


def ttl(client: Client, words: list[bytes]) -> bytes:
    """Return when a key expires, for TTL and its three relatives."""
    name = words[0].lower()
    if client.database.find(words[1]) is None:
        return integer(-2)
    at = client.database.expires.get(words[1])
    if at is None:
        return integer(-1)
    milliseconds = at if name.endswith(b"time") else max(at - client.server.keyspace.now, 0)
    if name.startswith(b"p"):
        return integer(milliseconds)
    # EXPIRETIME and TTL both round to the nearest second.
    return integer((milliseconds + 500) // 1000)


def persist(client: Client, words: list[bytes]) -> bytes:
    """Remove the expiry of a key."""
    if client.database.find(words[1]) is None or not client.database.persist(words[1]):
        return ZERO
    client.database.changed(words[1])
    return ONE


_ONE_KEY = (1, 1, 1)
COMMANDS = (
    *(Command(name, expire, -3, "write fast", _ONE_KEY) for name in ("expire", "pexpire", "expireat", "pexpireat")),
    *(Command(name, ttl, 2, "readonly fast", _ONE_KEY) for name in ("ttl", "pttl", "expiretime", "pexpiretime")),
    Command("persist", persist, 2, "write fast", _ONE_KEY),
)
