"""Fixtures for every test."""

from __future__ import annotations

import pytest

pytest_plugins = ["reactorhost.testing"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the long form of the tests that have one."""
    parser.addoption("--soak", action="store_true", help="run the tests under load for minutes, with full numbers")


@pytest.fixture
def soak(request: pytest.FixtureRequest) -> bool:
    """Tell whether the long form was asked for."""
    return bool(request.config.getoption("--soak"))
