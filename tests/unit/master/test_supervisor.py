"""The supervisor: what becomes of the actions of a turn."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from unittest.mock import Mock

from fake_supervisor import FakeSupervisor
from reactorhost.master.plan import actions
from reactorhost.master.supervisor import Supervisor
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller


def test_an_action_that_the_system_refuses_does_not_stop_the_others() -> None:
    reactor = Reactor(FakePoller(FakeClock()))
    planner = Mock(decide=Mock(side_effect=[[actions.Close(1), actions.Close(2)], []]), workers={})
    planner.next_at.return_value = None
    listeners = Mock(close_slot=Mock(side_effect=[OSError(errno.ENOBUFS, "No buffer space available"), None]))
    log = Mock()
    context = SimpleNamespace(
        reactor=reactor, log=log, listeners=listeners, planner=planner, pool=Mock(), introductions=Mock()
    )
    Supervisor(context).schedule()  # type: ignore[arg-type]
    planner.begin_reload.return_value = planner.reload.finish.return_value = False
    reactor.turn(0)
    log.error.assert_called_once_with("action_failed", action="close", error="No buffer space available")
    assert [call.args for call in listeners.close_slot.call_args_list] == [(1,), (2,)]


def test_what_plugins_allow_is_logged_when_it_changes() -> None:
    host = FakeSupervisor(3, one=None, two=2)
    host.running()
    log, reactor = Mock(), Reactor(FakePoller(FakeClock()))
    context = SimpleNamespace(
        reactor=reactor, log=log, listeners=Mock(), planner=host.planner, pool=Mock(), introductions=Mock()
    )
    supervisor = Supervisor(context)  # type: ignore[arg-type]
    for declared in (
        {"one": (2, "chat"), "two": (2, "chat")},
        {"one": (2, "chat")},
        {"one": (1, "chat"), "two": (1, "door")},
        {},
    ):
        supervisor.limit_services(declared)
    assert [call.kwargs for call in log.info.call_args_list] == [
        {"service": "one", "workers": 2, "plugin": "chat"},
        {"service": "one", "workers": 1, "plugin": "chat"},
        {"service": "two", "workers": 1, "plugin": "door"},
    ]


def test_only_listening_sockets_of_services_that_its_slot_serves_are_lent_to_an_adopter() -> None:
    host = FakeSupervisor(4, one=1, two=2, all=None)
    first, second, third, _ = host.running()
    sockets = [
        Mock(is_open=is_open, group=Mock(service=service))
        for service, is_open in (("one", True), ("two", True), ("all", True), ("all", False))
    ]
    listeners = Mock(owned_by=Mock(return_value=sockets))
    reactor, pool = Reactor(FakePoller(FakeClock())), Mock()
    context = SimpleNamespace(
        reactor=reactor, log=Mock(), listeners=listeners, planner=host.planner, pool=pool, introductions=Mock()
    )
    supervisor = Supervisor(context)  # type: ignore[arg-type]
    for adopter in (second, third):
        supervisor._try(actions.Adopt(0, adopter), host.now)
    assert [call.args for call in pool.lend.call_args_list] == [(second, 0, sockets[1:3]), (third, 0, sockets[2:3])]
    assert first in host.planner.workers


def test_a_slot_for_sockets_that_were_given_up_ends_at_once_if_there_are_none() -> None:
    host = FakeSupervisor(2)
    host.running()
    listeners = Mock(move=Mock(return_value=False))
    reactor, pool = Reactor(FakePoller(FakeClock())), Mock()
    context = SimpleNamespace(
        reactor=reactor, log=Mock(), listeners=listeners, planner=host.planner, pool=pool, introductions=Mock()
    )
    Supervisor(context).limit_services({"default": (1, "chat")})  # type: ignore[arg-type]
    assert sorted(host.planner.slots) == [0, 1]
    order = {"order": "move", "service": "default", "slots": (1,), "to": 256}
    assert order in [call.args[1] for call in pool.order.call_args_list]


def test_the_start_of_a_worker_is_logged_once_until_its_slot_is_ready() -> None:
    host = FakeSupervisor(1)
    host.running()
    log, reactor, pool = Mock(), Reactor(FakePoller(FakeClock())), Mock(fork=Mock(side_effect=range(2000, 2004)))
    context = SimpleNamespace(
        reactor=reactor, log=log, listeners=Mock(), planner=host.planner, pool=pool, introductions=Mock()
    )
    supervisor = Supervisor(context)  # type: ignore[arg-type]
    host.exit(1000)
    for pid in (2000, 2001, 2002):
        supervisor._try(actions.Spawn(0, 1), host.now)
        if pid < 2002:
            host.exit(pid)
    host.planner.ready(2002, host.now)
    supervisor._try(actions.Spawn(0, 2), host.now)
    assert [call.kwargs["pid"] for call in log.info.call_args_list] == [2000, 2003]


def test_a_worker_is_forked_with_the_sockets_that_its_slot_has_if_others_cannot_be_made() -> None:
    host = FakeSupervisor(1)
    host.running()
    no_room = OSError(errno.EMFILE, "Too many open files")
    listeners = Mock(open_slot=Mock(side_effect=[no_room, None]), of_slot=Mock(return_value=["socket"]))
    log, reactor, pool = Mock(), Reactor(FakePoller(FakeClock())), Mock(fork=Mock(side_effect=[2000, 2001]))
    context = SimpleNamespace(
        reactor=reactor, log=log, listeners=listeners, planner=host.planner, pool=pool, introductions=Mock()
    )
    supervisor = Supervisor(context)  # type: ignore[arg-type]
    for _ in range(2):
        supervisor._try(actions.Spawn(0, 1), host.now)
    log.error.assert_called_once_with("slot_not_opened", slot=0, error="Too many open files")
    assert [call.args[-1] for call in pool.fork.call_args_list] == [["socket"], ["socket"]]
    assert {2000, 2001} <= host.planner.workers.keys()
