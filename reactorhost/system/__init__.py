"""Calls to the operating system that master and workers share."""
