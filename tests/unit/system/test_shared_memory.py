"""Memory that processes share: its descriptors, its size, and where it cannot be a file."""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Iterator

import pytest

from reactorhost.errors import ReactorhostError
from reactorhost.system.shared_memory import SharedMemory

_SIZE = 65536
_NAME = "test-shared-memory"


def _open_files() -> list[str]:
    found = []
    for each in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{each}"))
        except FileNotFoundError:
            # That of the listing.
            continue
    return [each for each in found if _NAME in each]


@pytest.fixture
def no_large_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_SIZE - 1, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_memory_stays_when_its_file_is_closed_and_no_descriptor_is_left() -> None:
    shared = SharedMemory(_NAME, _SIZE)
    shared.memory[:3] = b"abc"
    shared.close()
    shared.close()
    assert _open_files() == []
    assert bytes(shared.memory[:4]) == b"abc\0"


def test_two_mappings_of_a_file_have_the_same_content() -> None:
    first = SharedMemory(_NAME, _SIZE)
    second = SharedMemory("", _SIZE, os.dup(first.export()))
    first.memory[-1] = 7
    assert second.memory[-1] == 7
    second.discard(_SIZE - 4096, 4096)
    assert first.memory[-1] == 0


def test_a_file_that_is_too_short_is_refused() -> None:
    # Its memory would end the process with SIGBUS.
    first = SharedMemory(_NAME, _SIZE)
    with pytest.raises(ValueError, match="shorter"):
        SharedMemory("", _SIZE + 1, first.export())


def test_file_and_mapping_end_with_the_last_view_of_the_memory() -> None:
    shared = SharedMemory(_NAME, _SIZE)
    part = shared.memory[:4].cast("I")
    del shared
    gc.collect()
    part[0] = 5
    assert part[0] == 5
    del part
    gc.collect()
    with open("/proc/self/maps") as maps:
        assert _NAME not in maps.read()


def test_memory_above_the_limit_of_file_sizes_is_shared_but_cannot_be_passed_on(no_large_files: None) -> None:
    shared = SharedMemory(_NAME, _SIZE)
    pid = os.fork()
    if pid == 0:
        shared.memory[0] = 3
        os._exit(0)
    os.waitpid(pid, 0)
    assert shared.memory[0] == 3
    with pytest.raises(ReactorhostError, match="limit of file sizes is too low") as raised:
        shared.export()
    assert f"at least {_SIZE} bytes" in str(raised.value.hint)
    shared.close()
