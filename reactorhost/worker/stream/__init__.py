"""Move bytes between one stream socket and one connection."""
