"""Options and arguments of commands: those of all commands, those made from the settings, and their completion."""
