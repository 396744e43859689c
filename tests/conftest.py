"""Fixtures for every test."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator

import hypothesis
import pytest

# No deadline: on a loaded machine one example can take seconds.
hypothesis.settings.register_profile(
    "loaded",
    deadline=None,
    max_examples=int(os.environ.get("EXAMPLES", "100")),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# For `nox -s fuzz`.
_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "5000"))
hypothesis.settings.register_profile(
    "fuzz", hypothesis.settings.get_profile("loaded"), max_examples=_EXAMPLES, print_blob=True
)
hypothesis.settings.load_profile("loaded")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests: at the end of a parallel run one of them would run alone."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while thousands of tests are made, and exclude them from every later garbage collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--soak`, the long form of some tests."""
    parser.addoption("--soak", action="store_true", help="run the tests under load for minutes, with full numbers")


@pytest.fixture
def soak(request: pytest.FixtureRequest) -> bool:
    """Return whether the long form was requested."""
    return bool(request.config.getoption("--soak"))


_MEASUREMENTS = pytest.StashKey[list[str]]()


@pytest.fixture
def measurement(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that records a measurement, printed below the results with `--soak`."""

    def report(text: str) -> None:
        request.config.stash.setdefault(_MEASUREMENTS, []).append(f"{request.node.name}: {text}")

    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the recorded measurements."""
    if config.getoption("--soak"):
        terminalreporter.section("measurements")
        for text in config.stash.get(_MEASUREMENTS, []):
            terminalreporter.line(text)
