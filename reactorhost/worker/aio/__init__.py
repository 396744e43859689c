"""Run the reactor inside an asyncio event loop."""
