"""The process of a worker: the signals that end it, the children that plugins fork, and its end."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable
from typing import NoReturn

from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.system.descriptor_reserve import DescriptorReserve
from reactorhost.system.fork import ForkRegistry
from reactorhost.worker.process.alarm import Alarm
from reactorhost.worker.process.end_signals import EndSignals
from reactorhost.worker.process.exit_functions import run_exit_functions
from reactorhost.worker.process.forked_children import ForkedChildren

_EXIT_ALARM_SECONDS = 0.5
# To find the processes of plugins, in two threads, although the plugins have left no descriptor.
_EXIT_DESCRIPTORS = 2


class WorkerProcess:
    """This process; `watch` is called before any code of a plugin runs.

    Attributes:
        alarm: ends the process if it is stuck.
        fork_registry: what a child closes that a plugin forks.
    """

    _descriptors: DescriptorReserve
    _end_signals: EndSignals
    _forked_children: ForkedChildren

    def __init__(self, reactor: Reactor, log: EventLog) -> None:
        self.alarm = Alarm()
        self.fork_registry = ForkRegistry()
        self._reactor = reactor
        self._log = log

    def watch(
        self,
        on_term: Callable[[], object],
        on_quit: Callable[[], object],
        *,
        stop_seconds: float,
        master_pid: int,
    ) -> None:
        """Call back, from the loop, for TERM and QUIT, and release the children that plugins fork, from now on."""
        self._descriptors = DescriptorReserve(self.fork_registry, _EXIT_DESCRIPTORS)
        self._reactor.watch_signals({signal.SIGTERM: on_term, signal.SIGQUIT: on_quit}, self._signal_arrived)
        # After `watch_signals`, because it replaces the handler of TERM: see there.
        self.alarm.end_when_stuck(stop_seconds, master_pid)
        self._end_signals = EndSignals((signal.SIGTERM, signal.SIGQUIT), self._handler_failed)
        self._forked_children = ForkedChildren(self._reactor, self.fork_registry, self._end_signals, self._log)
        self._forked_children.watch()

    def keep_end_signals(self) -> None:
        """Put the handlers of TERM and QUIT back that a plugin has replaced."""
        self._end_signals.keep()

    def call_in_children(self, release: Callable[[Callable[[], NoReturn]], object]) -> None:
        """Call `release` too in each child that a plugin forks, with the function that ends the child."""
        self._forked_children.on_fork.append(release)

    def end_if_forked(self) -> None:
        """End this process if a plugin has forked it; the code that did so has returned to the host."""
        self._forked_children.end_if_child()

    def run_exit_functions(self, seconds: float) -> None:
        """Run the exit functions of plugins, and end their processes, within `seconds`."""
        # C code that holds the interpreter's lock stops the thread that keeps the time too.
        self.alarm.end_in(seconds + _EXIT_ALARM_SECONDS)
        self._descriptors.close()
        run_exit_functions(seconds, self._log)

    def _signal_arrived(self, number: int) -> None:
        self._end_signals.arrived(number)

    def _handler_failed(self, number: signal.Signals, raised: BaseException) -> None:
        details = "".join(traceback.format_exception(raised))
        self._log.error("signal_handler_failed", signal=number.name, error=repr(raised), details=details)
