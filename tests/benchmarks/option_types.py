"""Options of the programs that measure."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection


def several(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return what reads names for `argparse`, separated by commas."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown name {unknown[0]!r}; known are {', '.join(known)}")
        return names

    return read
