"""The steps of chaos follow from the seed alone, and are read back from a journal."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from chaos_actions import Actions
from chaos_plan import WEIGHTS, Step, recorded, steps


def test_a_seed_and_a_round_always_give_the_same_steps() -> None:
    assert list(steps(5, 2, 60)) == list(steps(5, 2, 60))
    assert list(steps(5, 2, 60)) != list(steps(5, 3, 60))
    assert list(steps(5, 2, 60)) != list(steps(6, 2, 60))


def test_every_action_is_drawn_and_can_be_carried_out() -> None:
    drawn = Counter(step.action for step in steps(1, 0, 3600))
    assert drawn.keys() == WEIGHTS.keys()
    assert all(callable(getattr(Actions, f"_{name}")) for name in WEIGHTS)


def test_a_journal_is_read_back_by_rounds(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    rounds = [list(steps(1, number, 5)) for number in range(2)]
    lines: list[object] = []
    for number, plan in enumerate(rounds):
        lines += [{"round": number}, *map(asdict, plan), {"note": "what it was"}]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert recorded(journal) == rounds


@pytest.mark.parametrize(("draw", "number"), [(0.0, 1), (0.34, 2), (0.999, 3)])
def test_a_draw_is_spread_over_all_numbers(draw: float, number: int) -> None:
    assert Step(0.0, "scale", (draw,)).number(0, 1, 3) == number
