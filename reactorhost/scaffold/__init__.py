"""The package of a new plugin: its name, its variant, and its files, which are made from the folder `templates`."""
