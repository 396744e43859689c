"""Painting: the bytes that turn the frame on a terminal into the next one, changed lines only."""

from __future__ import annotations

from rich.color import ColorSystem
from rich.style import Style

from reactorhost.dashboard.live.frame import Frame
from reactorhost.dashboard.text.line import Line


class Painter:
    """Knows what stands on the screen.

    Args:
        color_system: what the terminal can show; None for one without colours.
    """

    def __init__(self, color_system: ColorSystem | None) -> None:
        self._color_system = color_system
        self._shown: Frame = ()
        self._codes: dict[str, str] = {"": ""}

    def forget(self) -> None:
        """Paint everything the next time: somebody else wrote to the screen, or it has another size."""
        self._shown = ()

    def paint(self, frame: Frame) -> bytes:
        """Return what is to be written, in one piece; nothing if nothing changed."""
        before = self._shown if len(self._shown) == len(frame) else ()
        changed = [at for at, line in enumerate(frame) if not before or before[at] != line]
        self._shown = frame
        # Erased first: after a full line the cursor stands on its last cell, which would be erased.
        lines = [f"\x1b[{at + 1};1H\x1b[K{self._encoded(frame[at])}" for at in changed]
        return "".join(["" if before else "\x1b[2J", *lines]).encode()

    def _encoded(self, line: Line) -> str:
        pieces = []
        for text, style in line:
            codes = self._codes.get(style)
            if codes is None:
                codes = self._codes[style] = self._made(style)
            pieces.append(f"\x1b[{codes}m{text}\x1b[0m" if codes else text)
        return "".join(pieces)

    def _made(self, style: str) -> str:
        parsed = Style.parse(style)
        if self._color_system is None:
            # Without colours there still are bold, dim and reverse.
            parsed = parsed.without_color
        shown = parsed.render("x", color_system=self._color_system or ColorSystem.STANDARD)
        return shown.partition("m")[0].removeprefix("\x1b[") if shown != "x" else ""
