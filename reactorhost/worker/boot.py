"""The start of a worker process: from the fork to its life."""

from __future__ import annotations

import json
import logging
import os

from reactorhost import log_setup
from reactorhost.errors import boot_error
from reactorhost.ipc.messages import Report
from reactorhost.ipc.worker_spec import WorkerSpec
from reactorhost.logs import HOST_LOGGER
from reactorhost.plugins.imports import ImportedCode
from reactorhost.system import oom, process
from reactorhost.worker.event_report import ReportedLog
from reactorhost.worker.life import WorkerLife
from reactorhost.worker.process.exit_functions import forget_inherited
from reactorhost.worker.process.printed_lines import print_at_once, print_to_log

# A worker is replaced; without the master the host is gone.
_OOM_SCORE_POINTS = 100


def run_worker(imported: ImportedCode, spec: WorkerSpec, stack_descriptor: int) -> int:
    """Run a worker from the fork to its end, and return its exit status; signals are still blocked.

    `imported` is the code that the process has from its master.
    """
    # First: until then a signal to this process waits (see `system.fork.fork`).
    process.reset_signals()
    forget_inherited()
    # Before privileges are dropped: then the file may belong to root.
    oom.raise_score(_OOM_SCORE_POINTS)
    process.name_process(f"rh-worker-{spec.slot}")
    process.dump_stacks_on_crash(stack_descriptor)
    imported.follow()
    settings = spec.settings
    log_file = log_setup.inherit(settings.log_format, settings.log_level, worker=os.getpid(), slot=spec.slot)
    if settings.daemon:
        print_to_log(log_file)
    else:
        print_at_once()
    if settings.debug:
        # Late: pdb takes 10 ms to import.
        from reactorhost.worker.process.debugger import use_debugger

        use_debugger()
    try:
        life = WorkerLife(spec, ReportedLog(logging.getLogger(HOST_LOGGER)), log_file, stack_descriptor)
        life.prepare()
    except OSError as error:
        failure = boot_error(error)
        # Not by the line, which there may be none of; the buffer of a new socket pair has room for it.
        spec.master_line.sendall(json.dumps({"report": Report.FAILED, **failure.as_fields()}).encode() + b"\n")
        return failure.exit_status
    return life.run()
