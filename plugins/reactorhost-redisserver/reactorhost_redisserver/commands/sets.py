"""Commands for sets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from itertools import islice

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.commands.scanning import MOST_REPEATED, parse_cursor, scan_options, scan_reply
from reactorhost_redisserver.dispatch import Command
from reactorhost_redisserver.keyspace import Set, member_bytes
from reactorhost_redisserver.numbers import NOT_POSITIVE, parse_count, parse_integer
from reactorhost_redisserver.replies import (
    EMPTY_ARRAY,
    ONE,
    SYNTAX_ERROR,
    ZERO,
    ReplyError,
    array,
    bulk,
    bulks,
    integer,
    members,
)


def sadd(client: Client, words: list[bytes]) -> bytes:
    """Add members."""
    database, key = client.database, words[1]
    present = database.members(key)
    if present is None:
        database.store(key, added := set(words[2:]), None)
        return integer(len(added))
    added = {member for member in words[2:] if member not in present}
    if added:
        present |= added
        database.changed(key, member_bytes(added))
    return integer(len(added))


def srem(client: Client, words: list[bytes]) -> bytes:
    """Remove members, and the set with its last one."""
    present = client.database.members(words[1])
    if present is None:
        return ZERO
    return integer(_remove(client, words[1], present, present.intersection(words[2:])))


def _remove(client: Client, key: bytes, present: Set, removed: Set) -> int:
    if removed:
        present -= removed
        client.database.changed(key, -member_bytes(removed))
        if not present:
            client.database.remove(key)
    return len(removed)


def smembers(client: Client, words: list[bytes]) -> bytes:
    """Return all members."""
    return _reply(client, client.database.members(words[1]) or ())


def _reply(client: Client, found: Iterable[bytes]) -> bytes:
    return members([bulk(member) for member in found], client.protocol)


def scard(client: Client, words: list[bytes]) -> bytes:
    """Return the number of members."""
    return integer(len(client.database.members(words[1]) or ()))


def sismember(client: Client, words: list[bytes]) -> bytes:
    """Return whether there is a member."""
    return ONE if words[2] in (client.database.members(words[1]) or ()) else ZERO


def smismember(client: Client, words: list[bytes]) -> bytes:
    """Return for each of several whether it is a member."""
    present = client.database.members(words[1]) or ()
    return array([ONE if member in present else ZERO for member in words[2:]])


def smove(client: Client, words: list[bytes]) -> bytes:
    """Move a member to another set."""
    database, member = client.database, words[3]
    source = database.members(words[1])
    if source is None:
        return ZERO
    target = database.members(words[2])
    if member not in source:
        return ZERO
    if target is not source:
        _remove(client, words[1], source, {member})
        sadd(client, [b"sadd", words[2], member])
    return ONE


def sinter(client: Client, words: list[bytes]) -> bytes:
    """Return the members that all sets have."""
    return _reply(client, _combined(client, words[1:], set.intersection))


def sunion(client: Client, words: list[bytes]) -> bytes:
    """Return the members of all sets."""
    return _reply(client, _combined(client, words[1:], set.union))


def sdiff(client: Client, words: list[bytes]) -> bytes:
    """Return the members of the first set that no other one has."""
    return _reply(client, _combined(client, words[1:], set.difference))


def sinterstore(client: Client, words: list[bytes]) -> bytes:
    """Store the members that all sets have."""
    return _store(client, words[1], _combined(client, words[2:], set.intersection))


def sunionstore(client: Client, words: list[bytes]) -> bytes:
    """Store the members of all sets."""
    return _store(client, words[1], _combined(client, words[2:], set.union))


def sdiffstore(client: Client, words: list[bytes]) -> bytes:
    """Store the members of the first set that no other one has."""
    return _store(client, words[1], _combined(client, words[2:], set.difference))


def _combined(client: Client, keys: list[bytes], combine: Callable[..., Set]) -> Set:
    return combine(*[client.database.members(key) or set() for key in keys])


def _store(client: Client, key: bytes, found: Set) -> bytes:
    client.database.find(key)
    client.database.remove(key)
    if found:
        client.database.store(key, found, None)
    return integer(len(found))


def spop(client: Client, words: list[bytes]) -> bytes:
    """Remove and return members by chance: without a count one."""
    if len(words) > 3:
        raise ReplyError(SYNTAX_ERROR)
    count = 1 if len(words) == 2 else parse_integer(words[2], NOT_POSITIVE)
    if count < 0:
        raise ReplyError(NOT_POSITIVE)
    present = client.database.members(words[1]) or set()
    chosen = _chosen(present, count)
    _remove(client, words[1], present, set(chosen))
    if len(words) == 3:
        return _reply(client, chosen)
    return bulk(chosen[0]) if chosen else client.null


def _chosen(present: Set, count: int) -> list[bytes]:
    """Return different members by chance."""
    if count == 1 and present:
        # Without a copy: a set may be used as a queue of jobs.
        return [next(islice(present, random.randrange(len(present)), None))]  # noqa: S311 no secret
    return list(present) if count >= len(present) else random.sample(list(present), count)


def srandmember(client: Client, words: list[bytes]) -> bytes:
    """Return members by chance: without a count one, with a negative count the same ones possibly again."""
    if len(words) > 3:
        raise ReplyError(SYNTAX_ERROR)
    if len(words) == 2:
        chosen = _chosen(client.database.members(words[1]) or set(), 1)
        return bulk(chosen[0]) if chosen else client.null
    count = parse_count(words[2])
    if count < -MOST_REPEATED:
        raise ReplyError("ERR value is out of range")
    present = client.database.members(words[1])
    if not present:
        return EMPTY_ARRAY
    if count < 0:
        return bulks(random.choices(list(present), k=-count))  # noqa: S311 no secret
    return bulks(_chosen(present, count))


def sscan(client: Client, words: list[bytes]) -> bytes:
    """Return some of the members."""
    parse_cursor(words[2])
    present = client.database.members(words[1])
    if present is None:
        return scan_reply(0, [])
    options = scan_options(words[2:])
    cursor, found = client.server.scans.next(options.cursor, options.count, present, lambda: list(present))
    return scan_reply(cursor, [member for member in found if member in present and options.matches(member)])


_ONE_KEY, _ALL_KEYS = (1, 1, 1), (1, -1, 1)
COMMANDS = (
    Command("sadd", sadd, -3, "write denyoom fast", _ONE_KEY),
    Command("srem", srem, -3, "write fast", _ONE_KEY),
    Command("smove", smove, 4, "write fast", (1, 2, 1)),
    Command("sismember", sismember, 3, "readonly fast", _ONE_KEY),
    Command("smismember", smismember, -3, "readonly fast", _ONE_KEY),
    Command("scard", scard, 2, "readonly fast", _ONE_KEY),
    Command("smembers", smembers, 2, "readonly", _ONE_KEY),
    Command("spop", spop, -2, "write fast", _ONE_KEY),
    Command("srandmember", srandmember, -2, "readonly", _ONE_KEY),
    Command("sinter", sinter, -2, "readonly", _ALL_KEYS),
    Command("sinterstore", sinterstore, -3, "write denyoom", _ALL_KEYS),
    Command("sunion", sunion, -2, "readonly", _ALL_KEYS),
    Command("sunionstore", sunionstore, -3, "write denyoom", _ALL_KEYS),
    Command("sdiff", sdiff, -2, "readonly", _ALL_KEYS),
    Command("sdiffstore", sdiffstore, -3, "write denyoom", _ALL_KEYS),
    Command("sscan", sscan, -3, "readonly", _ONE_KEY),
)
