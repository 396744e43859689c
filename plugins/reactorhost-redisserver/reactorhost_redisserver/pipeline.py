"""Run what clients send, and send the replies.

The commands of a client that have arrived together run one after another, and their replies are sent together. After
`_MOST_COMMANDS` of them, or `_MOST_REPLY_BYTES` of replies, the other clients of the worker have their turn: the client
is paused, and continues in the next turn of the loop, or when it has read enough of its replies.

A command may also add messages to other clients. They are sent when the commands that arrived together are done, in one
piece for each client.

A client that waits is read on, since the end of its connection must be noticed: an element that it got then would be
lost. What it sends is kept until its wait has ended, up to `_MOST_QUEUED_BYTES`; then it is paused.
"""

from __future__ import annotations

import hiredis

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.commands.transactions import refused_reply
from reactorhost_redisserver.dispatch import RefusedError, find_command, run_checked
from reactorhost_redisserver.replies import ReplyError, error
from reactorhost_redisserver.requests import INCOMPLETE, ProtocolError, checked
from reactorhost_redisserver.server import Server
from reactorhost_redisserver.waits import Wait, serve

_MOST_COMMANDS = 500
_MOST_REPLY_BYTES = 1 << 20
_MOST_QUEUED_BYTES = 64 * 1024
# As in Redis.
_MOST_BYTES_WITHOUT_LOGIN = 16 * 1024


def receive(server: Server, client: Client, data: bytes) -> None:
    """Run the commands that are complete now."""
    if client.unread is not None:
        client.unread += data
        _read_while_waiting(client)
        return
    client.reader.feed(data)
    if _serve(server, client):
        client.connection.pause()
        _continue_later(server, client)


def _continue_later(server: Server, client: Client) -> None:
    connection = client.connection
    if connection.queued > _MOST_QUEUED_BYTES:
        connection.when_drained(_continue, server, client)
    else:
        connection.call_later(0, _continue, server, client)


def _continue(server: Server, client: Client) -> None:
    if _serve(server, client):
        _continue_later(server, client)
    elif client.ending:
        return
    elif client.wait is not None:
        _read_while_waiting(client)
    elif client.unread:
        client.reader.feed(bytes(client.unread))
        client.unread.clear()
        _continue_later(server, client)
    else:
        client.unread = None
        client.connection.resume()


def _read_while_waiting(client: Client) -> None:
    assert client.unread is not None
    if len(client.unread) > _MOST_QUEUED_BYTES:
        client.connection.pause()
    else:
        client.connection.resume()


def _wait_is_over(server: Server, client: Client) -> None:
    _flush(client)
    client.connection.pause()
    _continue_later(server, client)


def _timed_out(server: Server, client: Client, wait: Wait) -> None:
    wait.answer(client.null_array)
    _wait_is_over(server, client)


def _serve(server: Server, client: Client) -> bool:
    """Run commands and send the replies; returns whether there may be more to run."""
    server.tick()
    try:
        more = _run(server, client)
    except ProtocolError as violated:
        more = False
        client.ending = True
        client.out.append(error(f"ERR Protocol error: {violated}"))
    if client.out:
        _flush(client)
    for receiver in server.topics.take_receivers():
        if receiver.out:
            _flush(receiver)
    if client.ending:
        client.connection.close()
        return False
    return more


def _flush(client: Client) -> None:
    out = client.out
    data = out[0] if len(out) == 1 else b"".join(out)
    out.clear()
    client.connection.send(data)


def _run(server: Server, client: Client) -> bool:
    """Run commands; returns whether there may be more to run.

    Raises:
        ProtocolError: the client violates the protocol.
    """
    reader, append, ready = client.reader, client.out.append, server.keyspace.ready
    gets, size = reader.gets, 0
    for _ in range(_MOST_COMMANDS):
        try:
            words = gets()
        except hiredis.ProtocolError as malformed:
            reader.recover(malformed)
            return True
        if words is INCOMPLETE:
            if not reader.pending:
                _check_size(server, client)
                return False
            words = reader.advance()
        if type(words) is not list:
            words = checked(words)
        if not words:
            continue
        reply = _reply(server, client, words)
        append(reply)
        size += len(reply)
        if (ready or client.halted) and _is_halted(server, client):
            return False
        if size > _MOST_REPLY_BYTES:
            return True
    return True


def _is_halted(server: Server, client: Client) -> bool:
    """Serve those that wait for what the last command has stored; returns whether the client runs no further one."""
    for served in serve(server.keyspace):
        _wait_is_over(server, served)
    wait = client.wait
    if wait is not None and wait.seconds:
        wait.timer = client.connection.call_later(wait.seconds, _timed_out, server, client, wait)
    return client.halted


def _reply(server: Server, client: Client, words: list[bytes]) -> bytes:
    """Run one command, and return its reply."""
    for word in words:
        if type(word) is not bytes:
            checked(words)
    server.commands_run += 1
    try:
        command = server.commands.get(words[0])
        if command is None or command.subcommands:
            command = find_command(server.commands, words)
        if (
            client.restricted
            or not command.least <= len(words) <= command.most
            or (command.grows and 0 < server.max_memory < server.keyspace.used)
        ):
            return run_checked(client, command, words)
        return command.function(client, words)
    except RefusedError as refused:
        return refused_reply(client, words, refused)
    except ReplyError as failed:
        return failed.reply


def _check_size(server: Server, client: Client) -> None:
    most = server.max_request if client.logged_in else min(server.max_request, _MOST_BYTES_WITHOUT_LOGIN)
    if client.reader.incomplete_bytes > most:
        raise ProtocolError("invalid bulk length")
