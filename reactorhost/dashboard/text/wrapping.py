"""Long text on several lines of a width in cells."""

from __future__ import annotations

from reactorhost.dashboard.text.line import Line, Piece, cut, merged, width_of


def wrapped(pieces: Line, width: int, *, indent: int = 0) -> list[Line]:
    """Return a line on as many lines as needed, broken at spaces if possible; all but the first are indented."""
    if width_of(pieces) <= width:
        return [pieces]
    # On a very narrow screen an indent would leave no room for text.
    indent = indent if indent <= width // 2 and indent + 2 <= width else 0
    cells = [(character, style) for text, style in pieces for character in text]
    lines: list[Line] = []
    start = 0
    while start < len(cells):
        # The first line begins with what the others are indented by, and is not broken within it.
        prefix = 0 if lines else indent
        end = _end(cells, start, width - indent + prefix, prefix)
        margin = (" " * indent, "") if lines and indent else ("", "")
        lines.append(merged([margin, *cells[start:end]]))
        start = end + 1 if end < len(cells) and cells[end][0] == " " else end
    return lines


def wrapped_to(pieces: Line, width: int, most: int) -> list[Line]:
    """Return a text as at most `most` lines; an ellipsis marks that there is more."""
    lines = wrapped(pieces, width)
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], cut((*lines[most - 1], ("…", "")), width)] if most > 0 else []


def _end(cells: list[Piece], start: int, room: int, prefix: int) -> int:
    """Return where the line that begins at `start` ends: before a space, or where there is no more room."""
    end, space = start, None
    while end < len(cells):
        room -= width_of(cells[end : end + 1])
        if cells[end][0] == " " and end > start + prefix:
            space = end
        if room < 0:
            # At least one character, even if it is wider than the screen: the next line would be this one again.
            return max(start + 1, end) if space is None else space
        end += 1
    return end
