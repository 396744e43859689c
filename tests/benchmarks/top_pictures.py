"""The pictures of the live view, from the real program on real hosts: `top_pictures.py DIRECTORY`.

Most show the host of `top_rig.py`, well and on its bad day; the heat map shows a host of 64 workers. The program runs
on a pseudo-terminal. What it writes is drawn by rich, once for a light and once for a dark page.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from reactorhost.testing import LiveHost
from top_rig import Rig, loaded

PROGRAM = str(Path(sys.executable).with_name("reactorhost"))
ECHO = """
from reactorhost import hookimpl

@hookimpl
def receive(connection, data):
    connection.send(data)
"""

# The fonts that rich names would be downloaded; a viewer has its own monospace font.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
# Colours of terminals that people use, on which the view has to be legible.
DARK = TerminalTheme(
    (24, 26, 31),
    (197, 200, 198),
    [(75, 78, 85), (204, 85, 90), (152, 168, 75), (208, 179, 68), (96, 138, 177), (152, 114, 159), (104, 160, 179),
     (197, 200, 198), (154, 155, 153)],
)  # fmt: skip
LIGHT = TerminalTheme(
    (255, 255, 255),
    (36, 41, 47),
    [(36, 41, 47), (207, 34, 46), (17, 99, 41), (154, 103, 0), (9, 105, 218), (130, 80, 223), (27, 124, 131),
     (110, 119, 129), (87, 96, 106)],
)  # fmt: skip
LINE = re.compile(rb"\x1b\[(\d+);1H\x1b\[K")


class Program:
    """`reactorhost top` on a pseudo-terminal, and the lines that it has drawn.

    It writes each line anew where it changes, so the newest text of each row is what the screen shows.
    """

    def __init__(self, run_dir: Path, columns: int, rows: int, *options: str) -> None:
        self._size = columns, rows
        self._rows: dict[int, bytes] = {}
        self._unread = b""
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            # 24-bit colours would not follow the theme of the picture.
            environment = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"}
            environment.pop("COLORTERM", None)
            os.execve(PROGRAM, [PROGRAM, "top", "--run-dir", str(run_dir), *options], environment)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def press(self, keys: str, seconds: float = 2.5) -> None:
        """Type keys, and read what is drawn for a time."""
        os.write(self._terminal, keys.encode())
        self.watch(seconds)

    def watch(self, seconds: float) -> None:
        """Read what is drawn for a time."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if select.select([self._terminal], (), (), left)[0]:
                self._unread += os.read(self._terminal, 65536)
        drawn = list(LINE.finditer(self._unread))
        for line, following in zip(drawn, [*drawn[1:], None], strict=True):
            end = len(self._unread) if following is None else following.start()
            self._rows[int(line[1])] = self._unread[line.end() : end]
        if drawn:
            # The last line may not have arrived whole.
            self._unread = self._unread[drawn[-1].start() :]

    def lines(self) -> list[Text]:
        """Return the lines of the screen, from the top."""
        return [Text.from_ansi(self._rows.get(row, b"").decode()) for row in range(1, self._size[1] + 1)]

    def export(self, path: Path) -> None:
        """Write the screen as two pictures, whose names end in `-light` and `-dark`."""
        for name, theme in (("light", LIGHT), ("dark", DARK)):
            with Path(os.devnull).open("w") as nowhere:
                console = Console(
                    width=self._size[0], record=True, file=nowhere, force_terminal=True, color_system="standard"
                )
                for line in self.lines():
                    console.print(line, no_wrap=True, crop=False)
                picture = console.export_svg(
                    title="reactorhost top", code_format=FORMAT, theme=theme, unique_id=f"{path.name}-{name}"
                )
            path.with_name(f"{path.name}-{name}.svg").write_text(picture)

    def end(self) -> None:
        """Quit the program."""
        os.kill(self._pid, signal.SIGTERM)
        os.close(self._terminal)
        os.waitpid(self._pid, 0)


@contextlib.contextmanager
def program(run_dir: Path, columns: int, rows: int, *options: str) -> Iterator[Program]:
    """Run the program while the context lasts."""
    running = Program(run_dir, columns, rows, *options)
    try:
        running.watch(3.0)
        yield running
    finally:
        running.end()


def take_pages(run_dir: Path, directory: Path) -> None:
    """Take a picture of every page of a host on its bad day."""
    pages: Sequence[tuple[str, str]] = (
        ("top-workers", "1"),
        ("top-services", "2"),
        ("top-clients", "3"),
        ("top-plugins", "4"),
        ("top-log", "5"),
    )
    with program(run_dir, 120, 32) as running:
        for name, key in pages:
            running.press(key, 4.0)
            running.export(directory / name)


def take_heat_map(place: Path, directory: Path) -> None:
    """Take a picture of the workers of a large host."""
    plugin = place / "chat.py"
    plugin.write_text(ECHO)
    with LiveHost(place / "large", "--plugin", str(plugin), "--workers", "64", "--name", "chat") as host:
        clients = [host.connect() for _ in range(400)]
        ends = time.monotonic() + 6.0
        with program(host.run_dir, 120, 24) as running:
            while time.monotonic() < ends:
                for client in clients[: len(clients) // 3]:
                    client.sendall(b"x" * 200)
                running.watch(0.05)
            running.press("mm", 1.5)
            running.export(directory / "top-heat-map")
        for client in clients:
            client.close()


def main() -> None:
    """Start the hosts, and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seconds", type=float, default=150.0, help="how long the load lasts before the pictures")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        take_heat_map(Path(place), arguments.directory)
        rig = Rig(Path(place), PROGRAM)
        rig.start()
        try:
            with loaded(rig):
                time.sleep(arguments.seconds)
                rig.make_trouble()
                time.sleep(8.0)
                take_pages(rig.run_dir, arguments.directory)
        finally:
            rig.end()


if __name__ == "__main__":
    main()
