"""Calls to the operating system that the master and its workers share."""
