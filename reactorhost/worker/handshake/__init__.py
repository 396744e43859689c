"""The steps between accepting a client and its `connect` hook: PROXY header, TLS handshake."""
