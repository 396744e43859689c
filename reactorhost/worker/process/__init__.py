"""The process of a worker, which it shares with the code of plugins: signals, forks, what is printed, and the end."""
