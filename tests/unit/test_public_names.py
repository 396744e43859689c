"""The names that plugins import from `reactorhost`: all there, and imported only when they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import reactorhost

_LISTED = sorted(reactorhost.__all__)


@pytest.mark.parametrize("name", _LISTED)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(reactorhost, name) is not None
    assert name in dir(reactorhost)


@pytest.mark.parametrize(
    "name",
    ["ConnectAttempt", "Connection", "Counter", "Endpoint", "ThreadTask", "Timer", "TlsFacts", "Worker"],
)
def test_what_hooks_are_called_with_and_return_can_be_annotated(name: str) -> None:
    assert name in reactorhost.__all__
    assert isinstance(getattr(reactorhost, name), type)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'reactorhost' has no attribute 'Conection'"):
        reactorhost.Conection  # noqa: B018


@pytest.mark.parametrize("program", ["import reactorhost", "from reactorhost.cli import main; main(['--help'])"])
def test_help_imports_no_public_name(program: str) -> None:
    # `main` leaves by SystemExit.
    told = subprocess.run(
        [sys.executable, "-c", f"import sys\ntry:\n    {program}\nfinally:\n    print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    modules = {name for name in told[-1].split() if name.startswith("reactorhost.")}
    assert not {name for name in modules if name.startswith(("reactorhost.api.", "reactorhost.framing"))}
    assert "reactorhost.tls.facts" not in modules
