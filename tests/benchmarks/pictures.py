"""Bar charts as SVG text: the same runs give the same bytes.

A bar is the median of the newest run, the thin line on it its smallest to largest round, and a diamond the median of
the older run. Text is not measured, so space for the values is reserved by a constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from panels import Panel, Picture
from summaries import FigureSummary, RunSummary, ordered
from tables import number

# Pixels.
_WIDTH, _LEFT, _TOP, _ROW, _BOTTOM, _GAP = 860, 172, 56, 20, 42, 14
_BAR, _DIAMOND = 14, 4
_VALUE_WIDTH = 64

_STYLE = """<style>
text { font: 12px sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: bold }
.ours { font-weight: bold }
.note { font-size: 10.5px; fill: #57606a }
.label { text-anchor: end }
.background { fill: #ffffff }
.spread { stroke: #1f2328 }
.older { fill: #bc4c00 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .note { fill: #9198a1 }
  .background { fill: #0d1117 }
  .spread { stroke: #e6edf3 }
}
</style>"""
_OURS, _OURS_VARIED, _C, _OTHERS = "#0969da", "#79b8ff", "#6e7781", "#b1bac4"


def draw(picture: Picture, runs: Sequence[RunSummary]) -> str:
    """Return a picture of the last of these runs, with the medians of those before it."""
    newest, older = runs[-1], runs[:-1]
    panels = [(panel, figure) for panel in picture.panels if (figure := panel.of(newest))]
    peers = ordered([name for _, figure in panels for name in figure.peers])
    height = _TOP + _ROW * len(peers) + _BOTTOM
    reaches = [_reach(panel, runs) for panel, _ in panels]
    width = (_WIDTH - _LEFT - _GAP * len(panels)) / len(panels)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">',
        f"<title>{escape(picture.title)}</title>",
        f"<desc>{escape('; '.join(run.label for run in runs))}</desc>",
        _STYLE,
        f'<rect class="background" width="{_WIDTH}" height="{height}"/>',
        _text(8, 22, picture.title, "title"),
        *(_text(_LEFT - 8, _line(row) + 4, name, f"label{_ours(name)}") for row, name in enumerate(peers)),
    ]
    for place, (panel, figure) in enumerate(panels):
        left = _LEFT + place * (width + _GAP)
        reach = max(reaches) if picture.same_scale else reaches[place]
        before = [each for run in older if (each := panel.of(run))]
        lines.append(_text(left, 46, panel.caption))
        lines += _bars(left, (width - _VALUE_WIDTH) / reach, peers, figure, before)
    lines += _legend(runs, height)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bars(
    left: float, scale: float, peers: Sequence[str], figure: FigureSummary, older: Sequence[FigureSummary]
) -> Iterator[str]:
    for row, name in enumerate(peers):
        middle, values = _line(row), figure.peers.get(name)
        if values is None:
            yield _text(left + 6, middle + 4, "-")
            continue
        yield (
            f'<rect x="{left:.1f}" y="{middle - _BAR / 2:g}" width="{values.median * scale:.1f}" height="{_BAR}" '
            f'fill="{_colour(name)}"/>'
        )
        low, high = left + values.low * scale, left + values.high * scale
        yield f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>'
        medians = [each.peers[name].median for each in older if name in each.peers]
        for median in medians:
            x = left + median * scale
            yield f'<path class="older" d="M{x:.1f} {middle - _DIAMOND}l4 4l-4 4l-4 -4z"/>'
        mark = " *" if name in figure.bound_by_load else ""
        end = left + max(values.high, *medians, values.median) * scale
        yield _text(end + 6, middle + 4, number(values.median) + mark, _ours(name).strip())


def _legend(runs: Sequence[RunSummary], height: int) -> Iterator[str]:
    words = f"Bar: median, {runs[-1].label}. Line: smallest to largest round."
    yield _text(8, height - 22, words, "note")
    if len(runs) > 1:
        yield _text(8, height - 8, f"Diamond: median, {'; '.join(run.label for run in runs[:-1])}.", "note")


def _reach(panel: Panel, runs: Sequence[RunSummary]) -> float:
    newest = panel.of(runs[-1])
    highs = [values.high for values in newest.peers.values()] if newest else []
    older = [figure for run in runs[:-1] if (figure := panel.of(run))]
    return max([*highs, *(values.median for figure in older for values in figure.peers.values())])


def _line(row: int) -> int:
    """Return the middle of a row."""
    return _TOP + _ROW * row + _ROW // 2


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text{f" class={chr(34)}{kind}{chr(34)}" if kind else ""} x="{x:.1f}" y="{y:g}">{escape(words)}</text>'


def _ours(name: str) -> str:
    return " ours" if name == "reactorhost" else ""


def _colour(name: str) -> str:
    if name == "reactorhost":
        return _OURS
    return _OURS_VARIED if name.startswith("reactorhost") else _C if name == "c" else _OTHERS
