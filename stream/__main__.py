"""`python -m actionstream` is the command `actionstream`."""

from actionstream.cli.main import main

if __name__ == "__main__":
    main()
