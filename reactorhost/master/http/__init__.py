"""The HTTP endpoint of the master, for probes and metrics."""
