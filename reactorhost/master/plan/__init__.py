"""Decide what the master does next: pure, without a clock or a system call."""
