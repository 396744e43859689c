"""The bus of a worker: topics, groups and presence over all workers of the host, and of other hosts."""
