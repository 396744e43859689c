"""The live view: its screen, its keys and its loop."""
