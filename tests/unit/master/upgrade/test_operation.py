"""An upgrade: what it waits for, and what makes it end without another program."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import signal
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from fake_supervisor import FakeSupervisor
from reactorhost.errors import BootError, ReactorhostError, UsageError
from reactorhost.master.plan.planner import HostState
from reactorhost.master.upgrade import document, operation
from reactorhost.master.upgrade.operation import Upgrade, UpgradeState
from reactorhost.master.upgrade.preflight import Verdict
from reactorhost.reactor import Reactor
from reactorhost.system.handover import Handover, Program, Purpose
from reactorhost.system.manager_variables import ManagerVariables
from reactorhost.testing.fakes import FakeClock, FakePoller

PYTHON = "/other/bin/python"
PID = 77


class Host:
    """An upgrade whose check and next program are not executed.

    Attributes:
        preflight: stands in for the check, which has ended well when `checked` is called.
        executed: the programs that were executed, each with its purpose; `refusal`, if set, is raised instead.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.planned = FakeSupervisor(2)
        self.planned.running()
        self.clock = FakeClock()
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.preflight = Mock(pid=PID, verdict=lambda status: Verdict("9", "3.99", ("old",)))
        self.executed: list[tuple[Program, Purpose]] = []
        self.refusal: OSError | None = None
        self.requests = Mock(idle=True)
        self.log = Mock()
        planner, pool = self.planned.planner, Mock(awaits_exit=False)
        self.context = SimpleNamespace(
            reactor=self.reactor, log=self.log, planner=planner, pool=pool, requests=self.requests
        )
        self.supervisor = Mock(after_settling=[])
        self.lifecycle = Mock(context=self.context, supervisor=self.supervisor, started=True, other_children={})
        self.sessions: list[Any] = []
        self.endpoint = Mock(**{"quiesce.return_value": True})
        self.descriptors: list[int] = []
        state = Mock(descriptors=lambda: iter(self.descriptors))
        control = Mock(sessions=lambda: self.sessions)
        self.parts = Mock(control=control, endpoint=self.endpoint, export=lambda blocked: state)
        launch = Mock(arguments=("start",), directory="/", environment={"A": "b"})
        monkeypatch.setattr(operation, "Preflight", lambda program, content, registry: self.preflight)
        monkeypatch.setattr(document, "encode", lambda content: {})
        manager = ManagerVariables(notify_socket="/run/notify")
        self.upgrade = Upgrade(launch, self.lifecycle, manager, lambda: self.parts)

    def client(self, *, busy: bool = True) -> Mock:
        session = Mock(busy=busy)
        session.failed.side_effect = lambda error: setattr(session, "busy", False)
        self.sessions.append(session)
        return session

    def request(self) -> Mock:
        session = self.client()
        self.upgrade.request(session, {"interpreter": PYTHON})
        return session

    def checked(self) -> None:
        self.lifecycle.other_children.pop(PID)(0)

    def after(self, seconds: float) -> None:
        self.clock.now += seconds
        self.reactor.turn(0)

    def settled(self) -> None:
        for callback in self.supervisor.after_settling:
            callback()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(monkeypatch)

    def execute(program: Program, handover: Handover) -> None:
        if made.refusal is not None:
            raise made.refusal
        # A program that is executed does not return; here it does.
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        made.executed.append((program, handover.purpose))
        made.upgrade.state = UpgradeState.IDLE

    monkeypatch.setattr(Program, "execute", execute)
    return made


def test_a_checked_installation_is_executed_with_all_signals_blocked(host: Host) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    session = host.request()
    assert host.executed == []
    host.checked()
    ((program, purpose),) = host.executed
    assert (program.interpreter, program.arguments, purpose) == (PYTHON, ("start",), Purpose.RESUME)
    assert program.environment["A"] == "b"
    assert program.environment["NOTIFY_SOCKET"] == "/run/notify"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    session.warning.assert_called_once_with("old")
    session.failed.assert_not_called()


def test_a_check_that_takes_too_long_is_ended(host: Host) -> None:
    session = host.request()
    host.after(host.context.planner.settings.boot_timeout + 29.9)
    host.preflight.end.assert_not_called()
    host.after(0.2)
    host.preflight.end.assert_called_once_with(late=True)
    host.preflight.verdict = Mock(side_effect=BootError("it did not finish in time"))
    host.checked()
    assert session.failed.call_args.args[0].what == "it did not finish in time"
    assert host.upgrade.state is UpgradeState.IDLE
    host.preflight.close.assert_called_once_with()
    assert host.executed == []


def reload(host: Host) -> None:
    host.context.planner.reload.request()


def no_reload(host: Host) -> None:
    host.context.planner.reload.abandon(ReactorhostError("x"))


def other_client(host: Host) -> None:
    host.client()


def no_other_client(host: Host) -> None:
    host.sessions[-1].busy = False


def unanswered(host: Host) -> None:
    host.requests.idle = False


def answered(host: Host) -> None:
    host.requests.idle = True


def worker_leaves(host: Host) -> None:
    host.context.pool.awaits_exit = True


def worker_left(host: Host) -> None:
    host.context.pool.awaits_exit = False


def probed(host: Host) -> None:
    host.endpoint.quiesce.return_value = False


def not_probed(host: Host) -> None:
    host.endpoint.quiesce.return_value = True


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (reload, no_reload),
        (other_client, no_other_client),
        (unanswered, answered),
        (worker_leaves, worker_left),
        (probed, not_probed),
    ],
)
def test_what_runs_is_waited_for(host: Host, begin: Any, end: Any) -> None:
    session = host.request()
    begin(host)
    host.checked()
    host.after(0.1)
    host.after(0.1)
    assert host.executed == []
    texts = [call.args[0] for call in session.progress.call_args_list]
    assert texts.count("waiting until what runs now has ended") == 1
    end(host)
    host.after(0.1)
    assert len(host.executed) == 1


def test_probes_are_answered_while_something_else_is_waited_for(host: Host) -> None:
    host.request()
    unanswered(host)
    host.checked()
    host.after(0.1)
    host.endpoint.quiesce.assert_not_called()


@pytest.mark.parametrize("state", [HostState.LEAVING, HostState.STOPPING])
@pytest.mark.parametrize("waiting", [False, True], ids=["in the check", "in the wait"])
def test_a_stop_ends_it(host: Host, state: HostState, waiting: bool) -> None:
    session = host.request()
    if waiting:
        host.requests.idle = False
        host.checked()
    host.context.planner.state = state
    host.settled()
    host.settled()
    assert session.failed.call_args.args[0].what == "the host is being stopped"
    assert host.preflight.end.call_count == (not waiting)
    if not waiting:
        host.checked()
    host.requests.idle = True
    host.after(0.1)
    assert host.executed == []
    host.log.error.assert_called_once()
    with pytest.raises(ReactorhostError, match="being stopped"):
        host.request()


def test_a_program_that_cannot_be_executed_changes_nothing(host: Host) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    session = host.request()
    host.refusal = OSError(errno.ENOEXEC, "Exec format error")
    host.checked()
    assert session.failed.call_args.args[0].what == "cannot execute the installation: Exec format error"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    host.refusal = None
    host.request()
    host.checked()
    assert len(host.executed) == 1


def test_a_descriptor_that_cannot_be_handed_over_leaves_nothing_open_or_inheritable(host: Host) -> None:
    with open(os.devnull) as good:
        host.descriptors = [good.fileno(), -1]
        session = host.request()
        before = set(os.listdir("/proc/self/fd"))
        host.checked()
        assert session.failed.call_args.args[0].what == "cannot execute the installation: Bad file descriptor"
        assert set(os.listdir("/proc/self/fd")) == before
        assert not os.get_inheritable(good.fileno())


def test_a_program_that_could_open_nothing_is_not_executed(host: Host) -> None:
    session = host.request()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = set(map(int, os.listdir("/proc/self/fd")))
    free = (number for number in itertools.count() if number not in used)
    # Ten are free: enough to write the state.
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(itertools.islice(free, 10, None)), limits[1]))
    try:
        host.checked()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    failure = session.failed.call_args.args[0]
    assert failure.what == "cannot execute the installation: Too many open files"
    assert "LimitNOFILE" in failure.hint
    assert host.executed == []


def test_a_failure_of_the_next_program_is_reported_once_this_one_continues(host: Host) -> None:
    session = host.client()
    host.parts.restore = lambda state: [session]
    failure = BootError("version 9 failed to continue the host").as_fields()
    host.upgrade.resume(Mock(requesters=(0,), failure=failure))
    # Its descriptor might be closed then, and all of them are needed until this program can continue.
    assert not session.failed.called
    host.reactor.turn(0)
    assert session.failed.call_args.args[0].what == "version 9 failed to continue the host"
    assert host.upgrade.state is UpgradeState.IDLE


def test_a_second_request_follows_the_first(host: Host) -> None:
    first, second = host.request(), host.request()
    host.upgrade.signals()[signal.SIGUSR2]()
    assert second.progress.call_args.args[0] == "following the upgrade that is running"
    host.preflight.verdict = Mock(side_effect=BootError("broken"))
    host.checked()
    for session in (first, second):
        assert session.failed.call_args.args[0].what == "broken"
    assert host.lifecycle.other_children == {}


def test_a_second_request_with_another_interpreter_is_refused(host: Host) -> None:
    host.request()
    with pytest.raises(ReactorhostError, match=f"an upgrade with {PYTHON} is running"):
        host.upgrade.request(host.client(), {"interpreter": "/third/bin/python"})
    # A signal names no interpreter.
    host.upgrade.request()
    host.log.error.assert_not_called()


def test_a_host_that_starts_is_not_upgraded(host: Host) -> None:
    host.lifecycle.started = False
    with pytest.raises(ReactorhostError, match="still starting"):
        host.request()
    host.upgrade.signals()[signal.SIGUSR2]()
    host.log.error.assert_called_once_with("upgrade_failed", error="the host is still starting")


@pytest.mark.parametrize("interpreter", ["python", 7, "/bin/a\0b"])
def test_an_interpreter_is_a_path(host: Host, interpreter: object) -> None:
    with pytest.raises(UsageError, match="cannot upgrade with"):
        host.upgrade.request(host.client(), {"interpreter": interpreter})
