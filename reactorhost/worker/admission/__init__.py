"""Which clients a service serves, how many connections each of them may have, and how fast they are accepted."""
