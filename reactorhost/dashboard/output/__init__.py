"""What commands print to standard output."""
