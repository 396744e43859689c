"""Do what quickstart and tutorial say, in an empty folder and in real terminals; the session `tutorial` calls it.

`python tests/wheels/check_tutorial.py ARCHIVE`, with the built source archive in place of the clone that a reader has.
Every command is typed as the pages have it, and what the terminal shows has to be what they show.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from tutorial_pages import EditFile, SaveFile, Session, Step, Typed, shown_after, steps_of
from tutorial_terminal import Terminal, TerminalTimeoutError

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "docs" / "quickstart", ROOT / "docs" / "tutorial")
# The port, the processors and the folders of the reader of the pages.
PORT = "9000"
PROCESSORS = "2"
HOME = "/home/you"
RUN_DIR = "/run/user/1000/reactorhost/default"
# For the slowest command, an installation, on a loaded machine.
SECONDS = 120


def main(archive: Path) -> None:
    """Follow the pages of each folder.

    Raises:
        SystemExit: a step has another outcome than its page shows.
    """
    for pages in FOLDERS:
        follow(pages, archive)


def follow(pages: Path, archive: Path) -> None:
    """Follow the pages of one folder, from the beginning.

    Raises:
        SystemExit: a step has another outcome than its page shows.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="reactorhost-tutorial-") as name, ExitStack() as stack:
        folder = Path(name)
        shutil.unpack_archive(archive, folder)
        next(folder.glob("reactorhost-*")).rename(folder / "reactorhost")
        reader = Reader(folder)
        stack.callback(reader.end)
        steps = list(steps_of(pages))
        for step in steps:
            reader.follow(step)
            print(f"{time.monotonic() - began:5.1f} s  {step.place}", flush=True)
    print(f"{pages.name}: {len(steps)} steps, and each did what its page shows")


class Reader:
    """A reader at two terminals."""

    def __init__(self, folder: Path) -> None:
        self._home = folder
        self._run_dir = folder / "run"
        self._port = _free_port()
        programs = folder / "bin"
        programs.mkdir()
        if not _has_netcat():
            _make_netcat(programs / "nc")
        own = {
            "LANG": "C.UTF-8",
            "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            # A host of another user or test may run under the default name.
            "REACTORHOST_RUN_DIR": str(self._run_dir),
            "REACTORHOST_WORKERS": PROCESSORS,
        }
        if self._port != PORT:
            own["REACTORHOST_LISTEN"] = f"tcp://127.0.0.1:{self._port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("REACTORHOST_", "PYTHON"))}
        self._terminals = {name: Terminal(folder, kept | own) for name in ("first", "second")}

    def follow(self, step: Step) -> None:
        """Do one step.

        Raises:
            SystemExit: its outcome is not what the page shows.
        """
        match step:
            case SaveFile(_, path, text):
                (self._folder() / path).write_text(self._with_port(text), encoding="utf-8")
            case EditFile(place, path, old, new):
                file = self._folder() / path
                text = file.read_text(encoding="utf-8")
                if text.count(old) != 1:
                    raise SystemExit(f"{place}: {path} has these lines {text.count(old)} times:\n{old}")
                file.write_text(text.replace(old, new), encoding="utf-8")
            case Session(entries=entries):
                # On a loaded machine two pieces that a sleep separates may arrive as one.
                attempts = 5 if len(entries) == 1 and "sleep" in entries[0].text else 1
                for _ in range(attempts):
                    difference = self._difference(step)
                    if difference is None:
                        return
                raise SystemExit(difference)

    def _difference(self, session: Session) -> str | None:
        """Type what a page has, and return None if the terminal shows what the page shows."""
        terminal = self._terminals[session.terminal]
        terminal.clear()
        for count, entry in enumerate(session.entries, 1):
            match entry.kind:
                case Typed.COMMAND | Typed.WORD:
                    terminal.type_line(self._with_port(entry.text))
                case Typed.CONTROL_C:
                    terminal.type_control_c()
            pattern = shown_after(session, count)
            try:
                terminal.wait(partial(self._is, pattern), prompt=not entry.stays, seconds=SECONDS)
            except TerminalTimeoutError as error:
                shown = self._as_on_page(error.shown)
                return f"{session.place}: the page shows:\n{session.text}\nthe terminal:\n{shown}"
        return None

    def _is(self, pattern: re.Pattern[str], shown: str) -> bool:
        return pattern.fullmatch(self._as_on_page(shown)) is not None

    def _as_on_page(self, shown: str) -> str:
        """Return what another user's terminal would show, with the default settings."""
        # Root has a warning that a host should not run as root, and the environment is not that of the pages.
        shown = re.sub(r"^reactorhost: warning: .*(?:REACTORHOST_|--user).*\n", "", shown, flags=re.MULTILINE)
        shown = re.sub(r"\d+ variables?, |, \d+ variables?", "", shown)
        # pip's configuration of this machine, with the indexes that it has, may name folders that are not there.
        shown = re.sub(r"^WARNING: Location '.*' is ignored: .*\n", "", shown, flags=re.MULTILINE)
        for addition in (f" --run-dir {self._run_dir}", f" in {self._run_dir}"):
            shown = shown.replace(addition, "")
        shown = shown.replace(str(self._run_dir), RUN_DIR).replace(str(self._home), HOME)
        return shown.replace(self._port, PORT)

    def _with_port(self, text: str) -> str:
        return text.replace(PORT, self._port)

    def _folder(self) -> Path:
        return self._terminals["first"].folder()

    def end(self) -> None:
        """End the shells, and a host that was left running."""
        # The quickstart has its environment in the first folder, the tutorial in one below.
        for command in (*self._home.glob(".venv/bin/reactorhost"), *self._home.glob("*/.venv/bin/reactorhost")):
            stop = [str(command), "stop", "--now", "--run-dir", str(self._run_dir)]
            subprocess.run(stop, check=False, timeout=SECONDS, capture_output=True)
        for terminal in self._terminals.values():
            terminal.end()


def _has_netcat() -> bool:
    if shutil.which("nc") is None:
        return False
    # The others have no -N.
    usage = subprocess.run(["nc", "-h"], check=False, capture_output=True, text=True)
    return "OpenBSD" in usage.stdout + usage.stderr


def _make_netcat(path: Path) -> None:
    program = Path(__file__).with_name("netcat.py")
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n', encoding="utf-8")
    path.chmod(0o755)


def _free_port() -> str:
    """Return the port of the pages, or another one while that is in use."""
    for port in (int(PORT), 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return str(probe.getsockname()[1])
    raise SystemExit("no port is free")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
