"""One worker process: boot, services, connections, shutdown."""
