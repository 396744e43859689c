"""Wait for descriptors, timers and signals; call back. The same in master and worker."""

from reactorhost.reactor.poller import ERROR, EXCLUSIVE, HANG_UP, READ, WRITE, Poller, new_poller
from reactorhost.reactor.reactor import READ_BYTES, Reactor
from reactorhost.reactor.stream import Arrivals
from reactorhost.reactor.timers import TimerHandle
from reactorhost.reactor.wakeup import WakeUp

__all__ = [
    "ERROR",
    "EXCLUSIVE",
    "HANG_UP",
    "READ",
    "READ_BYTES",
    "WRITE",
    "Arrivals",
    "Poller",
    "Reactor",
    "TimerHandle",
    "WakeUp",
    "new_poller",
]
