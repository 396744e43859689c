"""Commands for the connection of a client: login, protocol, database."""

from __future__ import annotations

import hmac

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.commands.keys import database_of
from reactorhost_redisserver.dispatch import Command, container
from reactorhost_redisserver.numbers import parse_integer
from reactorhost_redisserver.replies import (
    EMPTY_ARRAY,
    EMPTY_BULK,
    OK,
    SYNTAX_ERROR,
    ReplyError,
    array,
    bulk,
    integer,
    mapping,
    shown,
)

REDIS_VERSION = "7.0.15"
"""The version whose behavior is the model."""

_WRONG_LOGIN = "WRONGPASS invalid username-password pair or user is disabled."
_LOGIN_NOT_NEEDED = (
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration"
    " is correct?"
)
_HELLO_WITHOUT_LOGIN = (
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass>"
    " option can be used to authenticate the client and select the RESP protocol version at the same time"
)


def ping(client: Client, words: list[bytes]) -> bytes:
    """Return PONG, or the argument."""
    if len(words) > 2:
        raise ReplyError("ERR wrong number of arguments for 'ping' command")
    if client.protocol == 2 and (client.channels or client.patterns):
        return array([bulk(b"pong"), bulk(words[1]) if len(words) == 2 else EMPTY_BULK])
    return bulk(words[1]) if len(words) == 2 else b"+PONG\r\n"


def echo(client: Client, words: list[bytes]) -> bytes:
    """Return the argument."""
    del client
    return bulk(words[1])


def auth(client: Client, words: list[bytes]) -> bytes:
    """Log in."""
    if len(words) > 3:
        raise ReplyError(SYNTAX_ERROR)
    if len(words) == 2 and client.server.password is None:
        raise ReplyError(_LOGIN_NOT_NEEDED)
    _log_in(client, words[1] if len(words) == 3 else b"default", words[-1])
    return OK


def _log_in(client: Client, user: bytes, password: bytes) -> None:
    wanted = client.server.password
    if user != b"default" or not (wanted is None or hmac.compare_digest(password, wanted)):
        raise ReplyError(_WRONG_LOGIN)
    client.logged_in = True
    client.restrict()


def hello(client: Client, words: list[bytes]) -> bytes:
    """Choose the version of RESP, and log in."""
    protocol = client.protocol
    if len(words) > 1:
        protocol = parse_integer(words[1], "ERR Protocol version is not an integer or out of range")
        if protocol not in (2, 3):
            raise ReplyError("NOPROTO unsupported protocol version")
    login, name = _hello_options(words)
    if login:
        _log_in(client, *login)
    if not client.logged_in:
        raise ReplyError(_HELLO_WITHOUT_LOGIN)
    if name is not None:
        _set_name(client, name)
    client.speak(protocol)
    client.restrict()
    facts = {
        b"server": bulk(b"redis"),
        b"version": bulk(REDIS_VERSION.encode()),
        b"proto": integer(protocol),
        b"id": integer(client.connection.id),
        b"mode": bulk(b"standalone"),
        b"role": bulk(b"master"),
        b"modules": EMPTY_ARRAY,
    }
    return mapping(facts, protocol)


def _hello_options(words: list[bytes]) -> tuple[tuple[bytes, bytes] | None, bytes | None]:
    login, name, at = None, None, 2
    while at < len(words):
        option = words[at].upper()
        if option == b"AUTH" and at + 2 < len(words):
            login = words[at + 1], words[at + 2]
            at += 3
        elif option == b"SETNAME" and at + 1 < len(words):
            name = words[at + 1]
            at += 2
        else:
            raise ReplyError(f"ERR Syntax error in HELLO option '{shown(words[at])}'")
    return login, name


def select(client: Client, words: list[bytes]) -> bytes:
    """Use another database."""
    client.database = database_of(client, words[1])
    return OK


def quit_(client: Client, words: list[bytes]) -> bytes:
    """Disconnect."""
    del words
    client.ending = client.halted = True
    return OK


def reset(client: Client, words: list[bytes]) -> bytes:
    """Be as a client that has just connected."""
    del words
    client.server.topics.remove(client)
    client.unwatch()
    client.reset()
    return b"+RESET\r\n"


def client_id(client: Client, words: list[bytes]) -> bytes:
    """Return the number of the connection."""
    del words
    return integer(client.connection.id)


def client_getname(client: Client, words: list[bytes]) -> bytes:
    """Return the name."""
    del words
    return bulk(client.name) if client.name else client.null


def client_setname(client: Client, words: list[bytes]) -> bytes:
    """Set the name."""
    _set_name(client, words[2])
    return OK


def _set_name(client: Client, name: bytes) -> None:
    if not all(0x21 <= byte <= 0x7E for byte in name):
        raise ReplyError("ERR Client names cannot contain spaces, newlines or special characters.")
    client.name = name


def client_info(client: Client, words: list[bytes]) -> bytes:
    """Describe this client."""
    del words
    return bulk(_described(client))


def client_list(client: Client, words: list[bytes]) -> bytes:
    """Describe all clients."""
    if len(words) > 2:
        raise ReplyError(SYNTAX_ERROR)
    return bulk(b"".join(map(_described, client.server.clients.values())))


def _described(client: Client) -> bytes:
    connection = client.connection
    listening = bool(client.channels or client.patterns)
    facts = {
        "id": connection.id,
        "addr": connection.peer,
        "laddr": connection.local,
        "name": client.name.decode(),
        "age": int(connection.age),
        "flags": ("P" if listening else "") + ("x" if client.queue is not None else "") or "N",
        "db": client.database.index,
        "sub": len(client.channels),
        "psub": len(client.patterns),
        "multi": -1 if client.queue is None else len(client.queue),
        "qbuf": client.reader.incomplete_bytes,
        "omem": connection.queued,
        "user": "default",
        "resp": client.protocol,
    }
    return " ".join(f"{key}={value}" for key, value in facts.items()).encode() + b"\n"


def client_ignored(client: Client, words: list[bytes]) -> bytes:
    """Accept what has no effect here: SETINFO, NO-EVICT."""
    del client, words
    return OK


_CLIENT = "noscript loading stale"
COMMANDS = (
    Command("ping", ping, -1, "fast"),
    Command("echo", echo, 2, "loading stale fast"),
    Command("auth", auth, -2, "noscript loading stale fast no_auth"),
    Command("hello", hello, -1, "noscript loading stale fast no_auth"),
    Command("select", select, 2, "loading stale fast"),
    Command("quit", quit_, -1, "noscript loading stale fast no_auth"),
    Command("reset", reset, 1, "noscript loading stale fast no_auth"),
    Command(
        "client",
        container,
        -2,
        subcommands=(
            Command("client|id", client_id, 2, _CLIENT),
            Command("client|getname", client_getname, 2, _CLIENT),
            Command("client|setname", client_setname, 3, _CLIENT),
            Command("client|setinfo", client_ignored, 4, _CLIENT),
            Command("client|info", client_info, 2, _CLIENT),
            Command("client|list", client_list, -2, _CLIENT),
            Command("client|no-evict", client_ignored, 3, _CLIENT),
        ),
    ),
)
