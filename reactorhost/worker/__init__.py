"""One worker's life: boot, plugin chain, transports, drain."""
