"""`python -m reactorhost` is the command `reactorhost`."""

from reactorhost.cli import main

if __name__ == "__main__":
    main()
