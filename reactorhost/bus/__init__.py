"""Messages between workers: names, wire format, numbered replicas and history; nothing here makes a system call.

Public for authors of bus backends: `Backend`, `BackendLink`, `BackendState` and `Keep`.
"""

from reactorhost.bus.backend import Backend, BackendLink, BackendState, Keep

__all__ = ["Backend", "BackendLink", "BackendState", "Keep"]
