"""The commands, a module for each group of them; each has a list `COMMANDS`, and `table` has them all."""
