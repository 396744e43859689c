"""What a service manager is notified of, and what it keeps for a host."""
