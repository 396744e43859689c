"""Host any TCP protocol in Python: a master forks workers, plugins handle the bytes.

The names below are the public interface, with `reactorhost.framing` and `reactorhost.testing`; the hooks are described
in `reactorhost.api.hookspecs`. Names are imported on first use, so that `reactorhost --help` imports none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reactorhost.address import Endpoint as Endpoint
    from reactorhost.api.connect_attempt import ConnectAttempt as ConnectAttempt
    from reactorhost.api.connect_attempt import ConnectFailedError as ConnectFailedError
    from reactorhost.api.connection import CloseReason as CloseReason
    from reactorhost.api.connection import Connection as Connection
    from reactorhost.api.counter import Counter as Counter
    from reactorhost.api.hookspecs import hookimpl as hookimpl
    from reactorhost.api.option import Option as Option
    from reactorhost.api.thread_task import ThreadQueueFullError as ThreadQueueFullError
    from reactorhost.api.thread_task import ThreadTask as ThreadTask
    from reactorhost.api.timer import Timer as Timer
    from reactorhost.api.worker import Worker as Worker
    from reactorhost.framing import DEFAULT_MAX_SIZE as DEFAULT_MAX_SIZE
    from reactorhost.framing import Delimited as Delimited
    from reactorhost.framing import Fixed as Fixed
    from reactorhost.framing import Framing as Framing
    from reactorhost.framing import FramingError as FramingError
    from reactorhost.framing import LengthPrefixed as LengthPrefixed
    from reactorhost.framing import Lines as Lines
    from reactorhost.tls.facts import TlsFacts as TlsFacts

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_MAX_SIZE",
    "CloseReason",
    "ConnectAttempt",
    "ConnectFailedError",
    "Connection",
    "Counter",
    "Delimited",
    "Endpoint",
    "Fixed",
    "Framing",
    "FramingError",
    "LengthPrefixed",
    "Lines",
    "Option",
    "ThreadQueueFullError",
    "ThreadTask",
    "Timer",
    "TlsFacts",
    "Worker",
    "__version__",
    "hookimpl",
]

_MODULES = {
    "CloseReason": "reactorhost.api.connection",
    "ConnectAttempt": "reactorhost.api.connect_attempt",
    "ConnectFailedError": "reactorhost.api.connect_attempt",
    "Connection": "reactorhost.api.connection",
    "Counter": "reactorhost.api.counter",
    "DEFAULT_MAX_SIZE": "reactorhost.framing",
    "Delimited": "reactorhost.framing",
    "Endpoint": "reactorhost.address",
    "Fixed": "reactorhost.framing",
    "Framing": "reactorhost.framing",
    "FramingError": "reactorhost.framing",
    "LengthPrefixed": "reactorhost.framing",
    "Lines": "reactorhost.framing",
    "Option": "reactorhost.api.option",
    "ThreadQueueFullError": "reactorhost.api.thread_task",
    "ThreadTask": "reactorhost.api.thread_task",
    "Timer": "reactorhost.api.timer",
    "TlsFacts": "reactorhost.tls.facts",
    "Worker": "reactorhost.api.worker",
    "hookimpl": "reactorhost.api.hookspecs",
}


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
