"""Connections that plugins open to other hosts."""
