"""A server that does not reload, or of which a worker does not answer, is an error and not a server without losses."""

from __future__ import annotations

import os
import signal
import time

import pytest

import reload_table
from reload_load import Load
from servers import Server, ServerError

GONE = 2**22 - 1


def test_a_server_whose_workers_stay_has_not_reloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload_table, "_RELOAD_SECONDS", 0.05)
    load = Load(0, answered_at={os.getpid(): time.monotonic()})
    with pytest.raises(ServerError, match="SIGCONT did not replace the workers"):
        reload_table._reload(Server(0, os.getpid()), signal.SIGCONT, load)


def test_a_server_that_answers_no_more_has_not_reloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload_table, "_RELOAD_SECONDS", 0.05)
    load = Load(0, answered_at={GONE: time.monotonic()})
    with pytest.raises(ServerError, match="did not replace"):
        reload_table._reload(Server(0, os.getpid()), signal.SIGCONT, load)


def test_workers_that_never_answered_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload_table, "_START_SECONDS", 0.05)
    load = Load(0, answered_at={os.getpid(): time.monotonic() + 60, GONE: time.monotonic() + 60})
    with pytest.raises(ServerError, match="1 of 2 workers answered"):
        reload_table._wait_for_workers(load, 2)
