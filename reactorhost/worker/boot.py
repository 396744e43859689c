"""The first steps of a forked worker: signals, name, crash dumps, log."""

from __future__ import annotations

import logging
import os

from reactorhost import logs
from reactorhost.ipc.worker_spec import WorkerSpec
from reactorhost.logs import EventLog
from reactorhost.system import process
from reactorhost.worker.life import WorkerLife


def run_worker(spec: WorkerSpec, stack_descriptor: int) -> int:
    """Run a worker from the fork to its end, and return its exit status; signals are still blocked."""
    # First: until then a signal to this process waits (see `system.fork.fork`).
    process.reset_signals()
    process.name_process(f"rh-worker-{spec.slot}")
    process.dump_stacks_on_crash(stack_descriptor)
    settings = spec.settings
    log_file = logs.inherit(settings.log_format, settings.log_level, worker=os.getpid(), slot=spec.slot)
    return WorkerLife(spec, EventLog(logging.getLogger("reactorhost")), log_file).run()
