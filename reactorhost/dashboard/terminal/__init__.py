"""The terminal: its modes and size, keys, signals, painting, and what it can show."""
