"""TLS over non-blocking sockets: contexts, certificates, handshakes, error texts."""
