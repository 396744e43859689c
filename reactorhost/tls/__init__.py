"""TLS over non-blocking sockets: contexts, certificates, handshakes, and errors in plain words."""
