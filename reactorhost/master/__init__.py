"""The supervisor: binds, forks, watches, and answers the control socket. It never imports a plugin."""
