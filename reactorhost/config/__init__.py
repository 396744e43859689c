"""Settings: read from flags, environment and TOML file, merged, checked, and each with its origin.

Nothing is imported here, so that `--help` pays only for the table in `settings`.
"""
