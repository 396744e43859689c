"""The count of out-of-memory kills, in the layouts that systems and containers have, and the score of a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactorhost.system import oom

UNIFIED = "0::/system.slice/host.service\n"
FIRST_VERSION = "5:cpu,cpuacct:/\n4:memory:/docker/abc\n0::/docker/abc\n"


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oom, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(oom, "_PROC", tmp_path / "proc")
    (tmp_path / "proc/self").mkdir(parents=True)


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        (UNIFIED, "cgroup/system.slice/host.service/memory.events"),
        # The memory controller is enabled for a parent only.
        (UNIFIED, "cgroup/system.slice/memory.events"),
        # A container without a namespace for control groups.
        (UNIFIED, "cgroup/memory.events"),
        (FIRST_VERSION, "cgroup/memory/docker/abc/memory.oom_control"),
        (FIRST_VERSION, "cgroup/memory/memory.oom_control"),
        (UNIFIED, "proc/vmstat"),
        ("", "proc/vmstat"),
    ],
)
def test_the_count_is_found(tmp_path: Path, groups: str, file: str) -> None:
    (tmp_path / "proc/self/cgroup").write_text(groups)
    assert oom.kills() is None
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("oom_kill_disable 0\nunder_oom 0\noom 7\noom_kill 3\noom_group_kill 0\n")
    assert oom.kills() == 3


def test_the_closest_group_counts(tmp_path: Path) -> None:
    (tmp_path / "proc/self/cgroup").write_text(UNIFIED)
    group = tmp_path / "cgroup/system.slice/host.service"
    group.mkdir(parents=True)
    (tmp_path / "proc/vmstat").write_text("oom_kill 9\n")
    (group / "memory.events").write_text("oom_kill 1\n")
    assert oom.kills() == 1


@pytest.mark.parametrize(("before", "after"), [("0", "100"), ("-900", "-800"), ("950", "1000")])
def test_the_score_is_raised_from_that_of_the_parent(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "proc/self/oom_score_adj"
    path.write_text(before)
    oom.raise_score(100)
    assert path.read_text() == after


def test_a_score_that_cannot_be_changed_is_left(tmp_path: Path) -> None:
    oom.raise_score(100)
    assert not (tmp_path / "proc/self/oom_score_adj").exists()
