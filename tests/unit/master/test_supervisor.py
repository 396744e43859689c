"""The supervisor: what becomes of the actions of a turn."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from unittest.mock import Mock

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
    context = SimpleNamespace(reactor=reactor, log=log, listeners=listeners, planner=planner, pool=Mock())
    Supervisor(context).schedule()  # type: ignore[arg-type]
    planner.begin_reload.return_value = planner.reload.finish.return_value = False
    reactor.turn(0)
    log.error.assert_called_once_with("action_failed", action="close", error="No buffer space available")
    assert [call.args for call in listeners.close_slot.call_args_list] == [(1,), (2,)]
