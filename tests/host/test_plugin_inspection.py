"""A plugin is loaded in a child process, and nothing that it does there affects this process."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from reactorhost.api.option import Option
from reactorhost.plugins.identity import PluginReport
from reactorhost.plugins.inspection import inspect_all, inspect_backends, inspect_named

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


pytestmark = pytest.mark.usefixtures("no_child_or_descriptor_is_left")


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes a plugin file, and returns its name."""

    def write(source: str) -> str:
        path = tmp_path / "made.py"
        path.write_text(source)
        return str(path)

    return write


def inspect(named: str, timeout_seconds: float, host_version: str) -> PluginReport:
    return inspect_named([named], timeout_seconds, host_version)[0]


def test_a_valid_plugin_is_reported_and_not_imported_in_this_process(plugin: Callable[[str], str]) -> None:
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


@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("import os; os._exit(7)", "ended the process while loading, with exit status 7"),
        ("import ctypes; ctypes.string_at(0)", "crashed while loading: SIGSEGV"),
        ("import os; os.kill(os.getpid(), 9)", "crashed while loading: SIGKILL"),
        ("import os; os.closerange(3, 1024); os._exit(2)", "ended the process while loading, with exit status 2"),
    ],
)
def test_a_plugin_that_ends_its_process_is_reported(plugin: Callable[[str], str], source: str, outcome: str) -> None:
    assert inspect(plugin(source), LONG, "0.1.0").error == (f"plugin made {outcome}",)


@pytest.mark.parametrize(
    "source",
    [
        "while True: pass",
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()",
        "import os\nos.closerange(3, 1024)\nwhile True: pass",
    ],
)
def test_a_plugin_that_hangs_is_killed_after_the_timeout(plugin: Callable[[str], str], source: str) -> None:
    report = inspect(plugin(source), SHORT, "0.1.0")
    assert report.error == ("plugin made did not finish loading in 0.3 s",)


def test_standard_descriptors_of_a_plugin_are_dev_null(
    plugin: Callable[[str], str], capfd: pytest.CaptureFixture[str]
) -> None:
    source = "import os\nprint('printed', flush=True)\nos.write(1, b'a')\nos.write(2, b'b')\nassert not os.read(0, 1)\n"
    assert inspect(plugin(source + GOOD), LONG, "0.1.0").error is None
    assert capfd.readouterr() == ("", "")


def test_a_plugin_that_floods_standard_output_is_loaded(plugin: Callable[[str], str]) -> None:
    source = "import sys\nprint('x' * 10_000_000)\nsys.stderr.write('x' * 10_000_000)\n"
    assert inspect(plugin(source + GOOD), LONG, "0.1.0").error is None


def test_a_plugin_with_a_large_error_is_reported(plugin: Callable[[str], str]) -> None:
    report = inspect(plugin("raise ValueError('x' * 1_000_000)"), LONG, "0.1.0")
    assert report.error is not None
    assert report.error[0].startswith("plugin made failed to import: ValueError: xxx")


def test_a_plugin_that_forks_while_it_is_imported_is_reported_once(plugin: Callable[[str], str]) -> None:
    report = inspect(plugin("import os\nos.fork()\n" + GOOD), LONG, "0.1.0")
    assert report.error is None
    assert report.hooks == ("receive", "options")


def test_processes_that_a_plugin_started_are_killed(plugin: Callable[[str], str], tmp_path: Path) -> None:
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
    # The grandchild keeps inherited descriptors open; the exit of the child is noticed all the same.
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


def test_all_installed_plugins_are_reported_although_some_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = {
        "good": f"{GOOD}\ndef backend(worker, url): ...\n",
        "bad": "1 / 0",
        "exits": "import os; os._exit(0)",
        "hangs": "import signal; signal.pause()",
    }
    for name, source in sources.items():
        facts = tmp_path / f"made_{name}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: made-{name}\nVersion: 1.0\n")
        backend = f"[reactorhost.bus]\nmade+{name} = made_{name}:backend\n" if name in ("good", "bad") else ""
        (facts / "entry_points.txt").write_text(f"[reactorhost]\nmade-{name} = made_{name}\n{backend}")
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
    buses = {report.identity.name: report for report in inspect_backends(SHORT * 10, "0.1.0")}
    assert [(name, report.error is None) for name, report in buses.items()] == [
        ("made+bad", False),
        ("made+good", True),
    ]
    assert "ZeroDivisionError" in (buses["made+bad"].error or ("",))[0]
