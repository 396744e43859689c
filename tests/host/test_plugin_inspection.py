"""A plugin is inspected in a process of its own, and nothing it does there reaches this one."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from reactorhost.api.option import Option
from reactorhost.plugins.inspection import inspect, inspect_all

LONG = 60.0
SHORT = 0.3
GOOD = """
from reactorhost import Option, hookimpl

@hookimpl
def receive(connection, data): ...

@hookimpl
def options():
    return [Option("limit", int, 5, "clients"), Option("path"), Option("names", list, ["a"])]
"""


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Hold every test to leaving no child and no descriptor."""
    before = os.listdir("/proc/self/fd")
    yield
    assert os.listdir("/proc/self/fd") == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes a plugin file, and returns its name."""

    def write(source: str) -> str:
        path = tmp_path / "made.py"
        path.write_text(source)
        return str(path)

    return write


def test_a_good_plugin_is_described_and_not_imported_here(plugin: Callable[[str], str]) -> None:
    before = set(sys.modules)
    named = plugin(GOOD)
    report = inspect(named, LONG, "0.1.0")
    assert report.error is None
    assert report.identity.name == "made"
    assert report.hooks == ("receive", "options")
    assert report.options == (Option("limit", int, 5, "clients"), Option("path"), Option("names", list, ["a"]))
    assert report.file == named
    assert not {name for name in set(sys.modules) - before if "made" in name}


def test_a_plugin_that_cannot_be_imported_is_reported_with_its_traceback(plugin: Callable[[str], str]) -> None:
    named = plugin("def f():\n    return 1 / 0\nf()\n")
    report = inspect(named, LONG, "0.1.0")
    assert report.error == (
        "plugin made failed to import: ZeroDivisionError: division by zero",
        f"  where: {named}:2",
    )
    assert "return 1 / 0" in (report.details or "")


def test_a_name_that_is_not_installed_is_reported(plugin: Callable[[str], str]) -> None:
    report = inspect("made-nowhere", LONG, "0.1.0")
    assert report.error is not None
    assert report.error[0] == "no plugin named 'made-nowhere' is installed"
    assert report.identity.name == "made-nowhere"


@pytest.mark.parametrize(
    ("source", "fate"),
    [
        ("import os; os._exit(7)", "ended the process while loading, with exit status 7"),
        ("import ctypes; ctypes.string_at(0)", "crashed while loading: SIGSEGV"),
        ("import os; os.kill(os.getpid(), 9)", "crashed while loading: SIGKILL"),
        ("import os; os.closerange(3, 1024); os._exit(2)", "ended the process while loading, with exit status 2"),
    ],
)
def test_a_plugin_that_ends_its_process_is_reported(plugin: Callable[[str], str], source: str, fate: str) -> None:
    assert inspect(plugin(source), LONG, "0.1.0").error == (f"plugin made {fate}",)


@pytest.mark.parametrize(
    "source",
    [
        "while True: pass",
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()",
        "import os\nos.closerange(3, 1024)\nwhile True: pass",
    ],
)
def test_a_plugin_that_hangs_is_given_up(plugin: Callable[[str], str], source: str) -> None:
    report = inspect(plugin(source), SHORT, "0.1.0")
    assert report.error == ("plugin made did not finish loading in 0.3 s",)


def test_what_a_plugin_prints_or_reads_goes_nowhere(
    plugin: Callable[[str], str], capfd: pytest.CaptureFixture[str]
) -> None:
    source = "import os\nprint('printed', flush=True)\nos.write(1, b'a')\nos.write(2, b'b')\nassert not os.read(0, 1)\n"
    assert inspect(plugin(source + GOOD), LONG, "0.1.0").error is None
    assert capfd.readouterr() == ("", "")


def test_what_a_plugin_starts_ends_with_it(plugin: Callable[[str], str], tmp_path: Path) -> None:
    note = tmp_path / "pid"
    source = f"""
import os, signal
reader, writer = os.pipe()
if os.fork() == 0:
    with open({str(note)!r}, "w") as file:
        file.write(str(os.getpid()))
    os.close(reader)
    os.close(writer)
    while True:
        signal.pause()
os.close(writer)
os.read(reader, 1)
os._exit(5)
"""
    # The grandchild keeps the report's pipe open; the child's end is seen all the same.
    assert inspect(plugin(source), LONG, "0.1.0").error == (
        "plugin made ended the process while loading, with exit status 5",
    )
    assert _gone(int(note.read_text()))


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], deadline - time.monotonic())[0])
    finally:
        os.close(descriptor)


def test_all_installed_plugins_are_reported_whatever_some_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = {
        "good": GOOD,
        "bad": "1 / 0",
        "exits": "import os; os._exit(0)",
        "hangs": "import signal; signal.pause()",
    }
    for name, source in sources.items():
        facts = tmp_path / f"made_{name}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: made-{name}\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[reactorhost]\nmade-{name} = made_{name}\n")
        (tmp_path / f"made_{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    everything = metadata.distributions

    def ours() -> list[metadata.Distribution]:
        return [found for found in everything() if Path(str(found.locate_file(""))).is_relative_to(tmp_path)]

    monkeypatch.setattr(metadata, "distributions", ours)
    reports = {report.identity.name: report for report in inspect_all(SHORT * 10, "0.1.0")}
    assert list(reports) == ["made-bad", "made-exits", "made-good", "made-hangs"]
    assert reports["made-good"].hooks == ("receive", "options")
    assert [name for name, report in reports.items() if report.error is None] == ["made-good"]
    assert "ZeroDivisionError" in (reports["made-bad"].error or ("",))[0]
