"""What a plugin author meets: hooks, connections, the worker, and what they return."""
