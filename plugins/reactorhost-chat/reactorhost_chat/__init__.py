"""A chat: clients with names talk in rooms, over all workers and machines."""

from reactorhost_chat.chat import Chat

__all__ = ["Chat"]
