"""Store what clients send, and list it on the command line."""

import contextlib
import sqlite3
from types import SimpleNamespace

import click

from reactorhost import Option, hookimpl

book = SimpleNamespace()


def opened(config):
    database = sqlite3.connect(config["database"], isolation_level=None)
    database.execute("create table if not exists entry (text)")
    return database


@hookimpl
def options():
    return [Option("database", default="guestbook.db", help="SQLite file of the entries, the same for all workers")]


@hookimpl
def configure(config):
    book.config = config


@hookimpl
def worker_start(worker):
    book.database = opened(book.config)


@hookimpl
def worker_stop(worker):
    book.database.close()


@hookimpl
def receive(connection, data):
    book.database.execute("insert into entry values (?)", [data.decode(errors="replace").strip()])
    connection.send(b"noted\n")


@hookimpl
def commands(cli):
    @cli.command()
    @click.option("--last", default=10, help="Number of entries.")
    @click.pass_obj
    def show(config, last):
        """Show the last entries."""
        with contextlib.closing(opened(config)) as database:
            rows = database.execute("select text from entry order by rowid desc limit ?", [last]).fetchall()
        for (text,) in reversed(rows):
            click.echo(text)
