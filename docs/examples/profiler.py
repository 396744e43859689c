"""Profile a worker for some seconds after its start with cProfile, beside the plugins that it serves."""

import cProfile
from types import SimpleNamespace

from reactorhost import Option, hookimpl

run = SimpleNamespace(profile=None)


@hookimpl
def options():
    return [
        Option("seconds", float, default=30.0, help="seconds from the start of the worker"),
        Option("file", default="profile", help="path of the result, to which the process id is appended"),
    ]


@hookimpl
def configure(config):
    run.config = config


@hookimpl(trylast=True)
def worker_start(worker):
    run.profile = cProfile.Profile()
    run.profile.enable()
    worker.call_later(run.config["seconds"], write, worker)


@hookimpl
def worker_stop(worker):
    write(worker)


def write(worker):
    if run.profile is not None:
        run.profile.disable()
        run.profile.dump_stats(f"{run.config['file']}.{worker.pid}")
        run.profile = None
