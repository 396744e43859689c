"""Draw bars: our own in colour, the others grey, a value at each; as SVG that is the same every time.

A bar is the median of the newest run, the thin line on it reaches from its smallest round to its largest, and a diamond
is the median of an older run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Sheet

from panels import Panel, Picture
from results import PEERS, Figure, Run
from tables import number

_INK, _QUIET, _PAPER = "#1f2328", "#57606a", "#ffffff"
_OURS, _OURS_VARIED, _FLOOR, _OTHERS = "#0969da", "#79b8ff", "#6e7781", "#b1bac4"
_OLDER = "#bc4c00"

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM, _ROW, _GAP = 9.0, 1.95, 0.1, 0.58, 0.45, 0.25, 0.2
"""Inches."""
_ROOM_FOR_VALUES = 1.38
_BESIDE = (5, 0)
"""Points from the end of a bar to its value."""

# The one that matplotlib brings, so that the same is measured everywhere; a reader may have others.
_FONT = "'DejaVu Sans'"
_SETTINGS = {
    "svg.fonttype": "none",
    # Without it the names of clip paths are drawn anew every time.
    "svg.hashsalt": "reactorhost",
    "font.family": [_FONT.strip("'")],
    "font.size": 8.5,
    "text.color": _INK,
}

# A reader's dark mode: the colours of ink and paper change places, those of the bars can be seen on both.
_DARK = f"""<style>
@media (prefers-color-scheme: dark) {{
  text {{ fill: #e6edf3 !important }}
  [style*="fill: {_PAPER}"] {{ fill: #0d1117 !important }}
  [style*="stroke: {_INK}"] {{ stroke: #e6edf3 !important }}
}}
</style>
"""


def draw(picture: Picture, runs: Sequence[Run], path: Path) -> None:
    """Write a picture of the last of these runs, with the medians of those before it."""
    newest = runs[-1]
    found = [(panel, figure) for panel in picture.panels if (figure := panel.of(newest))]
    shown = {name for _, figure in found for name in figure.peers}
    peers = [name for name in (*PEERS, *sorted(shown - PEERS.keys())) if name in shown]
    height = _TOP + _ROW * len(peers) + _BOTTOM
    with mpl.rc_context(_SETTINGS):
        sheet = Sheet(figsize=(_WIDTH, height), facecolor=_PAPER)
        sheet.text(0.01, 1 - 0.1 / height, picture.title, va="top", fontsize=11, fontweight="bold")
        sheet.text(0.01, 0.1 / height, _legend(runs), va="bottom", fontsize=7.5, color=_QUIET)
        every = (_WIDTH - _LEFT - _RIGHT + _GAP) / len(found)
        for place, (panel, figure) in enumerate(found):
            left, wide = _LEFT + place * every, every - _GAP
            axes = sheet.add_axes((left / _WIDTH, _BOTTOM / height, wide / _WIDTH, _ROW * len(peers) / height))
            _bars(axes, peers, figure, _older(panel, runs))
            reach = max(_reach(each, _older(one, runs)) for one, each in found if picture.alike or one is panel)
            axes.set_xlim(0, reach * _ROOM_FOR_VALUES)
            axes.set_title(panel.caption, loc="left", fontsize=9, pad=3)
            axes.set_yticks(range(len(peers)), peers if place == 0 else [])
            for label in axes.get_yticklabels():
                label.set_fontweight("bold" if label.get_text() == "reactorhost" else "normal")
        described = "; ".join(run.label for run in runs)
        sheet.savefig(path, format="svg", metadata={"Date": None, "Creator": None, "Description": described})
    text = path.read_text(encoding="utf-8").replace(_FONT, f"{_FONT}, Verdana, sans-serif")
    path.write_text(text.replace(" <defs>", f" {_DARK} <defs>", 1), encoding="utf-8")


def _bars(axes: Axes, peers: Sequence[str], figure: Figure, older: Sequence[Figure]) -> None:
    for row, name in enumerate(peers):
        median, spread = figure.median(name), figure.spread(name)
        if median is None or spread is None:
            axes.annotate("-", (0, row), _BESIDE, textcoords="offset points", va="center_baseline", color=_QUIET)
            continue
        axes.barh(row, median, height=0.68, color=_colour(name))
        axes.plot(spread, (row, row), color=_INK, linewidth=0.8, solid_capstyle="butt")
        before = [value for each in older if (value := each.median(name)) is not None]
        axes.plot(before, [row] * len(before), "D", markersize=3, color=_OLDER, clip_on=False)
        words = f"{number(median)}{' *' if name in figure.bound_by_load else ''}"
        weight = "bold" if name == "reactorhost" else "normal"
        end = (max(spread[1], *before, median), row)
        axes.annotate(words, end, _BESIDE, textcoords="offset points", va="center_baseline", fontweight=weight)
    axes.set_ylim(len(peers) - 0.5, -0.5)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.set_facecolor("none")
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(_INK)


def _older(panel: Panel, runs: Sequence[Run]) -> list[Figure]:
    return [figure for run in runs[:-1] if (figure := panel.of(run))]


def _reach(figure: Figure, older: Sequence[Figure]) -> float:
    return max(value for each in (figure, *older) for name in figure.peers for value in each.values(name))


def _colour(name: str) -> str:
    if name == "reactorhost":
        return _OURS
    return _OURS_VARIED if name.startswith("reactorhost") else _FLOOR if name == "c" else _OTHERS


def _legend(runs: Sequence[Run]) -> str:
    words = f"Bar: median of the run of {runs[-1].label}. Line: its smallest and largest round."
    if len(runs) > 1:
        # The labels of many runs would not fit beside each other.
        words += f"\nDiamond: median of an earlier run, the first of them that of {runs[0].label}."
    return words
