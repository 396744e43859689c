"""Painting: only changed lines are written, and the terminal shows exactly the frame."""

from __future__ import annotations

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.color import ColorSystem

from documents import document, history, troubled
from reactorhost.dashboard.live.frame import render
from reactorhost.dashboard.model.snapshot import following
from reactorhost.dashboard.model.view import Page, ProcessKey, View
from reactorhost.dashboard.terminal.paint import Painter
from reactorhost.dashboard.text.line import Line, Size, line


def test_only_changed_lines_are_written() -> None:
    painter = Painter(ColorSystem.STANDARD)
    frame = (line("a"), line("b"))
    assert painter.paint(frame) == b"\x1b[2J\x1b[1;1H\x1b[Ka\x1b[2;1H\x1b[Kb"
    assert painter.paint(frame) == b""
    assert painter.paint((line("a"), line("c"))) == b"\x1b[2;1H\x1b[Kc"
    painter.forget()
    assert painter.paint(frame).startswith(b"\x1b[2J")


def test_without_colours_bold_and_reverse_remain() -> None:
    frame = (line(("a", "bold red"), ("b", "yellow reverse"), ("c", "green")),)
    assert Painter(None).paint(frame).endswith(b"\x1b[1ma\x1b[0m\x1b[7mb\x1b[0mc")
    assert Painter(ColorSystem.STANDARD).paint(frame).endswith(b"\x1b[1;31ma\x1b[0m\x1b[7;33mb\x1b[0m\x1b[32mc\x1b[0m")


@settings(deadline=None)
@given(st.lists(st.sampled_from(["calm", "trouble", "events", "help"]), min_size=1, max_size=6))
def test_the_terminal_shows_the_last_frame_of_any_sequence(names: list[str]) -> None:
    calm, trouble = following(None, document(8, history=history())), following(None, troubled(history=history()))
    size = Size(100, 30)
    frames = {
        "calm": render(calm, View(), size),
        "trouble": render(trouble, View.of(Page.WORKERS, selected=ProcessKey(1, 4244)), size),
        "events": render(trouble, View(page=Page.LOG), size),
        "help": render(calm, View(page=Page.PLUGINS), size),
    }
    screen = pyte.Screen(*size)
    stream = pyte.ByteStream(screen)
    painter = Painter(ColorSystem.STANDARD)
    for name in names:
        stream.feed(painter.paint(frames[name]))
    assert [shown.rstrip() for shown in screen.display] == [plain(each).rstrip() for each in frames[names[-1]]]


def plain(pieces: Line) -> str:
    return "".join(text for text, _ in pieces)
