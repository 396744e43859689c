"""Which pictures the page has, and which of them there are figures for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from results import Figure, Run


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure in one case, a bar for each peer."""

    caption: str
    figure: str
    case: Mapping[str, Any] = field(default_factory=dict)

    def of(self, run: Run) -> Figure | None:
        """Return the figure, None where the run has none or no value in it."""
        found = run.figure(self.figure, **self.case)
        return found if found and found.peers else None


@dataclass(frozen=True, slots=True)
class Picture:
    """Panels side by side.

    Attributes:
        file: name of the image.
        title: what is seen, a sentence of its own.
        alike: whether a length means the same in all panels.
    """

    file: str
    title: str
    panels: Sequence[Panel]
    alike: bool = False


def _by_size(figure: str, mode: str) -> list[Panel]:
    return [
        Panel(caption, figure, {"bytes": size, "mode": mode})
        for caption, size in (("64 B", 64), ("1 KiB", 1024), ("16 KiB", 16384))
    ]


PICTURES = (
    Picture("bench-cpu-closed.svg", "Server CPU per message, one in flight, µs", _by_size("cpu_per_message", "closed")),
    Picture(
        "bench-cpu-pipelined.svg", "Server CPU per message, pipelined, µs", _by_size("cpu_per_message", "pipelined")
    ),
    Picture("bench-messages.svg", "Messages a second, one in flight", _by_size("messages", "closed")),
    Picture(
        "bench-bulk.svg",
        "Messages of 1 MiB",
        [Panel("MiB/s", "bytes"), Panel("server CPU per MiB, µs", "cpu_per_mib")],
    ),
    Picture(
        "bench-connections.svg",
        "Short connections: connect, one message there and back, close",
        [Panel("server CPU for each, µs", "cpu_per_connection"), Panel("a second", "connections")],
    ),
    Picture(
        "bench-memory.svg",
        "Memory (PSS) per idle connection, KiB",
        [Panel(f"{count:,} idle", "pss_per_idle", {"idle": count}) for count in (1000, 10000)],
        alike=True,
    ),
    Picture(
        "bench-latency.svg",
        "Latency at half of the largest load, µs",
        [Panel(f"p{quantile * 100:g}", "latency", {"quantile": quantile}) for quantile in (0.5, 0.99, 0.999)],
    ),
    Picture(
        "bench-idle.svg",
        "Server CPU per message beside idle clients, µs",
        [Panel(f"{count:,} idle", "cpu_beside_idle", {"idle": count}) for count in (10, 10000)],
        alike=True,
    ),
)


def drawable(runs: Sequence[Run]) -> list[tuple[Picture, list[Run]]]:
    """Return the pictures that there are figures for, each with the runs that have some, the newest last.

    The panels of a picture are those of its newest run.
    """
    made = []
    for picture in PICTURES:
        having = [run for run in runs if any(panel.of(run) for panel in picture.panels)]
        if having:
            panels = [panel for panel in picture.panels if panel.of(having[-1])]
            made.append((replace(picture, panels=panels), having))
    return made
