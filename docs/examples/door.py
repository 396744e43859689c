"""Greet only clients that send the password."""

from reactorhost import Option, hookimpl

settings = {}


@hookimpl
def options():
    return [
        Option("password", default=None, secret=True, help="first line of every client; without it all are greeted"),
        Option("attempts", int, default=3, help="wrong passwords until the connection is closed"),
        Option("greeting", default="welcome", help="answer to the right password"),
        Option("letters", default="as written", choices=("as written", "capitals"), help="spelling of the greeting"),
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
