"""The first steps of a forked worker: become a process of its own, and live."""

from __future__ import annotations

import logging
import os

from reactorhost import logs
from reactorhost.ipc.worker_spec import WorkerSpec
from reactorhost.logs import EventLog
from reactorhost.system import process
from reactorhost.worker.life import WorkerLife


def run_worker(task: WorkerSpec, stack_descriptor: int) -> int:
    """Be a worker from the fork to its end; signals are still blocked. Returns the exit status."""
    process.reset_signals()
    process.name_process(f"rh-worker-{task.slot}")
    process.dump_stacks_on_death(stack_descriptor)
    settings = task.settings
    log_file = logs.inherit(settings.log_format, settings.log_level, worker=os.getpid(), slot=task.slot)
    return WorkerLife(task, EventLog(logging.getLogger("reactorhost")), log_file).run()
