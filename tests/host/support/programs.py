"""Programs and modules that a test needs."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest


def needs(program: str, *, works: bool = True) -> pytest.MarkDecorator:
    """Return a mark that skips a test where a program is not installed, or where `works` says that a part is missing.

    With `REQUIRE_HAPROXY=1` a test of `haproxy` is never skipped, and so on: without the program it fails. The name for
    `redis-server` is `REQUIRE_REDIS`.
    """
    is_required = bool(os.environ.get(f"REQUIRE_{program.removesuffix('-server').upper()}"))
    is_missing = shutil.which(program) is None or not works
    return pytest.mark.skipif(is_missing and not is_required, reason=f"{program} is not installed")


def needs_module(name: str) -> pytest.MarkDecorator:
    """Return a mark that skips a test where a module is not installed."""
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")
