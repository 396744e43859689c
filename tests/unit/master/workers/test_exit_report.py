"""A wait status in words, and a stack that is cut down to the code that is not the host's."""

from __future__ import annotations

import os

import pytest

import reactorhost
from reactorhost.master.workers.exit_report import cut_stack, decode, killed, take_stack

HOST = os.path.dirname(os.path.abspath(reactorhost.__file__))
STACK = f"""Fatal Python error: Aborted

Current thread 0x00007f0bbca94b80 (most recent call first):
  File "/srv/slow.py", line 3 in inner
  File "/srv/slow.py", line 9 in <module>
  File "<frozen importlib._bootstrap>", line 241 in _call_with_frames_removed
  File "{HOST}/plugins/loading.py", line 36 in load
  File "/usr/bin/reactorhost", line 6 in <module>"""


def test_the_frames_of_the_plugin_stay_and_the_first_is_the_place() -> None:
    stack = cut_stack(STACK)
    assert stack.where == "/srv/slow.py:3"
    assert stack.text.splitlines()[2:] == [
        "Current thread 0x00007f0bbca94b80 (most recent call first):",
        '  File "/srv/slow.py", line 3 in inner',
        '  File "/srv/slow.py", line 9 in <module>',
    ]


def test_a_stack_of_the_host_alone_is_kept_whole() -> None:
    text = f'Fatal Python error: Segmentation fault\n\n  File "{HOST}/worker/life.py", line 7 in run'
    stack = cut_stack(text)
    assert stack.text == text
    assert stack.where == f"{HOST}/worker/life.py:7"


def test_a_process_that_left_no_stack_has_none() -> None:
    assert take_stack(os.memfd_create("empty")) is None
    descriptor = os.memfd_create("full")
    os.write(descriptor, b"Fatal Python error: Aborted\n")
    stack = take_stack(descriptor)
    assert stack is not None
    assert stack.where is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exit status 0"),
        (3 << 8, "exit status 3"),
        (9, "signal 9 (SIGKILL)"),
        (11 | 0x80, "signal 11 (SIGSEGV)"),
        (33, "signal 33 (unknown)"),
    ],
)
def test_every_end_has_words(status: int, words: str) -> None:
    assert decode(status) == words


def test_only_the_kill_signal_asks_for_memory_evidence() -> None:
    assert killed(9)
    assert not killed(15)
    assert not killed(9 << 8)
