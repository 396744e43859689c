"""Receive datagrams and send their answers."""
