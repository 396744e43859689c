"""The other workers of the host: introductions by the master, and a link to each."""
