"""An upgrade from the request to the moment when the next program runs, and what that program does first.

    IDLE -> CHECKING     the other installation is checked in a child process (preflight.py)
    CHECKING -> WAITING  it could continue the host; a reload, a recycling or a request that runs is waited for
    WAITING -> executed  the next program begins, in this process, with the state of this one (document.py)
    any -> IDLE          it failed, or the host is being stopped: this program goes on

Nothing is closed before the next program runs, so a failure at any point changes nothing: clients wait in the queues of
the listeners, which stay open, workers go on, and what they report waits in their sockets. Signals are blocked from the
last look at the state on, and stay blocked until the next program handles them: none is lost or ends the process.
"""

from __future__ import annotations

import enum
import os
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from reactorhost import __version__
from reactorhost.errors import ReactorhostError, UsageError, error_from_os, limit_hint
from reactorhost.ipc.jsonlines import Message
from reactorhost.master.admin.commands import Launch
from reactorhost.master.admin.control_server import Session, Verb
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.metrics import library
from reactorhost.master.plan import planner_state
from reactorhost.master.plan.planner import HostState
from reactorhost.master.plan.progress import Watcher
from reactorhost.master.upgrade import document
from reactorhost.master.upgrade.document import Document
from reactorhost.master.upgrade.preflight import Preflight, Verdict
from reactorhost.master.upgrade.state import MasterParts
from reactorhost.reactor import TimerHandle
from reactorhost.system.handover import Handover, Program, Purpose
from reactorhost.system.manager_variables import ManagerVariables

_RETRY_SECONDS = 0.1
# Beside the boot of a worker, which the check includes: to start the interpreter and import the host.
_CHECK_SECONDS = 30.0
# What the next program opens before it continues the host, beside what it gets: files of modules, one after the other,
# then an epoll set, a pair of sockets, files of the configuration and the certificates.
_SPARE_DESCRIPTORS = 32


class UpgradeState(enum.Enum):
    """How far an upgrade is."""

    IDLE = "idle"
    CHECKING = "checking"
    WAITING = "waiting"


class Upgrade:
    """The upgrade of a host; `manager` is what a service manager passed.

    `parts` is called once the master is set up.
    """

    def __init__(
        self, launch: Launch, lifecycle: Lifecycle, manager: ManagerVariables, parts: Callable[[], MasterParts]
    ) -> None:
        self.state = UpgradeState.IDLE
        self._launch = launch
        self._lifecycle = lifecycle
        self._manager = manager
        self._parts = parts
        self._context = lifecycle.context
        self._watchers: list[Session] = []
        self._program: Program | None = None
        self._preflight: Preflight | None = None
        self._timer: TimerHandle | None = None
        self._has_waited = False
        lifecycle.supervisor.after_settling.append(self._settled)

    def verbs(self) -> dict[str, Verb]:
        """Return the verb of the control socket."""
        return {"upgrade": self.request}

    def signals(self) -> dict[signal.Signals, Callable[[], object]]:
        """Return the callback of the signal."""
        return {signal.SIGUSR2: self._signalled}

    def _signalled(self) -> None:
        try:
            self.request()
        except ReactorhostError as error:
            self._context.log.error("upgrade_failed", error=error.what)  # noqa: TRY400  no logger

    def request(self, session: Session | None = None, message: Message | None = None) -> None:
        """Begin an upgrade, or let another client follow the one that runs.

        Raises:
            ReactorhostError: the host starts or stops, an upgrade with another interpreter runs, or the interpreter
                cannot be used.
        """
        state = self._context.planner.state
        if state is not HostState.RUNNING or not self._lifecycle.started:
            doing = "being stopped" if self._stops() else "still starting"
            raise ReactorhostError(f"the host is {doing}")
        program = self._installation((message or {}).get("interpreter") or sys.executable)
        if self._program is not None:
            # A signal names none, so any upgrade that runs is its upgrade.
            if message is not None and program.interpreter != self._program.interpreter:
                what = f"an upgrade with {self._program.interpreter} is running"
                raise ReactorhostError(what, hint="wait until it has ended")
            if session is not None:
                self._watchers.append(session)
                session.progress("following the upgrade that is running")
            return
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        try:
            content = document.encode(
                Document(self._parts().export(blocked), program, has_metrics=library.is_installed())
            )
            preflight = Preflight(program, content, self._context.pool.registry)
        except OSError as error:
            raise error_from_os(error, "cannot check the installation", hint=limit_hint(error)) from None
        self.state, self._program, self._preflight = UpgradeState.CHECKING, program, preflight
        self._watchers += [] if session is None else [session]
        self._context.log.info("upgrade_started", interpreter=program.interpreter)
        self._progress(f"checking {program.interpreter}")
        seconds = self._context.planner.settings.boot_timeout + _CHECK_SECONDS
        self._timer = self._context.reactor.call_later(seconds, partial(preflight.end, late=True))
        self._lifecycle.other_children[preflight.pid] = self._checked

    def _installation(self, interpreter: object) -> Program:
        if not isinstance(interpreter, str) or "\0" in interpreter or not os.path.isabs(interpreter):
            raise UsageError(f"cannot upgrade with {interpreter!r}", hint="give the path of an interpreter")
        environment = {**os.environ, **self._launch.environment}
        return Program(interpreter, self._launch.arguments, self._launch.directory, environment)

    def _checked(self, status: int) -> None:
        """Go on when the process of the check has ended."""
        preflight, self._preflight = self._preflight, None
        assert preflight is not None, "it ended once"
        if self._timer is not None:
            self._timer.cancel()
        if self.state is not UpgradeState.CHECKING:
            # It was ended because the host is being stopped.
            preflight.close()
            return
        try:
            verdict = preflight.verdict(status)
        except ReactorhostError as error:
            self._fail(error)
            return
        finally:
            preflight.close()
        self._note(verdict)
        self.state, self._has_waited = UpgradeState.WAITING, False
        self._advance()

    def _note(self, verdict: Verdict) -> None:
        self._progress(f"version {verdict.version} on Python {verdict.python} can continue the host")
        for warning in verdict.warnings:
            for watcher in self._watchers:
                watcher.warning(warning)

    def _settled(self) -> None:
        if self.state is not UpgradeState.IDLE and self._stops():
            if self._preflight is not None:
                self._preflight.end()
            self._fail(ReactorhostError("the host is being stopped"))

    def _stops(self) -> bool:
        return self._context.planner.state in (HostState.LEAVING, HostState.STOPPING)

    def _advance(self) -> None:
        """Execute the program as soon as nothing runs that the next one could not continue."""
        if self.state is UpgradeState.WAITING:
            if self._is_quiet():
                self._execute()
            elif not self._has_waited:
                self._has_waited = True
                self._progress("waiting until what runs now has ended")
            if self.state is UpgradeState.WAITING:
                self._timer = self._context.reactor.call_later(_RETRY_SECONDS, self._advance)

    def _is_quiet(self) -> bool:
        # A client that waits for another operation gets its end from the program that has begun it.
        parts = self._parts()
        others = [each for each in parts.control.sessions() if each.busy and each not in self._watchers]
        if others or not self._context.requests.idle or not planner_state.is_idle(self._context.planner):
            return False
        if self._context.pool.awaits_exit:
            return False
        # Last: clients of the endpoint wait from its first call on.
        return parts.endpoint is None or parts.endpoint.quiesce()

    def _execute(self) -> None:
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            # What arrived before the mask: a stop, for instance.
            self._context.reactor.flush_signals()
            if self.state is UpgradeState.WAITING and self._is_quiet():
                self._hand_over(blocked)
        except OSError as error:
            self._fail(error_from_os(error, "cannot execute the installation", hint=limit_hint(error)))
        except ReactorhostError as error:
            self._fail(error)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _hand_over(self, blocked: Collection[int]) -> None:
        assert self._program is not None, "it was checked"
        parts = self._parts()
        sessions = parts.control.sessions()
        requesters = tuple(sessions.index(each) for each in self._watchers if each in sessions)
        state = parts.export(blocked)
        # Not of the program of a check, which is no part of the host for a service manager.
        variables = self._manager.notify_variables(os.getpid())
        own, program = (
            replace(each, environment=each.environment | variables)
            for each in (self._installation(sys.executable), self._program)
        )
        content = document.encode(Document(state, own, requesters))
        _check_spare_descriptors()
        descriptor = document.write(content)
        inheritable: list[int] = []
        try:
            for each in state.descriptors():
                os.set_inheritable(each, True)
                inheritable.append(each)
            program.execute(Handover(Purpose.RESUME, descriptor))
        finally:
            # The present program goes on.
            os.close(descriptor)
            for each in inheritable:
                os.set_inheritable(each, False)

    def resume(self, resumed: Document) -> None:
        """Continue a host, report that this program runs, and let its workers replace those of the one before."""
        sessions = self._parts().restore(resumed.state)
        self._watchers = [sessions[index] for index in resumed.requesters]
        failure = document.failure_of(resumed)
        if failure is not None:
            # Later: a client that is not there any more is closed then, and until this program can continue the host
            # no descriptor may be (document.py).
            self._context.reactor.call_soon(self._fail, failure)
            return
        python = resumed.python
        self._context.log.info("upgraded", before=resumed.version, version=__version__, python_before=python)
        watchers, self._watchers = self._watchers, []
        self._context.planner.reload.request(_Following(watchers, resumed.version))
        self._lifecycle.supervisor.schedule()

    def _progress(self, text: str) -> None:
        for watcher in self._watchers:
            watcher.progress(text, step_seconds=0.0)

    def _fail(self, error: ReactorhostError) -> None:
        """Report why this program goes on."""
        self.state, self._program = UpgradeState.IDLE, None
        watchers, self._watchers = self._watchers, []
        self._context.log.error("upgrade_failed", error=error.what, details=error.details)
        for watcher in watchers:
            watcher.failed(error)


def _check_spare_descriptors() -> None:
    """Check that the next program will not end at its first import, when no way leads back.

    Raises:
        OSError: the process is too near its limit.
    """
    with ExitStack() as stack:
        for _ in range(_SPARE_DESCRIPTORS):
            stack.callback(os.close, os.dup(0))


class _Following(Watcher):
    """Passes the reload after an upgrade on to the clients that requested the upgrade."""

    def __init__(self, watchers: Sequence[Watcher], before: str) -> None:
        self._watchers = watchers
        self._before = before

    def progress(self, text: str, **fields: object) -> None:
        for watcher in self._watchers:
            watcher.progress(text, **fields)

    def done(self, **result: object) -> None:
        for watcher in self._watchers:
            watcher.done(before=self._before, version=__version__, **result)

    def failed(self, error: ReactorhostError) -> None:
        error.hint = f"the master has version {__version__} now, and the workers of {self._before} serve on"
        for watcher in self._watchers:
            watcher.failed(error)
