"""Watch a worker from inside and report to the master."""
