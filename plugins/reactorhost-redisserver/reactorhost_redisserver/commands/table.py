"""All commands, and those that describe them."""

from __future__ import annotations

from collections.abc import Iterable

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.commands import (
    admin,
    connection,
    expiry,
    hashes,
    keys,
    lists,
    pubsub,
    sets,
    strings,
    transactions,
)
from reactorhost_redisserver.dispatch import Command, command_table, container
from reactorhost_redisserver.replies import EMPTY_ARRAY, array, bulk, bulks, integer, mapping, members

_GROUPS = {
    "string": strings.COMMANDS,
    "hash": hashes.COMMANDS,
    "list": lists.COMMANDS,
    "set": sets.COMMANDS,
    "generic": (*keys.COMMANDS, *expiry.COMMANDS),
    "pubsub": pubsub.COMMANDS,
    "transactions": transactions.COMMANDS,
    "connection": connection.COMMANDS,
    "server": admin.COMMANDS,
}


def command_info(client: Client, words: list[bytes]) -> bytes:
    """Describe commands, by default all."""
    if len(words) <= 2:
        return array([_described(client, each) for each in COMMANDS])
    found = [TABLE.get(word.lower()) for word in words[2:]]
    return array([client.null if each is None else _described(client, each) for each in found])


def _described(client: Client, each: Command) -> bytes:
    first, last, step = each.keys
    return array(
        [
            bulk(each.name.encode()),
            integer(each.arity),
            members([b"+%b\r\n" % flag.encode() for flag in each.flags.split()], client.protocol),
            integer(first),
            integer(last),
            integer(step),
            members([], client.protocol),
            EMPTY_ARRAY,
            EMPTY_ARRAY,
            array([_described(client, subcommand) for subcommand in each.subcommands]),
        ]
    )


def command_count(client: Client, words: list[bytes]) -> bytes:
    """Return the number of commands."""
    del client, words
    return integer(len(COMMANDS))


def command_list(client: Client, words: list[bytes]) -> bytes:
    """List the names of the commands."""
    del client, words
    return bulks([each.name.encode() for each in COMMANDS])


def command_docs(client: Client, words: list[bytes]) -> bytes:
    """Explain commands, by default all."""
    found: Iterable[Command | None] = [TABLE.get(word.lower()) for word in words[2:]] if len(words) > 2 else COMMANDS
    return mapping({each.name.encode(): _documented(client, each) for each in found if each}, client.protocol)


def _documented(client: Client, each: Command) -> bytes:
    facts = {b"group": bulk(GROUP_OF[each.name].encode())}
    if each.function is not container:
        summary = (each.function.__doc__ or "").partition("\n")[0]
        facts = {b"summary": bulk(summary.encode()), **facts}
    return mapping(facts, client.protocol)


_FLAGS = "loading stale"
_COMMAND = Command(
    "command",
    command_info,
    -1,
    _FLAGS,
    subcommands=(
        Command("command|info", command_info, -2, _FLAGS),
        Command("command|count", command_count, 2, _FLAGS),
        Command("command|list", command_list, 2, _FLAGS),
        Command("command|docs", command_docs, -2, _FLAGS),
    ),
)
COMMANDS = (*(each for commands in _GROUPS.values() for each in commands), _COMMAND)
"""Every command."""
TABLE = command_table(COMMANDS)
"""Every command by its name, in upper and in lower case."""
GROUP_OF = {each.name: group for group, commands in _GROUPS.items() for each in commands} | {"command": "server"}
