"""What commands print with `--json`, and the schemas of it."""
