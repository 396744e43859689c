"""Ctrl-C in the first moments of a command."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest

import reactorhost
from reactorhost import cli


def test_an_interrupt_while_the_command_line_is_imported_is_an_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(types.ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "reactorhost.cli.app", Interrupted("app"))
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 130
    assert ended.value.__suppress_context__


def test_what_is_imported_before_that_is_small() -> None:
    checkout = str(Path(reactorhost.__file__).parents[1])
    program = f"import sys; sys.path.append({checkout!r}); import reactorhost.cli; print(*sys.modules)"
    # -S: what `site` imports for other distributions is not ours.
    done = subprocess.run([sys.executable, "-IS", "-c", program], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "reactorhost.cli" in modules
    assert not modules & {"click", "collections", "re", "typing"}
