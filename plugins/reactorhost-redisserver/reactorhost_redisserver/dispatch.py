"""Commands by name, and the checks before one runs: words, login, transaction, subscriptions, memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.replies import QUEUED, ReplyError, shown
from reactorhost_redisserver.requests import ProtocolError


class RefusedError(ReplyError):
    """A command does not run. In a transaction it makes EXEC fail."""


Function = Callable[[Client, list[bytes]], bytes]

_UNLIMITED = 1 << 62
_MOST_SHOWN = 128
_OF_HTTP = (b"post", b"host:")
OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'."


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        name: in lower case; that of a subcommand is `client|list`.
        function: runs it with a client and all of its words, and returns the reply.
        arity: the number of words, or less than 0 for at least so many.
        flags: as COMMAND INFO shows them, with blanks between them.
        keys: the places of the first and the last key, and the step from one to the next.
        subcommands: those that the second word names.
    """

    name: str
    function: Function
    arity: int
    flags: str = ""
    keys: tuple[int, int, int] = (0, 0, 0)
    subcommands: tuple[Command, ...] = ()
    least: int = field(init=False)
    most: int = field(init=False)
    grows: bool = field(init=False)
    by_name: dict[bytes, Command] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "least", abs(self.arity))
        put(self, "most", self.arity if self.arity > 0 else _UNLIMITED)
        put(self, "grows", "denyoom" in self.flags.split())
        names = {each.name.partition("|")[2]: each for each in self.subcommands}
        put(self, "by_name", {name.encode(): each for name, each in names.items()})

    def has_flag(self, flag: str) -> bool:
        """Return whether it has a flag."""
        return flag in self.flags.split()


def container(client: Client, words: list[bytes]) -> bytes:
    """Stand for the subcommands of a command, one of which must be named."""
    raise AssertionError(client, words)


def command_table(commands: Iterable[Command]) -> dict[bytes, Command]:
    """Return commands by their names in upper and lower case, which nearly all clients use."""
    return {name: each for each in commands for name in (each.name.encode(), each.name.upper().encode())}


def find_command(table: Mapping[bytes, Command], words: list[bytes]) -> Command:
    """Return the command or subcommand that words name in any case.

    Raises:
        ReplyError: there is none.
        ProtocolError: it is a line of HTTP.
    """
    name = words[0].lower()
    command = table.get(name)
    if command is None:
        if name in _OF_HTTP:
            # A page in a browser can send a request to any port, and its body would be inline commands.
            raise ProtocolError("this is a request of HTTP")
        raise RefusedError(_unknown(words))
    if not command.subcommands or len(words) == 1:
        return command
    subcommand = command.by_name.get(words[1].lower())
    if subcommand is None:
        text = f"ERR unknown subcommand '{shown(words[1])[:_MOST_SHOWN]}'. Try {command.name.upper()} HELP."
        raise RefusedError(text)
    return subcommand


def _unknown(words: list[bytes]) -> str:
    arguments = ""
    for word in words[1:]:
        if len(arguments) >= _MOST_SHOWN:
            break
        arguments += f"'{shown(word)[: _MOST_SHOWN - len(arguments)]}' "
    return f"ERR unknown command '{shown(words[0])[:_MOST_SHOWN]}', with args beginning with: {arguments}"


def run_checked(client: Client, command: Command, words: list[bytes]) -> bytes:
    """Run a command after every check.

    Raises:
        RefusedError: it does not run.
        ReplyError: it fails.
    """
    if not command.least <= len(words) <= command.most:
        raise RefusedError(f"ERR wrong number of arguments for '{command.name}' command")
    if not client.logged_in and not command.has_flag("no_auth"):
        raise RefusedError("NOAUTH Authentication required.")
    keyspace = client.server.keyspace
    if command.grows and 0 < client.server.max_memory < keyspace.used:
        raise RefusedError(OUT_OF_MEMORY)
    listening = client.protocol == 2 and (client.channels or client.patterns)
    if listening and command.name not in _WHILE_LISTENING:
        raise RefusedError(
            f"ERR Can't execute '{command.name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are"
            " allowed in this context"
        )
    if client.queue is not None and command.name not in _NOT_QUEUED:
        if command.has_flag("no_multi"):
            raise RefusedError("ERR Command not allowed inside a transaction")
        if client.queued_bytes > client.server.max_request:
            raise RefusedError("ERR transaction is too large")
        client.queue.append((command, words))
        client.queued_bytes += sum(map(len, words))
        return QUEUED
    return command.function(client, words)


_WHILE_LISTENING = {"subscribe", "psubscribe", "unsubscribe", "punsubscribe", "ping", "quit", "reset"}
_NOT_QUEUED = {"exec", "discard", "multi", "watch", "quit", "reset"}
