"""Commands for the server: databases, storage, configuration."""

from __future__ import annotations

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.commands.information import INFO_SECTIONS
from reactorhost_redisserver.commands.keys import database_of
from reactorhost_redisserver.dispatch import Command, container
from reactorhost_redisserver.globs import compiled
from reactorhost_redisserver.numbers import parse_bytes
from reactorhost_redisserver.replies import OK, SYNTAX_ERROR, ReplyError, array, bulk, integer, mapping, shown
from reactorhost_redisserver.server import Saver


def dbsize(client: Client, words: list[bytes]) -> bytes:
    """Return the number of keys."""
    del words
    return integer(len(client.database.values))


def flushdb(client: Client, words: list[bytes]) -> bytes:
    """Remove all keys of the database."""
    _check_flush(words)
    client.database.clear()
    return OK


def flushall(client: Client, words: list[bytes]) -> bytes:
    """Remove all keys of all databases."""
    _check_flush(words)
    for database in client.server.keyspace.databases:
        database.clear()
    return OK


def _check_flush(words: list[bytes]) -> None:
    if len(words) > 2 or (len(words) == 2 and words[1].upper() not in (b"SYNC", b"ASYNC")):
        raise ReplyError(SYNTAX_ERROR)


def swapdb(client: Client, words: list[bytes]) -> bytes:
    """Exchange two databases."""
    first = database_of(client, words[1], "ERR invalid first DB index")
    second = database_of(client, words[2], "ERR invalid second DB index")
    client.server.keyspace.swap(first.index, second.index)
    return OK


def time(client: Client, words: list[bytes]) -> bytes:
    """Return the time, as seconds and microseconds."""
    del words
    seconds, milliseconds = divmod(client.server.keyspace.now, 1000)
    return array([bulk(b"%d" % seconds), bulk(b"%d" % (milliseconds * 1000))])


def save(client: Client, words: list[bytes]) -> bytes:
    """Store all keys now."""
    del words
    saver = _saver(client)
    if saver.running:
        raise ReplyError("ERR Background save already in progress")
    if not saver.save():
        raise ReplyError("ERR the snapshot cannot be written, see the log of the host")
    return OK


def bgsave(client: Client, words: list[bytes]) -> bytes:
    """Begin to store all keys."""
    if len(words) > 1 and (len(words) > 2 or words[1].upper() != b"SCHEDULE"):
        raise ReplyError(SYNTAX_ERROR)
    saver = _saver(client)
    if saver.running:
        raise ReplyError("ERR Background save already in progress")
    if not saver.save_in_background():
        raise ReplyError("ERR the snapshot cannot be written, see the log of the host")
    return b"+Background saving started\r\n"


def lastsave(client: Client, words: list[bytes]) -> bytes:
    """Return when the keys were stored."""
    del words
    return integer(int(_saver(client).saved_at))


def _saver(client: Client) -> Saver:
    saver = client.server.saver
    if saver is None:
        raise ReplyError("ERR there is no snapshot")
    return saver


def info(client: Client, words: list[bytes]) -> bytes:
    """Describe the server."""
    wanted = {word.lower() for word in words[1:]} or {b"default"}
    everything = wanted & {b"default", b"all", b"everything"}
    sections = []
    for name, lines in INFO_SECTIONS.items():
        if everything or name.lower().encode() in wanted:
            facts = [f"{key}:{value}\r\n" for key, value in lines(client.server).items()]
            sections.append(f"# {name}\r\n{''.join(facts)}")
    text = "\r\n".join(sections).encode()
    return b"=%d\r\ntxt:%b\r\n" % (len(text) + 4, text) if client.protocol == 3 else bulk(text)


def config_get(client: Client, words: list[bytes]) -> bytes:
    """Return parameters."""
    server = client.server
    values = {
        b"appendonly": b"no",
        b"databases": b"%d" % len(server.keyspace.databases),
        b"maxmemory": b"%d" % server.max_memory,
        b"maxmemory-policy": b"noeviction",
        b"proto-max-bulk-len": b"%d" % server.max_request,
        b"save": b"",
        b"timeout": b"0",
    }
    patterns = [compiled(word.lower()) for word in words[2:]]
    found = {name: bulk(value) for name, value in values.items() if any(each.fullmatch(name) for each in patterns)}
    return mapping(found, client.protocol)


def config_set(client: Client, words: list[bytes]) -> bytes:
    """Set a parameter until the next reload."""
    name = words[2].lower()
    if name != b"maxmemory" or len(words) != 4:
        raise ReplyError(f"ERR Unknown option or number of arguments for CONFIG SET - '{shown(words[2])}'")
    number = parse_bytes(words[3])
    if number is None:
        reason = "argument must be a memory value"
        raise ReplyError(f"ERR CONFIG SET failed (possibly related to argument 'maxmemory') - {reason}")
    client.server.max_memory = number
    return OK


def config_resetstat(client: Client, words: list[bytes]) -> bytes:
    """Set the counters to 0."""
    del words
    server, keyspace = client.server, client.server.keyspace
    server.commands_run = server.connected = keyspace.hits = keyspace.misses = keyspace.expired = 0
    return OK


_ADMIN = "admin noscript loading stale"
COMMANDS = (
    Command("dbsize", dbsize, 1, "readonly fast"),
    Command("flushdb", flushdb, -1, "write"),
    Command("flushall", flushall, -1, "write"),
    Command("swapdb", swapdb, 3, "write fast"),
    Command("time", time, 1, "loading stale fast"),
    Command("save", save, 1, "admin noscript no_multi"),
    Command("bgsave", bgsave, -1, "admin noscript"),
    Command("lastsave", lastsave, 1, "loading stale fast"),
    Command("info", info, -1, "loading stale"),
    Command(
        "config",
        container,
        -2,
        subcommands=(
            Command("config|get", config_get, -3, _ADMIN),
            Command("config|set", config_set, -4, _ADMIN),
            Command("config|resetstat", config_resetstat, 2, _ADMIN),
        ),
    ),
)
