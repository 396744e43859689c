"""Fixtures for every test."""

pytest_plugins = ["reactorhost.testing"]
