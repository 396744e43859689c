"""Collect what workers report and build the status document."""
