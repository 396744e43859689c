"""Wait for descriptors, timers and signals; call back. The same in master and worker."""

from reactorhost.reactor.reactor import READ, WRITE, Reactor
from reactorhost.reactor.timers import Timer
from reactorhost.reactor.wakeup import WakeUp

__all__ = ["READ", "WRITE", "Reactor", "Timer", "WakeUp"]
