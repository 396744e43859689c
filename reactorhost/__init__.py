"""Host any TCP protocol in Python: a master forks workers, plugins handle the bytes.

The names below are the whole public surface, with `reactorhost.api.hookspecs`, `reactorhost.framing` and
`reactorhost.testing`. They are resolved on first use, so that `reactorhost --help` pays for none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reactorhost.api.connect_attempt import ConnectAttempt as ConnectAttempt
    from reactorhost.api.connect_attempt import ConnectFailedError as ConnectFailedError
    from reactorhost.api.connection import CloseReason as CloseReason
    from reactorhost.api.connection import Connection as Connection
    from reactorhost.api.hookspecs import Option as Option
    from reactorhost.api.hookspecs import hookimpl as hookimpl
    from reactorhost.api.worker import Worker as Worker
    from reactorhost.framing import DEFAULT_MAX_SIZE as DEFAULT_MAX_SIZE
    from reactorhost.framing import Delimited as Delimited
    from reactorhost.framing import Fixed as Fixed
    from reactorhost.framing import Framing as Framing
    from reactorhost.framing import FramingError as FramingError
    from reactorhost.framing import LengthPrefixed as LengthPrefixed
    from reactorhost.framing import Lines as Lines
    from reactorhost.worker.hooks.thread_pool import ThreadQueueFullError as ThreadQueueFullError

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_MAX_SIZE",
    "CloseReason",
    "ConnectAttempt",
    "ConnectFailedError",
    "Connection",
    "Delimited",
    "Fixed",
    "Framing",
    "FramingError",
    "LengthPrefixed",
    "Lines",
    "Option",
    "ThreadQueueFullError",
    "Worker",
    "__version__",
    "hookimpl",
]

_HOMES = {
    "CloseReason": "reactorhost.api.connection",
    "ConnectFailedError": "reactorhost.api.connect_attempt",
    "ConnectAttempt": "reactorhost.api.connect_attempt",
    "Connection": "reactorhost.api.connection",
    "DEFAULT_MAX_SIZE": "reactorhost.framing",
    "Delimited": "reactorhost.framing",
    "Fixed": "reactorhost.framing",
    "Framing": "reactorhost.framing",
    "FramingError": "reactorhost.framing",
    "LengthPrefixed": "reactorhost.framing",
    "Lines": "reactorhost.framing",
    "Option": "reactorhost.api.hookspecs",
    "ThreadQueueFullError": "reactorhost.worker.hooks.thread_pool",
    "Worker": "reactorhost.api.worker",
    "hookimpl": "reactorhost.api.hookspecs",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
