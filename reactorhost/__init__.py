"""Host any TCP protocol in Python: a master forks workers, plugins handle the bytes.

The names below are the whole public surface, with `reactorhost.hookspecs`, `reactorhost.framing` and
`reactorhost.testing`. They are resolved on first use, so that `reactorhost --help` pays for none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reactorhost.connection import CloseReason as CloseReason
    from reactorhost.connection import Connection as Connection
    from reactorhost.framing import DEFAULT_MAX_SIZE as DEFAULT_MAX_SIZE
    from reactorhost.framing import Delimited as Delimited
    from reactorhost.framing import Fixed as Fixed
    from reactorhost.framing import Framing as Framing
    from reactorhost.framing import FramingError as FramingError
    from reactorhost.framing import LengthPrefixed as LengthPrefixed
    from reactorhost.framing import Lines as Lines
    from reactorhost.hookspecs import Option as Option
    from reactorhost.hookspecs import hookimpl as hookimpl
    from reactorhost.worker.connecting import ConnectFailedError as ConnectFailedError
    from reactorhost.worker.connecting import Connecting as Connecting
    from reactorhost.worker.threads import ThreadQueueFullError as ThreadQueueFullError
    from reactorhost.worker.worker import Worker as Worker

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_MAX_SIZE",
    "CloseReason",
    "ConnectFailedError",
    "Connecting",
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
    "CloseReason": "reactorhost.connection",
    "ConnectFailedError": "reactorhost.worker.connecting",
    "Connecting": "reactorhost.worker.connecting",
    "Connection": "reactorhost.connection",
    "DEFAULT_MAX_SIZE": "reactorhost.framing",
    "Delimited": "reactorhost.framing",
    "Fixed": "reactorhost.framing",
    "Framing": "reactorhost.framing",
    "FramingError": "reactorhost.framing",
    "LengthPrefixed": "reactorhost.framing",
    "Lines": "reactorhost.framing",
    "Option": "reactorhost.hookspecs",
    "ThreadQueueFullError": "reactorhost.worker.threads",
    "Worker": "reactorhost.worker.worker",
    "hookimpl": "reactorhost.hookspecs",
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
