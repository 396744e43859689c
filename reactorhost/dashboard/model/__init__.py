"""What the live view shows: the state of the host, where it comes from, and what the user has selected."""
