"""The steering program never chooses a socket that leaves, and every other one equally often."""

from __future__ import annotations

import struct
from collections import Counter

from hypothesis import given, strategies

from reactorhost.master.listen import reuseport_filter


def run(code: bytes, random_number: int) -> int:
    """Carry out a classic BPF program of the five instructions that steering uses."""
    instructions = list(struct.iter_unpack("=HBBI", code))
    register, at = 0, 0
    while True:
        operation, if_true, if_false, constant = instructions[at]
        at += 1
        match operation:
            case 0x20:
                assert constant == 0xFFFFF038, "loads something else than the random number"
                register = random_number
            case 0x94:
                register %= constant
            case 0x35:
                at += if_true if register >= constant else if_false
            case 0x04:
                register += constant
            case 0x16:
                return register
            case _:
                raise AssertionError(f"unknown instruction {operation:#x}")


@given(strategies.integers(2, 40), strategies.data())
def test_it_spreads_evenly_over_those_that_stay(sockets: int, data: strategies.DataObject) -> None:
    leaving = data.draw(strategies.sets(strategies.integers(0, sockets - 1), min_size=1, max_size=sockets - 1))
    code = reuseport_filter.program(sockets, sorted(leaving))
    staying = sockets - len(leaving)
    chosen = Counter(run(code, number) for number in range(3 * staying))
    assert chosen == dict.fromkeys(set(range(sockets)) - leaving, 3)
