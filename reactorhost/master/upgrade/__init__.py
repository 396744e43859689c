"""Replace the program of the master by another installation, in the same process and without losing a client."""
