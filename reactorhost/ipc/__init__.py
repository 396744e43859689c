"""What the processes of a host exchange: JSON lines, messages, shared pages, the status document."""
