"""The pictures of the page and the stored runs that have measurements for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from summaries import FigureSummary, RunSummary


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure in one case, a bar for each peer."""

    caption: str
    figure: str
    case: Mapping[str, Any] = field(default_factory=dict)

    def of(self, run: RunSummary) -> FigureSummary | None:
        """Return the figure, None where the run has no value in it."""
        return run.figure(self.figure, **self.case)


@dataclass(frozen=True, slots=True)
class Picture:
    """Panels side by side.

    Attributes:
        same_scale: whether all panels have one scale.
    """

    file: str
    title: str
    panels: Sequence[Panel]
    same_scale: bool = False


PICTURES = (
    Picture(
        "bench-cpu.svg",
        "Server CPU per message, one in flight, µs",
        [
            Panel(caption, "cpu_per_message", {"bytes": size, "mode": "closed"})
            for caption, size in (("64 B", 64), ("1 KiB", 1024), ("16 KiB", 16384))
        ],
    ),
    Picture(
        "bench-connections.svg",
        "Short connections: connect, one message each way, close",
        [Panel("server CPU for each, µs", "cpu_per_connection"), Panel("per second", "connections")],
    ),
    Picture(
        "bench-latency.svg",
        "Latency at half of the largest load, µs",
        [Panel(f"p{quantile * 100:g}", "latency", {"quantile": quantile}) for quantile in (0.5, 0.99, 0.999)],
    ),
    Picture(
        "bench-memory.svg",
        "Memory (PSS) per idle connection, KiB",
        [Panel(f"{count:,} idle", "pss_per_idle", {"idle": count}) for count in (1000, 10000)],
        same_scale=True,
    ),
)


def drawable(runs: Sequence[RunSummary]) -> list[tuple[Picture, list[RunSummary]]]:
    """Return the pictures that have measurements, each with the runs that have them, the newest last.

    The panels of a picture are those of its newest run.
    """
    made = []
    for picture in PICTURES:
        having = [run for run in runs if any(panel.of(run) for panel in picture.panels)]
        if having:
            panels = [panel for panel in picture.panels if panel.of(having[-1])]
            made.append((replace(picture, panels=panels), having))
    return made
