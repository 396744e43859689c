"""Which workers are replaced because of a limit, and when."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from fake_supervisor import FakeSupervisor
from reactorhost.master.plan.actions import Drain, Signal, Spawn
from reactorhost.master.plan.planner import Planner
from reactorhost.master.plan.recycle_limits import Excess, Usage

UNUSED = Usage(0, 0, 0)


class Host(FakeSupervisor):
    """A host whose workers have limits."""

    def __init__(self, workers: int, seed: int = 1, **limits: Any) -> None:
        super().__init__(workers)
        self.planner = Planner(replace(self.planner.settings, **limits), random.Random(seed))
        self.pids_at_start = self.running()

    def due(self, **usage: int) -> list[Excess]:
        """Return what is due if every worker has used as much."""
        used = replace(UNUSED, **usage)
        return self.due_by_worker(dict.fromkeys(self.planner.workers, used))

    def due_by_worker(self, usage: dict[int, Usage]) -> list[Excess]:
        return self.planner.recycle_limits.due(usage, self.planner.settings, self.now)

    def recycle(self, *due: Excess) -> list[Mock]:
        """Request the replacements; returns their watchers."""
        watchers = []
        for excess in due:
            watchers.append(Mock())
            self.planner.recycle(excess.worker.pid, watchers[-1])
        self.settle()
        return watchers


@pytest.mark.parametrize(
    ("setting", "usage"),
    [
        ("max_rss", "rss_bytes"),
        ("max_connections_per_worker", "accepted"),
        ("max_messages_per_worker", "messages"),
    ],
)
def test_a_worker_is_due_when_it_has_used_its_share_of_the_limit(setting: str, usage: str) -> None:
    host = Host(1, **{setting: 1000})
    host.now += 3600
    assert host.due(**{usage: 899}) == []
    (excess,) = host.due(**{usage: 1000})
    assert (excess.setting, excess.value, excess.worker.pid) == (setting, 1000, host.pids_at_start[0])
    assert 900 <= excess.limit <= 1000


def test_the_age_of_a_worker_counts_from_when_it_was_ready() -> None:
    host = FakeSupervisor(1)
    host.planner.settings = replace(host.planner.settings, max_age=100.0)
    host.settle()
    host.now += 9
    host.ready(0)
    usage = dict.fromkeys(host.planner.workers, UNUSED)
    host.now += 89.5
    assert host.planner.recycle_limits.due(usage, host.planner.settings, host.now) == []
    host.now += 10.5
    (excess,) = host.planner.recycle_limits.due(usage, host.planner.settings, host.now)
    assert (excess.setting, excess.value) == ("max_age", 100.0)


def test_without_limits_no_worker_is_due() -> None:
    host = Host(2)
    host.now += 1e9
    assert host.due(rss_bytes=1 << 40, accepted=1 << 40, messages=1 << 40) == []


def test_a_worker_whose_memory_cannot_be_read_is_not_due() -> None:
    host = Host(1, max_rss=1000)
    host.now += 3600
    assert host.due_by_worker(dict.fromkeys(host.planner.workers, Usage(None, 0, 0))) == []
    assert host.due_by_worker({}) == []


def test_the_limits_of_workers_that_started_together_are_spread() -> None:
    host = Host(200, max_messages_per_worker=1000)
    used = {pid: Usage(0, 0, 1000) for pid in host.planner.workers}
    limits = []
    for pid, usage in used.items():
        limits += [each.limit for each in host.due_by_worker({pid: usage})]
    assert len(limits) == 200
    assert all(900 <= limit <= 1000 for limit in limits)
    thirds = Counter(int((limit - 900) // 33.4) for limit in limits)
    assert all(40 <= thirds[third] <= 95 for third in range(3)), thirds


def test_the_share_of_a_worker_stays_and_follows_a_changed_setting() -> None:
    host = Host(1, max_messages_per_worker=1000)
    (first,), (again,) = host.due(messages=5000), host.due(messages=5000)
    host.planner.settings = replace(host.planner.settings, max_messages_per_worker=2000)
    (doubled,) = host.due(messages=5000)
    assert first.limit == again.limit == doubled.limit / 2
    host.planner.settings = replace(host.planner.settings, max_messages_per_worker=None)
    assert host.due(messages=5000) == []


@pytest.mark.parametrize(("workers", "at_once"), [(1, 1), (2, 1), (19, 1), (20, 2), (35, 3)])
def test_at_most_a_tenth_of_the_workers_is_replaced_at_a_time(workers: int, at_once: int) -> None:
    host = Host(workers, max_messages_per_worker=100)
    due = host.due(messages=100)
    assert len(due) == at_once
    host.recycle(*due)
    assert host.due(messages=100) == [], "their replacements boot"
    host.ready(due[0].worker.slot)
    assert len(host.due_by_worker(dict.fromkeys(host.pids_at_start, Usage(0, 0, 100)))) == min(1, workers - 1)


def test_workers_that_boot_after_a_crash_count_too() -> None:
    host = Host(20, max_messages_per_worker=100)
    host.exit(host.pids_at_start[3])
    host.settle()
    assert len(host.due(messages=100)) == 1
    host.exit(host.pids_at_start[4])
    host.settle()
    assert host.due(messages=100) == []


def test_the_worker_that_has_served_for_longest_is_replaced_first() -> None:
    host = Host(3, max_messages_per_worker=100)
    host.now += 5
    host.recycle(*host.due_by_worker({host.pids_at_start[0]: Usage(0, 0, 100)}))
    host.ready(0)
    assert [each.worker.pid for each in host.due(messages=100)] == [host.pids_at_start[1]]


def test_the_old_worker_drains_when_its_replacement_is_ready() -> None:
    host = Host(2, max_messages_per_worker=100)
    host.recycle(*host.due(messages=100))
    host.done.clear()
    host.ready(0)
    assert [each for each in host.done if isinstance(each, Drain)] == [Drain(host.pids_at_start[0], 60.0, final=False)]


def test_nothing_is_replaced_during_a_reload() -> None:
    host = Host(2, max_messages_per_worker=100)
    host.planner.reload.request()
    assert host.due(messages=100) == []
    assert host.planner.begin_reload()
    host.settle()
    assert host.due(messages=100) == []
    host.ready(0)
    host.ready(1)
    host.planner.reload.finish()
    assert len(host.due(messages=100)) == 1


def test_a_worker_that_leaves_is_not_replaced() -> None:
    host = Host(1, max_messages_per_worker=100)
    host.planner.leaving(host.pids_at_start[0], 5.0, host.now, waits=True)
    assert host.due(messages=100) == []


def test_the_memory_of_a_new_worker_is_not_looked_at() -> None:
    host = Host(1, max_rss=1000)
    assert host.due(rss_bytes=5000) == []
    host.now += 29.9
    assert host.due(rss_bytes=5000) == []
    host.now += 0.1
    assert len(host.due(rss_bytes=5000)) == 1


def test_frequent_replacements_do_not_cut_the_connections_of_workers_that_drain() -> None:
    host = Host(1, max_messages_per_worker=100)
    for _ in range(3):
        host.recycle(*host.due(messages=100))
        host.ready(0)
    drains = [each for each in host.done if isinstance(each, Drain)]
    assert [each.seconds for each in drains] == [60.0] * 3
    assert host.due(messages=100) == [], "three drain"
    host.exit(host.pids_at_start[0])
    assert len(host.due(messages=100)) == 1


def test_a_replacement_that_does_not_boot_is_tried_again_after_a_back_off() -> None:
    host = Host(2, max_messages_per_worker=100)
    attempts = []
    while host.now < 400:
        due = host.due(messages=100)
        if due:
            attempts.append(host.now)
            (watcher,) = host.recycle(*due)
            host.exit(host.starting(0))
            watcher.failed.assert_called_once()
        host.now += 1
    assert set(host.planner.workers) == set(host.pids_at_start), "the old workers serve on"
    assert not [each for each in host.done if isinstance(each, Drain | Signal)]
    gaps = [after - before for before, after in itertools.pairwise(attempts)]
    assert gaps[0] == 1
    assert all(22 <= gap <= 39 for gap in gaps[-4:]), gaps


def test_any_worker_that_boots_ends_the_back_off() -> None:
    host = Host(2, max_messages_per_worker=100)
    for _ in range(9):
        host.now += 40
        host.recycle(*host.due(messages=100))
        host.exit(host.starting(0))
    assert host.due(messages=100) == []
    host.exit(host.pids_at_start[1])
    host.settle()
    host.ready(1)
    assert len(host.due(messages=100)) == 1


def test_a_crash_of_a_worker_that_replaces_none_causes_no_back_off() -> None:
    host = Host(2, max_messages_per_worker=100)
    host.exit(host.pids_at_start[1])
    for _ in range(3):
        host.now += 60
        assert Spawn(1, 1) in host.settle()
        host.exit(host.starting(1))
    assert len(host.due(messages=100)) == 1
