"""What people see of a host: banner, tree and tables, made from the status document by pure functions."""
