"""The bytes that update a terminal from one frame to the next; unchanged lines are not written."""

from __future__ import annotations

from rich.color import ColorSystem
from rich.style import Style

from reactorhost.dashboard.text.line import Frame, Line


class Painter:
    """Remembers the frame on the screen, and encodes the difference to the next one.

    Args:
        color_system: the colours of the terminal, None for no colours.
    """

    def __init__(self, color_system: ColorSystem | None) -> None:
        self._color_system = color_system
        self._shown: Frame = ()
        self._codes: dict[str, str] = {"": ""}

    def forget(self) -> None:
        """Paint every line the next time: another program wrote to the screen, or its size has changed."""
        self._shown = ()

    def paint(self, frame: Frame) -> bytes:
        """Return the bytes to write, in one piece so that the terminal shows no half-drawn frame."""
        # Another number of lines means another size, after which a terminal may have moved what it showed.
        before = self._shown if len(self._shown) == len(frame) else ()
        changed = [at for at, line in enumerate(frame) if not before or before[at] != line]
        self._shown = frame
        # Erase before writing: after a line of full width the cursor stays on the last cell, and erasing to the end of
        # the line would clear that cell.
        # Each line is placed by its number, never by a line feed: one in the last row would scroll the screen.
        lines = [f"\x1b[{at + 1};1H\x1b[K{self._encoded(frame[at])}" for at in changed]
        return "".join(["" if before else "\x1b[2J", *lines]).encode()

    def _encoded(self, line: Line) -> str:
        pieces = []
        for text, style in line:
            codes = self._codes.get(style)
            if codes is None:
                codes = self._codes[style] = self._codes_for(style)
            # Reset after every piece: many terminals erase with the current background colour (`bce` in terminfo), so a
            # style that is left set would colour the rest of the next line.
            pieces.append(f"\x1b[{codes}m{text}\x1b[0m" if codes else text)
        return "".join(pieces)

    def _codes_for(self, style: str) -> str:
        parsed = Style.parse(style)
        if self._color_system is None:
            # Bold, dim and reverse remain.
            parsed = parsed.without_color
        # The codes are cut out of a rendered text: rich has no public function that returns them.
        shown = parsed.render("x", color_system=self._color_system or ColorSystem.STANDARD)
        return shown.partition("m")[0].removeprefix("\x1b[") if shown != "x" else ""
