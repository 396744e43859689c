"""The Flask application as a module, for servers without application factories."""

from web_apps import flask

app = flask()
