"""`workers = "auto"` is limited by the affinity mask and by the CPU quota of every control group of the process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reactorhost.config.cpus import available_cpus


class Groups:
    """A fake /sys/fs/cgroup and /proc/self/cgroup."""

    def __init__(self, folder: Path) -> None:
        self.memberships = folder / "cgroup"
        self.hierarchy = folder / "hierarchy"
        self.hierarchy.mkdir()

    def write(self, file: str, text: str) -> None:
        path = self.hierarchy / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def cpus(self, affinity: int = 8) -> int:
        return available_cpus(affinity, self.memberships, self.hierarchy)


@pytest.fixture
def groups(tmp_path: Path) -> Groups:
    return Groups(tmp_path)


def test_without_control_groups_the_affinity_decides(groups: Groups) -> None:
    assert groups.cpus(6) == 6


def test_the_affinity_is_read_from_the_kernel(groups: Groups) -> None:
    assert available_cpus(None, groups.memberships, groups.hierarchy) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("9900000 100000", 8), ("max 100000", 8)],
)
def test_a_quota_of_version_2_limits_the_count(groups: Groups, quota: str, cpus: int) -> None:
    groups.memberships.write_text("0::/app.slice/web\n")
    groups.write("app.slice/web/cpu.max", f"{quota}\n")
    assert groups.cpus() == cpus


def test_the_quota_of_an_ancestor_limits_the_count(groups: Groups) -> None:
    groups.memberships.write_text("0::/app.slice/web\n")
    groups.write("app.slice/web/cpu.max", "400000 100000\n")
    groups.write("app.slice/cpu.max", "300000 100000\n")
    assert groups.cpus() == 3


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_a_quota_of_version_1_limits_the_count(groups: Groups, mount: str) -> None:
    groups.memberships.write_text("5:memory:/x\n4:cpu,cpuacct:/docker/abc\n0::/\n")
    groups.write(f"{mount}/docker/abc/cpu.cfs_quota_us", "250000\n")
    groups.write(f"{mount}/docker/abc/cpu.cfs_period_us", "100000\n")
    assert groups.cpus() == 3


def test_in_a_container_the_group_of_version_1_is_at_the_root(groups: Groups) -> None:
    groups.memberships.write_text("4:cpu,cpuacct:/docker/abc\n")
    groups.write("cpu/cpu.cfs_quota_us", "100000\n")
    groups.write("cpu/cpu.cfs_period_us", "100000\n")
    assert groups.cpus() == 1


def test_minus_one_is_no_quota_in_version_1(groups: Groups) -> None:
    groups.memberships.write_text("4:cpu:/\n")
    groups.write("cpu/cpu.cfs_quota_us", "-1\n")
    groups.write("cpu/cpu.cfs_period_us", "100000\n")
    assert groups.cpus() == 8


@pytest.mark.parametrize("text", ["", "x\n", "1 0\n", "max\n", "\xff\n"], ids=repr)
def test_an_invalid_quota_is_ignored(groups: Groups, text: str) -> None:
    groups.memberships.write_text("0::/\nrubbish\n")
    groups.write("cpu.max", text)
    assert groups.cpus() == 8


def test_a_controller_whose_name_only_contains_cpu_is_ignored(groups: Groups) -> None:
    groups.memberships.write_text("3:cpuset:/\n")
    groups.write("cpu/cpu.cfs_quota_us", "100000\n")
    groups.write("cpu/cpu.cfs_period_us", "100000\n")
    assert groups.cpus() == 8
