"""What `--help`, the manual page and the reference say of commands."""
