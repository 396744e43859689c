"""What a plugin author uses: hooks, connections, the worker, and the objects that they return.

Nothing here names a class of the host's own rooms above: what a `Connection` or a `Worker` needs of the host is a
Protocol beside it.
"""
