"""`python -m reactorhost` is the command `reactorhost`."""

import sys

if __name__ == "__main__":
    # Python puts the working directory first: a file `json.py` in it would be imported in place of the standard
    # library's. The command `reactorhost` has its own folder there.
    if not sys.flags.safe_path:
        del sys.path[0]
    from reactorhost.cli import main

    main()
