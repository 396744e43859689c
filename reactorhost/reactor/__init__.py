"""Wait for descriptors, timers and signals; call back. The same in master and worker."""

from reactorhost.reactor.reactor import READ, READ_BYTES, WRITE, Arrivals, Reactor
from reactorhost.reactor.timers import Timer
from reactorhost.reactor.wakeup import WakeUp

__all__ = ["READ", "READ_BYTES", "WRITE", "Arrivals", "Reactor", "Timer", "WakeUp"]
