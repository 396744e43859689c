"""The first thread that a plugin starts, however it does, is noticed before it runs."""

from __future__ import annotations

import _thread
import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from reactorhost.worker.hooks.loop_thread import LoopThread, call_before_threads

Function = Callable[[], object]


def start_in_pool(function: Function) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(function)


def start_by_asyncio(function: Function) -> None:
    asyncio.run(asyncio.to_thread(function))


STARTS: dict[str, Callable[[Function], object]] = {
    "Thread": lambda function: threading.Thread(target=function).start(),
    "Timer": lambda function: threading.Timer(0, function).start(),
    "_thread": lambda function: _thread.start_new_thread(function, ()),
    "ThreadPoolExecutor": start_in_pool,
    "to_thread": start_by_asyncio,
}


@pytest.mark.parametrize("kind", STARTS)
def test_a_thread_is_noticed_before_it_runs(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for owner, name in ((threading.Thread, "start"), (_thread, "start_new_thread")):
        # So that the wrappers are removed after the test.
        monkeypatch.setattr(owner, name, getattr(owner, name))
    calls: list[str] = []
    loop_thread, has_run = LoopThread(), threading.Event()
    loop_thread.on_others = lambda: calls.append("noticed")
    call_before_threads(loop_thread.other_starts)

    def run() -> None:
        calls.append("ran")
        has_run.set()

    STARTS[kind](run)
    assert has_run.wait(10)
    assert calls == ["noticed", "ran"]
    assert loop_thread.has_others
