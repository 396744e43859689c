"""What the kernel reports of processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reactorhost.system import procfs


def test_the_descriptors_of_a_process_are_counted() -> None:
    before = procfs.descriptors_of(os.getpid())
    if before is None:
        pytest.skip("the kernel does not report it")
    # The list has one more: that of the directory.
    assert before == len(os.listdir("/proc/self/fd")) - 1
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
    try:
        assert procfs.descriptors_of(os.getpid()) == before + 5
    finally:
        for each in opened:
            os.close(each)


def test_the_descriptors_of_a_process_that_is_gone_are_unknown() -> None:
    beyond = int(Path("/proc/sys/kernel/pid_max").read_text()) + 1
    assert procfs.descriptors_of(beyond) is None


def test_the_state_of_a_process_is_read_behind_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert procfs.state(os.getpid()) == "running"
    monkeypatch.setattr(procfs, "_content", lambda _path: b"7 (a) S (b) T 1 7 7 0")
    assert procfs.state(7) == "stopped"


def test_the_processor_time_of_a_process_is_read_behind_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = " ".join(map(str, range(3, 53)))
    monkeypatch.setattr(procfs, "_content", lambda _path: f"7 (a) S (b) {fields}".encode())
    monkeypatch.setattr(procfs, "_TICKS", 100)
    assert procfs.cpu_seconds(7) == 0.29


def test_the_processor_time_of_a_process_that_has_gone_is_unknown() -> None:
    assert procfs.cpu_seconds(2**22 + 1) is None


def test_the_state_of_a_process_that_has_gone_is_unknown() -> None:
    assert procfs.state(2**22 + 1) is None


@pytest.mark.parametrize("known", [True, False], ids=["kernel counts", "directory is listed"])
def test_the_open_descriptors_are_counted(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not known:
        monkeypatch.setattr(procfs, "descriptors_of", lambda _pid: None)
    before = procfs.open_descriptors()
    assert before is not None
    with Path("/dev/null").open():
        assert procfs.open_descriptors() == before + 1
