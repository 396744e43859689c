"""Let in only clients that know the password."""

from reactorhost import Option, hookimpl

settings = {}


@hookimpl
def options():
    return [
        Option("password", default=None, secret=True, help="what a client sends first; without it everybody may enter"),
        Option("attempts", int, default=3, help="wrong words, after which the connection is closed"),
        Option("greeting", default="welcome", help="what a client reads that may enter"),
        Option("letters", default="as written", choices=("as written", "capitals"), help="how the greeting is sent"),
    ]


@hookimpl
def configure(config):
    settings.update(config)


@hookimpl
def connect(connection):
    connection.state.attempts = 0


@hookimpl
def receive(connection, data):
    if settings["password"] in (None, data.decode(errors="replace").strip()):
        greeting = settings["greeting"]
        connection.send((greeting.upper() if settings["letters"] == "capitals" else greeting).encode() + b"\n")
        return
    connection.state.attempts += 1
    connection.send(b"no\n")
    if connection.state.attempts == settings["attempts"]:
        connection.close()
