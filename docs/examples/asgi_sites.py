"""Two applications in one host, each with options of its own."""

from reactorhost_asgi import Asgi


class Shop(Asgi):
    pass


class Blog(Asgi):
    pass
