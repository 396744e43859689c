"""WSGI applications, called in the threads of a worker. Source: PEP 3333."""
