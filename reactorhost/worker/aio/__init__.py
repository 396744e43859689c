"""Run an asyncio loop and the reactor in one thread."""
