"""Run hooks: queues of async ones, timers, threads, errors, timings and metrics."""
