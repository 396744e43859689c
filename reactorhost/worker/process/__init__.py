"""What a worker shares with the code of plugins in its process: signals, forks, and the end of the process."""
