"""The hooks: when each is called and with what.

A hook is a function marked with `hookimpl`. It declares the arguments it needs, in any order, and may leave out the
others. Plugins are called in the order in which the operator names them; `tryfirst`, `trylast` and `wrapper=True`
change the order as in pluggy.

The arguments of the hooks never change: what is added later becomes an attribute of `connection` or `worker`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pluggy

from reactorhost.api.option import Option

if TYPE_CHECKING:
    import asyncio

    import click

    from reactorhost.address import Endpoint
    from reactorhost.api.close_reason import CloseReason
    from reactorhost.api.connection import Connection
    from reactorhost.api.worker import Worker
    from reactorhost.bus.member import Member
    from reactorhost.framing import Framing

PROJECT = "reactorhost"
"""The project name of the markers, and the entry point group of plugins."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def admit(service: str, peer: Endpoint) -> bool | None:
    """Decide whether a client is served, by its address alone.

    Called when a client of TCP was accepted, before the handshake of TLS and anything else; behind a proxy with
    `proxy_from`, when the PROXY header was read. The operator's `allow` and `deny` come first. A client that is refused
    is disconnected, and no other hook is called for it. Not called for clients of unix sockets, nor for datagrams.

    An exception is logged, and counts as None.

    Args:
        service: name of the service.
        peer: the client's address.

    Returns:
        False to refuse the client, True to admit it without a call of the next plugin, None to let the next one decide.
        Without a decision it is admitted.
    """
    return None


@hookspec
def connect(connection: Connection) -> None:
    """Begin to serve a client.

    Called once for each connection, before any of its data is received. Every plugin is called, also when an earlier
    one closed the connection. `connection.close()` or `connection.abort()` refuses the client.

    An exception closes the connection with reason `error`.

    Args:
        connection: the client.

    Returns:
        Nothing; a return value is ignored.
    """


@hookspec(firstresult=True)
def receive(connection: Connection, data: bytes) -> object:
    """Process data of a client.

    Without a framing, `data` is what one read of the socket returned, at least one byte: a message may be split over
    several calls, and one call may have several. With a framing, `data` is one whole message, which may be empty. On a
    UDP service it is one datagram, which may be empty; each datagram has a connection of its own, for which `connect`
    and `close` are not called.

    Never called after `close`. An exception closes the connection with reason `error`.

    Args:
        connection: the client.
        data: the bytes, or the message.

    Returns:
        None to pass the data to the next plugin, anything else to consume it.
    """


@hookspec(firstresult=True)
def eof(connection: Connection) -> object:
    """Decide whether a client that has ended its side is kept, because more is to be sent to it.

    Called once for a client that half-closes or closes, after `receive` for everything that it had sent. Without this
    hook, and if no plugin returns a true value, the connection is closed when everything queued is sent. A connection
    that is kept stays open until the plugin calls `connection.close()` or `connection.send_eof()`, the client breaks
    it, or the host ends it. Not called for a connection that has ended in another way, nor for one that an asyncio
    protocol serves, which has `eof_received`.

    An exception closes the connection with reason `error`. Cannot be async.

    Args:
        connection: the client.

    Returns:
        True to keep the connection open for sending, None to leave the decision to the next plugin.
    """


@hookspec
def close(connection: Connection, reason: CloseReason) -> None:
    """Release what was held for a client whose connection has ended.

    Called exactly once for every connection that `connect` was called for, also when one of its hooks raised an
    exception. Every plugin is called. Nothing can be sent any more.

    An exception is logged and counted.

    Args:
        connection: the client; `bytes_in` and `bytes_out` are final.
        reason: why the connection ended.

    Returns:
        Nothing; a return value is ignored.
    """


@hookspec
def drain(connection: Connection) -> None:
    """Finish with a client, because the worker is about to leave.

    Called at most once for each connection that is open when the host stops, reloads or scales down. The connection is
    served on until it ends or the deadline passes: finish what has begun, then call `connection.close()`. Without this
    hook the client is not notified. If it is async, it does not wait for a `receive` that runs, and runs beside it.

    An exception closes the connection with reason `error`.

    Args:
        connection: the client.

    Returns:
        Nothing; a return value is ignored.
    """


@hookspec
def worker_start(worker: Worker) -> None:
    """Prepare a worker process, before it accepts its first client.

    Called once in each worker, after the fork: open database connections and files here, not at import. Workers share
    nothing with each other.

    An exception fails the boot of the worker, and with it the start or the reload.

    Args:
        worker: the process.

    Returns:
        Nothing; a return value is ignored.
    """


@hookspec
def worker_stop(worker: Worker) -> None:
    """Clean up a worker process, after its last client.

    Called once in each worker that started and leaves in an orderly way; not when it crashes or is killed.

    An exception is logged; the other plugins are still called.

    Args:
        worker: the process.

    Returns:
        Nothing; a return value is ignored.
    """


@hookspec
def leader_start(worker: Worker) -> None:
    """Begin what only one worker of the host may do.

    Called in the worker that becomes the leader: `worker.leader` is true from now on. A host has at most one leader.
    Another worker takes over when the leader leaves, crashes or is ended, after its `leader_stop`.

    An exception is logged; the worker stays the leader.

    Args:
        worker: the process.

    Returns:
        Nothing; a return value is ignored.
    """


@hookspec
def leader_stop(worker: Worker) -> None:
    """End what only one worker of the host may do.

    Called in the leader when it is about to leave; another worker takes over when the hook has returned. Not called
    when the worker crashes or is killed.

    An exception is logged; the other plugins are still called.

    Args:
        worker: the process.

    Returns:
        Nothing; a return value is ignored.
    """


@hookspec
def joined(worker: Worker, group: str, member: Member) -> None:
    """React to a connection that has joined a group with an `info`.

    Called in every worker of every host, for the connections of all of them. Not called for the members that a worker
    finds when it starts; `worker.presence(group)` has these.

    An exception is logged; the other plugins are still called.

    Args:
        worker: the process that is notified.
        group: name of the group.
        member: the connection, with its `info`.

    Returns:
        Nothing; a return value is ignored.
    """


@hookspec
def left(worker: Worker, group: str, member: Member) -> None:
    """React to a member that has left a group, has disconnected, or whose worker has ended or is silent.

    Called in every worker of every host, as `joined`.

    An exception is logged; the other plugins are still called.

    Args:
        worker: the process that is notified.
        group: name of the group.
        member: the connection, with the `info` it had.

    Returns:
        Nothing; a return value is ignored.
    """


@hookspec
def gap(worker: Worker, group: str, recovered: bool) -> None:
    """React to messages that this worker has missed.

    Called for each group that has members in this worker, and for each topic that a function of this worker subscribes
    to, when messages of it were dropped: because a queue was full, or the connection to other machines was lost. With
    `recovered` the missing messages were delivered before this call, out of the history of the group.

    An exception is logged; the other plugins are still called.

    Args:
        worker: the process.
        group: name of the group or topic.
        recovered: whether nothing is missing any more.

    Returns:
        Nothing; a return value is ignored.
    """


@hookspec(firstresult=True)
def framing(service: str) -> object:
    """Choose how the bytes of a service's clients are split into messages.

    Called once for each service that has the plugin, when a worker boots. `receive` is then called with whole
    messages. A framing in the operator's configuration takes precedence. An exception fails the boot.

    Args:
        service: name of the service.

    Returns:
        A framing that serves as a pattern, such as `Lines()`, or a callable without arguments that makes one for each
        connection; None to let the next plugin choose.
    """


@hookspec
def framings() -> Mapping[str, Callable[..., Framing]]:
    """Bring framings that an operator can choose by name.

    Called when the plugin is loaded. With `framing = "NAME"`, or a table with `kind = "NAME"` and parameters, a service
    that has the plugin calls the callable of this name with the parameters as keyword arguments, as for the built-in
    framings. A name has up to 64 characters of `a-z 0-9 _` and begins with a letter. An exception, a name that is
    built in, or one that two plugins of a service bring, fails the boot.

    Returns:
        Callables, such as classes, by name; each returns a framing that serves as a pattern.
    """
    return {}


@hookspec(firstresult=True)
def protocol(service: str) -> object:
    """Serve the clients of a service with an asyncio protocol.

    Called once for each service that has the plugin, when a worker boots, after `configure` and before `worker_start`.
    The returned callable is called without arguments for each client, in the event loop, and returns an
    `asyncio.Protocol` or `asyncio.BufferedProtocol`. Its `connection_made`, `data_received` and `connection_lost` are
    called where the plugin's `connect`, `receive` and `close` would be; the hooks of other plugins are called as for
    any connection. `transport.get_extra_info("connection")` is the connection, and `connection.protocol` the protocol.

    One plugin of a service may have a protocol or a `stream_handler`. An exception fails the boot.

    Args:
        service: name of the service.

    Returns:
        A callable without arguments, such as a class; None to serve this service in another way.
    """
    return None


@hookspec(firstresult=True)
def stream_handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve a client with asyncio's streams; always a coroutine function.

    Called in a task of its own for each client, as `asyncio.start_server` does. The connection is closed when it
    returns. `writer.get_extra_info("connection")` is the connection. The task is cancelled when the host ends the
    connection; a client that has disconnected ends `reader` as usual.

    An exception is logged and closes the connection with reason `error`, unless it is the `ConnectionError` of a
    client that has disconnected.

    Args:
        reader: what the client sends.
        writer: sends to the client.

    Returns:
        Nothing; a return value is ignored.
    """


@hookspec
def service_workers(service: str) -> int | None:
    """Declare that at most so many workers may serve a service: 1 for a plugin with state in memory.

    Called once for each service that has the plugin, when a worker boots, after `configure`. The clients of the
    service are then accepted by the workers of the first slots only. The smallest number of all plugins of the service
    and of the operator's `workers` applies. An exception fails the boot.

    Args:
        service: name of the service.

    Returns:
        A whole number from 1, or None for no limit.
    """
    return None


@hookspec
def options() -> Sequence[Option]:
    """Declare the keys of the plugin's `[plugin.NAME]` table.

    Called when the plugin is loaded. The host checks the operator's table against the declaration: an unknown key, a
    wrong type or a missing required key is reported with file and line, and the plugin is not called.

    Returns:
        The options, each with its type, default and help.
    """
    return ()


@hookspec
def configure(config: Mapping[str, object], services: Sequence[str]) -> None:
    """Store the values of the declared options.

    Called once in each worker, after `options` and before `worker_start`, also when the operator has written no table.

    An exception means that the plugin could not be loaded. A `SetupError` is for the operator; an `ExceptionGroup` of
    them reports several at once.

    Args:
        config: every declared option by name, with its default where the operator set none; read-only.
        services: the names of the services that use the plugin.

    Returns:
        Nothing; a return value is ignored.
    """


@hookspec
def commands(cli: click.Group) -> None:
    """Add commands for `reactorhost NAME COMMAND`.

    Called only in the process of the command line, when the operator names the plugin; `configure` and `worker_start`
    are not called before. The object of the commands' context (`click.pass_obj`) is the mapping that `configure` gets
    in a worker; the options are read when a command first accesses it.

    An exception means that the plugin could not be loaded.

    Args:
        cli: a click group with the plugin's name, to add commands and groups to.

    Returns:
        Nothing; a return value is ignored.
    """


@hookspec
def stats() -> Mapping[str, float]:
    """Return the plugin's gauges, such as the size of a cache or of a pool.

    Called once a second in each worker, in its event loop: do not block. The values are summed over all workers, and
    shown by `status` and `top`. For a number that only grows, use `worker.counter()`.

    An exception is counted, and logged once a minute.

    Returns:
        Whole or decimal numbers by name. A name has up to 64 characters of `a-z 0-9 _ .` and begins with a letter.
    """
    return {}
