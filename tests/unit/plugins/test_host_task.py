"""Which exceptions of async plugin code are cancellations by the host."""

from __future__ import annotations

import asyncio

import pytest

from reactorhost.plugins.host_task import HostTask, cancel_all, is_host_cancellation


async def wait(seen: list[bool]) -> None:
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError as raised:
        seen.append(is_host_cancellation(raised))


def test_what_is_raised_without_a_loop_is_not_a_cancellation_by_the_host() -> None:
    # As in a task that is collected together with its loop.
    assert not is_host_cancellation(GeneratorExit())


@pytest.mark.parametrize("by_host", [True, False])
def test_a_task_knows_whether_the_host_has_cancelled_it(by_host: bool) -> None:
    seen: list[bool] = []

    async def run() -> None:
        task = HostTask(wait(seen), loop=asyncio.get_running_loop())
        await asyncio.sleep(0)
        (task.cancel_by_host if by_host else task.cancel)()
        await task

    asyncio.run(run())
    assert seen == [by_host]


def test_all_tasks_of_a_loop_are_cancelled_as_by_the_host() -> None:
    seen: list[bool] = []

    loop = asyncio.new_event_loop()
    tasks = [HostTask(wait(seen), loop=loop), loop.create_task(wait(seen))]
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert cancel_all(loop) == set(tasks)
    loop.run_until_complete(asyncio.gather(*tasks))
    loop.close()
    assert sorted(seen) == [False, True]
