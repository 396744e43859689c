"""Commands for transactions."""

from __future__ import annotations

from reactorhost_redisserver.client import Client
from reactorhost_redisserver.dispatch import Command, RefusedError, run_checked
from reactorhost_redisserver.replies import OK, ReplyError, array, error


def multi(client: Client, words: list[bytes]) -> bytes:
    """Begin a transaction."""
    del words
    if client.queue is not None:
        raise ReplyError("ERR MULTI calls can not be nested")
    client.queue = []
    client.restrict()
    return OK


def exec_(client: Client, words: list[bytes]) -> bytes:
    """Run the commands since MULTI, unless a watched key has changed."""
    del words
    queue = client.queue
    if queue is None:
        raise ReplyError("ERR EXEC without MULTI")
    for database, key in list(client.watched):
        # A key that has expired has changed, which is noticed when it is looked for.
        database.find(key)
    broken, dirty = client.broken, client.dirty
    _end(client)
    if broken:
        raise ReplyError("EXECABORT Transaction discarded because of previous errors.")
    if dirty:
        return client.null_array
    replies = []
    client.executing = True
    for command, queued in queue:
        try:
            replies.append(run_checked(client, command, queued))
        except ReplyError as failed:
            replies.append(failed.reply)
    client.executing = False
    return array(replies)


def discard(client: Client, words: list[bytes]) -> bytes:
    """Forget the commands since MULTI."""
    del words
    if client.queue is None:
        raise ReplyError("ERR DISCARD without MULTI")
    _end(client)
    return OK


def _end(client: Client) -> None:
    client.queue = None
    client.queued_bytes = 0
    client.broken = False
    client.unwatch()
    client.restrict()


def refused_reply(client: Client, words: list[bytes], refused: RefusedError) -> bytes:
    """Return the reply to a command that does not run, and make EXEC fail; an EXEC ends the transaction."""
    if words[0].lower() == b"exec":
        _end(client)
        return error(f"EXECABORT Transaction discarded because of: {str(refused).removeprefix('ERR ')}")
    client.broken = client.queue is not None
    return refused.reply


def watch(client: Client, words: list[bytes]) -> bytes:
    """Make EXEC fail if one of these keys changes."""
    if client.queue is not None:
        raise ReplyError("ERR WATCH inside MULTI is not allowed")
    database = client.database
    for key in words[1:]:
        database.find(key)
        database.watch(key, client)
        client.watched[database, key] = None
    return OK


def unwatch(client: Client, words: list[bytes]) -> bytes:
    """Forget the watched keys."""
    del words
    client.unwatch()
    return OK


COMMANDS = (
    Command("multi", multi, 1, "noscript loading stale fast"),
    Command("exec", exec_, 1, "noscript loading stale"),
    Command("discard", discard, 1, "noscript loading stale fast"),
    Command("watch", watch, -2, "noscript loading stale fast", (1, -1, 1)),
    Command("unwatch", unwatch, 1, "noscript loading stale fast"),
)
