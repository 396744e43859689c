"""The contract with plugin authors: every hook, when it is called and with what.

A hook is an ordinary function marked with `hookimpl`. It takes the arguments that it names, in any order, and may
leave out those that it does not need. The order of plugins is the order in which they were named; `tryfirst`,
`trylast` and `wrapper=True` change it as in pluggy.

The arguments of the hooks never change: new facts become attributes of `connection` and `worker`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from reactorhost.api.connection import CloseReason, Connection
    from reactorhost.api.worker import Worker

PROJECT = "reactorhost"
"""The project name of the markers, and the entry point group of plugins."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

OPTION_TYPES: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list of texts",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One key of a plugin's `[plugin.NAME]` table.

    `type` is `bool`, `int`, `float`, `str` or `list` (of texts). Without a `default` the key must be given; a default
    of None means that the plugin does without. `help` is one line for the operator, with the unit of a number.
    `choices` are the only values there are, of a list the only items. A `secret` is shown nowhere.

    Raises:
        TypeError: the type is none of these, or the default or a choice is not of the type.
    """

    name: str
    type: type = str
    default: object = ...
    help: str = ""
    choices: Sequence[object] = ()
    secret: bool = False

    def __post_init__(self) -> None:
        if self.type not in OPTION_TYPES:
            known = ", ".join(kind.__name__ for kind in OPTION_TYPES)
            raise TypeError(f"option {self.name!r} has an unknown type {self.type!r}; the types are {known}")
        # A text is one choice and not its letters.
        choices = (self.choices,) if isinstance(self.choices, str) else tuple(self.choices)
        object.__setattr__(self, "choices", choices)
        for choice in choices:
            if not self._of_type([choice] if self.type is list else choice):
                raise TypeError(f"option {self.name!r} has choice {choice!r}, which is not {OPTION_TYPES[self.type]}")
        if not (self.default is None or isinstance(self.default, EllipsisType) or self.accepts(self.default)):
            raise TypeError(f"option {self.name!r} has default {self.default!r}, which is not {self.kind}")

    @property
    def required(self) -> bool:
        """Tell whether the key must be given."""
        return self.default is ...

    @property
    def kind(self) -> str:
        """Return what a value is, in words."""
        if not self.choices:
            return OPTION_TYPES[self.type]
        return f"{'a list of' if self.type is list else 'one of'} {', '.join(map(str, self.choices))}"

    def accepts(self, value: object) -> bool:
        """Tell whether a value is of the type and among the choices; a whole number is a number, a boolean is none."""
        if not self._of_type(value):
            return False
        values = value if isinstance(value, list) else [value]
        return not self.choices or all(each in self.choices for each in values)

    def _of_type(self, value: object) -> bool:
        if self.type is list:
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        if self.type is float:
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return isinstance(value, self.type) and (self.type is bool or not isinstance(value, bool))


@hookspec
def connect(connection: Connection) -> None:
    """Greet a client that was accepted.

    Called once for each connection, before anything of it is received. Every plugin is called, also when an earlier
    one closed the connection. The connection may be refused with `connection.close()` or `connection.abort()`.

    An exception closes the connection with reason `error`.

    Args:
        connection: the client.

    Returns:
        Nothing; what is returned is ignored.
    """


@hookspec(firstresult=True)
def receive(connection: Connection, data: bytes) -> object:
    """Take what a client sent.

    Called with the bytes as they came off the socket: a message may be split over several calls, and several may come
    in one, and never with no bytes. With a framing it is called with one whole message, which may be empty. Never
    called after `close`.

    Called with each datagram of UDP, an empty one too; its connection is its own, and nobody opens or closes it.

    An exception closes the connection with reason `error`.

    Args:
        connection: the client.
        data: the bytes, or the message.

    Returns:
        None to let the next plugin have the data too, anything else when the data is consumed.
    """


@hookspec
def close(connection: Connection, reason: CloseReason) -> None:
    """Take leave of a client that is gone.

    Called exactly once for every connection that `connect` was called for, also when a hook of it raised an
    exception. Every plugin is called. Nothing can be sent any more.

    An exception is logged and counted.

    Args:
        connection: the client; `bytes_in` and `bytes_out` are final.
        reason: why it ended.

    Returns:
        Nothing; what is returned is ignored.
    """


@hookspec
def drain(connection: Connection) -> None:
    """Say goodbye, because the worker is going away.

    Called at most once for each connection that is open when the host stops or reloads. The connection is served on,
    until it ends or the deadline passes: finish what was begun, then call `connection.close()`. Without this hook a
    client is not told.

    An exception closes the connection with reason `error`.

    Args:
        connection: the client.

    Returns:
        Nothing; what is returned is ignored.
    """


@hookspec
def worker_start(worker: Worker) -> None:
    """Prepare a worker process, before it accepts its first client.

    Called once in each worker, after the fork: open database connections and files here, not at import. Each worker
    has its own copy of everything.

    An exception fails the boot of the worker: a start or a reload is refused.

    Args:
        worker: the process.

    Returns:
        Nothing; what is returned is ignored.
    """


@hookspec
def worker_stop(worker: Worker) -> None:
    """Put a worker process in order, after its last client.

    Called once in each worker that started, when it leaves in an orderly way; not when it is killed.

    An exception is logged; the other plugins are still called.

    Args:
        worker: the process.

    Returns:
        Nothing; what is returned is ignored.
    """


@hookspec(firstresult=True)
def framing(service: str) -> object:
    """Say how the bytes of a service's clients become messages.

    Called once for each service that has the plugin, when a worker boots. `receive` is then called with whole
    messages. The framing in the operator's configuration wins over the plugin's. An exception fails the boot.

    Args:
        service: name of the service.

    Returns:
        A framing that serves as a pattern, such as `Lines()`, or a callable without arguments that makes one for each
        connection; None to let the next plugin say.
    """


@hookspec
def options() -> Sequence[Option]:
    """Declare the keys of the plugin's `[plugin.NAME]` table.

    Called when the plugin is loaded. The host checks the operator's table against the declaration: an unknown key, a
    wrong type and a required key that is missing are told with file and line, and the plugin sees none of them.

    Returns:
        The options, each with its type, default and help.
    """
    return ()


@hookspec
def configure(config: Mapping[str, object]) -> None:
    """Take over the values of the declared options.

    Called once in each worker, after `options` and before `worker_start`, also when the operator has written no table.

    An exception means that the plugin could not be loaded.

    Args:
        config: every declared option by name, with its default where the operator gave none; read-only.

    Returns:
        Nothing; what is returned is ignored.
    """


@hookspec
def commands(cli: click.Group) -> None:
    """Bring commands of the plugin's own, for `reactorhost NAME COMMAND`.

    Called in the process of the command line, only there, and only when the operator names the plugin. Neither
    `configure` nor `worker_start` is called before. The object of the commands' context (`click.pass_obj`) is what
    `configure` gets in a worker, read when a command first looks at it.

    An exception means that the plugin could not be loaded.

    Args:
        cli: a click group with the plugin's name, to add commands and groups to.

    Returns:
        Nothing; what is returned is ignored.
    """


@hookspec
def stats() -> Mapping[str, float]:
    """Tell the plugin's own numbers of this moment, such as the size of a cache or of a pool.

    Called once a second in each worker, from its loop: return what is at hand, and do not wait for anything. They are
    added up over all workers, and shown by `status` and `top`. What only grows is better a `worker.counter()`.

    An exception is logged, once a minute, and counted.

    Returns:
        Whole or decimal numbers by name.
    """
    return {}
