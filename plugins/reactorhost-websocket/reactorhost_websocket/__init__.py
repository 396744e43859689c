"""WebSocket for reactorhost: a framing that lets browsers talk to any message plugin."""

from reactorhost_websocket.control import close, refuse
from reactorhost_websocket.messages import Binary, Ping, Text
from reactorhost_websocket.parameters import Parameters
from reactorhost_websocket.session import WebSocket

__all__ = [
    "Binary",
    "Parameters",
    "Ping",
    "Text",
    "WebSocket",
    "close",
    "refuse",
]
