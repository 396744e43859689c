"""Host any TCP protocol in Python: a master forks workers, plugins handle the bytes.

The names below are the public interface, with `reactorhost.framing` and `reactorhost.testing`. What each hook is called
with and returns is described in `reactorhost.api.hookspecs`, which is for reading only. Names are imported on first
use, so that `reactorhost --help` imports none of them.
"""

from __future__ import annotations

import importlib

# As type checkers know it. `typing` takes 8 ms, in which Ctrl-C would show a traceback: see `reactorhost.cli`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from reactorhost.address import Endpoint
    from reactorhost.api.close_reason import CloseReason
    from reactorhost.api.connect_attempt import ConnectAttempt, ConnectFailedError
    from reactorhost.api.connection import Connection
    from reactorhost.api.connection_protocols import Timer
    from reactorhost.api.counter import Counter, SharedCounter
    from reactorhost.api.file_send import FileSend
    from reactorhost.api.history_request import HistoryRequest
    from reactorhost.api.hookspecs import hookimpl
    from reactorhost.api.option import Option
    from reactorhost.api.peer_credentials import PeerCredentials
    from reactorhost.api.proxy_facts import ProxyFacts, ProxyTls
    from reactorhost.api.setup_error import SetupError
    from reactorhost.api.thread_task import ThreadQueueFullError, ThreadTask
    from reactorhost.api.tls_start import TlsFailedError, TlsStart
    from reactorhost.api.worker import Worker
    from reactorhost.api.worker_protocols import Subscription, Watch, WorkerHold
    from reactorhost.bus.member import Member
    from reactorhost.framing import DEFAULT_MAX_SIZE, Delimited, Fixed, Framing, FramingError, LengthPrefixed, Lines
    from reactorhost.tls.facts import TlsFacts

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
    "FileSend",
    "Fixed",
    "Framing",
    "FramingError",
    "HistoryRequest",
    "LengthPrefixed",
    "Lines",
    "Member",
    "Option",
    "PeerCredentials",
    "ProxyFacts",
    "ProxyTls",
    "SetupError",
    "SharedCounter",
    "Subscription",
    "ThreadQueueFullError",
    "ThreadTask",
    "Timer",
    "TlsFacts",
    "TlsFailedError",
    "TlsStart",
    "Watch",
    "Worker",
    "WorkerHold",
    "__version__",
    "hookimpl",
]

# The imports above are for type checkers, which do not follow `__getattr__`.
_NAMES = {
    "address": ("Endpoint",),
    "api.connect_attempt": ("ConnectAttempt", "ConnectFailedError"),
    "api.close_reason": ("CloseReason",),
    "api.connection": ("Connection",),
    "api.connection_protocols": ("Timer",),
    "api.counter": ("Counter", "SharedCounter"),
    "api.hookspecs": ("hookimpl",),
    "api.option": ("Option",),
    "api.setup_error": ("SetupError",),
    "api.thread_task": ("ThreadQueueFullError", "ThreadTask"),
    "api.worker": ("Worker",),
    "api.worker_protocols": ("WorkerHold", "Subscription", "Watch"),
    "api.file_send": ("FileSend",),
    "api.peer_credentials": ("PeerCredentials",),
    "api.proxy_facts": ("ProxyFacts", "ProxyTls"),
    "api.tls_start": ("TlsFailedError", "TlsStart"),
    "api.history_request": ("HistoryRequest",),
    "bus.member": ("Member",),
    "framing": ("DEFAULT_MAX_SIZE", "Delimited", "Fixed", "Framing", "FramingError", "LengthPrefixed", "Lines"),
    "tls.facts": ("TlsFacts",),
}
_MODULES = {name: f"reactorhost.{module}" for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
