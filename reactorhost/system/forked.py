"""The end of a forked process: by `_exit`, so that its parent's clean-up does not run twice."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

_STATUS_OF_A_BUG = 70


def leave_forked(live: Callable[[], int]) -> NoReturn:
    """Run a forked child's life and end the process with the status that it returns."""
    status = _STATUS_OF_A_BUG
    try:
        status = live()
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
        os._exit(status)
