"""WebSocket for reactorhost."""
