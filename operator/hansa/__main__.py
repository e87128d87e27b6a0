"""``python -m hansa``: the same command line without an installed script."""

from hansa.cli.main import main

if __name__ == "__main__":
    main()
