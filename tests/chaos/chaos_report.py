"""What a run of chaos did, for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from census import Footprint


@dataclass(slots=True)
class Report:
    """What a run did.

    Attributes:
        actions: how often each was carried out.
        explained: lost clients by what explains them.
        counts: what the swarm counted.
        rounds: number of rounds.
        footprints: of the host after the last round.
    """

    actions: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    counts: dict[str, Any] = field(default_factory=dict)
    rounds: int = 0
    footprints: dict[str, Footprint] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.rounds} rounds, {self.actions.total()} actions, {self.counts['answered']} clients answered"]
        lines.append("  actions: " + ", ".join(f"{name} {number}" for name, number in sorted(self.actions.items())))
        lines.append("  lost: " + (", ".join(f"{why} {number}" for why, number in self.explained.items()) or "none"))
        lines.append("  clients: " + ", ".join(f"{kind} {number}" for kind, number in self.counts["kinds"].items()))
        for name, each in self.footprints.items():
            kinds = each.descriptors.total()
            lines.append(f"  {name}: {each.resident >> 10} KiB, {kinds} descriptors, {each.threads} threads")
        return "\n".join(lines)
