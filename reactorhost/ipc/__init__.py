"""Communication between the processes of a host: JSON lines, messages, shared pages, the status document."""
