"""Count the hours, once for the host, and the nights at half past two."""

from reactorhost import hookimpl


@hookimpl
def worker_start(worker):
    worker.call_every(3600.0, worker.counter("hours").add, once="host")
    worker.call_cron("30 2 * * *", worker.counter("nights").add, once="host", timezone="UTC")
