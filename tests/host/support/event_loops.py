"""The event loops that a test runs on: that of asyncio, and uvloop if it is installed."""

from __future__ import annotations

import importlib.util

import pytest

needs_uvloop = pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed")
UVLOOP = pytest.param("uvloop", marks=needs_uvloop)
LOOPS = ["asyncio", UVLOOP]
