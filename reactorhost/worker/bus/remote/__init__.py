"""The workers of other hosts, by way of a backend."""
