"""Let a master write to its terminal while another program is in the foreground there."""

from __future__ import annotations

import signal
from collections.abc import Callable

from reactorhost.reactor import Reactor
from reactorhost.reactor.timers import next_second

_TTOU = {signal.SIGTTOU}


def poll_ttou(reactor: Reactor, callback: Callable[[], object]) -> None:
    """Block TTOU, and call `callback` within a second when it was sent.

    With `stty tostop` the kernel sends TTOU to a process in the background that writes. After a handler it restarts the
    write and sends TTOU again, without end, and each time the master would remove a worker. It writes, and sends
    nothing, while TTOU is blocked. No handler is called for what is pending then: TTOU of an operator, or of the
    kernel, which sends it to the whole process group when a worker writes.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _TTOU)

    def poll() -> None:
        pending = signal.sigtimedwait(_TTOU, 0)
        # sigaction(2): the kernel's own signals have a positive code.
        if pending is not None and pending.si_code <= 0:
            callback()
        reactor.call_at(next_second(reactor.clock()), poll)

    poll()
