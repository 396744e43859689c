"""What commands print: banner, status, batch lines, tables, progress."""
