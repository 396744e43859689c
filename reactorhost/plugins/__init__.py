"""Find, load, check and order plugins, and resolve their hooks to plain callables."""
