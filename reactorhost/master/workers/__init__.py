"""The worker processes as the master holds them: fork, order, signal, reap."""
