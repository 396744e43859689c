"""Serve connections with protocols and streams of asyncio."""
