"""The first steps of a forked worker: become a process of its own, live, and leave by `_exit`."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from reactorhost import logs
from reactorhost.config.settings import Settings
from reactorhost.logs import AppendHandler, EventLog
from reactorhost.worker import process
from reactorhost.worker.life import WorkerLife
from reactorhost.worker.task import WorkerTask

_STATUS_OF_A_BUG = 70


def leave_forked(live: Callable[[], int]) -> NoReturn:
    """Run a forked child's life and end the process, without the parent's clean-up running twice."""
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


def run_worker(task: WorkerTask, stack_descriptor: int) -> int:
    """Be a worker from the fork to its end; signals are still blocked. Returns the exit status."""
    process.reset_signals()
    process.name_process(f"rh-worker-{task.slot}")
    process.dump_stacks_on_death(stack_descriptor)
    settings = task.settings
    log_file = logs.inherit(settings.log_format, settings.log_level, worker=os.getpid(), slot=task.slot)
    return WorkerLife(task, EventLog(logging.getLogger("reactorhost")), log_file).run()


def open_log(settings: Settings, **context: object) -> AppendHandler:
    """Send this process's log where the settings say."""
    return logs.install(
        settings.log_file, settings.log_format, settings.log_level, capture_output=settings.daemon, **context
    )
