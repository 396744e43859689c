"""Decide what the master does next. Nothing here makes a system call or reads a clock."""
