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
