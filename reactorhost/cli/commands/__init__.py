"""The commands: a module of each, or of a few that share a shape, and what they share among themselves."""
