"""The Starlette application as a module, for servers without application factories."""

from web_apps import starlette

app = starlette()
