"""A terminal in cbreak mode: keys, screen, size, painting."""
