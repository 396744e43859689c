"""Run modules of CPython's own test suite, and print the outcome of each test as a line of JSON.

`--plain` runs them on asyncio's own transports, for comparison.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
import unittest
import warnings
from collections.abc import Iterator
from typing import Any

import adapter_loop


class Outcomes(unittest.TestResult):
    """Prints a line for each test: its name, `ok`, `failed` or `skipped`, why, and how many transports it used."""

    def __init__(self) -> None:
        super().__init__()
        self._problem: tuple[str, str] | None = None
        self._before = 0
        self._started = 0.0

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        self._problem = None
        self._before = adapter_loop.transports_made()
        self._started = time.monotonic()

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().stopTest(test)
        outcome, why = self._problem or ("ok", "")
        line = {
            "test": test.id().removeprefix("test.test_asyncio."),
            "outcome": outcome,
            "why": why,
            "transports": adapter_loop.transports_made() - self._before,
            "seconds": round(time.monotonic() - self._started, 3),
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    def _failed(self, error: Any) -> None:
        self._problem = "failed", "".join(traceback.format_exception(*error))

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self._failed(err)
        # Of a module or class, for which `stopTest` is not called.
        if not isinstance(test, unittest.TestCase):
            self.stopTest(test)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self._failed(err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._failed(err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self._problem = "skipped", reason


def tests_of(suite: Any) -> Iterator[Any]:
    """Yield the single tests of a suite."""
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from tests_of(each)
        else:
            yield each


def main() -> None:
    """Run the modules named by the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="+", metavar="MODULE", help="such as test_streams")
    parser.add_argument("--plain", action="store_true", help="leave asyncio as it is")
    parser.add_argument(
        "--without", nargs="*", default=[], metavar="NAME", help="methods and classes of tests that are not run"
    )
    parser.add_argument("-k", dest="text", default="", metavar="TEXT", help="run tests whose name contains it")
    words = parser.parse_args()
    if not words.plain:
        adapter_loop.install()
    suite = unittest.defaultTestLoader.loadTestsFromNames([f"test.test_asyncio.{each}" for each in words.modules])
    chosen = [
        test
        for test in tests_of(suite)
        if words.text in test.id() and set(words.without).isdisjoint(test.id().split("."))
    ]
    with warnings.catch_warnings():
        # As unittest's own runner does.
        warnings.simplefilter("default")
        unittest.TestSuite(chosen).run(Outcomes())


if __name__ == "__main__":
    main()
