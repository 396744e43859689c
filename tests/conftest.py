"""Fixtures for every test."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis
import pytest

# On a loaded machine an example takes as long as it takes.
hypothesis.settings.register_profile("loaded", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("loaded")

pytest_plugins = ["reactorhost.testing"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the long form of the tests that have one."""
    parser.addoption("--soak", action="store_true", help="run the tests under load for minutes, with full numbers")


@pytest.fixture
def soak(request: pytest.FixtureRequest) -> bool:
    """Tell whether the long form was asked for."""
    return bool(request.config.getoption("--soak"))


_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Report something measured, to be read below the results of the long form."""

    def report(text: str) -> None:
        request.config.stash.setdefault(_FIGURES, []).append(f"{request.node.name}: {text}")

    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was measured."""
    if config.getoption("--soak"):
        terminalreporter.section("figures")
        for text in config.stash.get(_FIGURES, []):
            terminalreporter.line(text)
