"""`python -m resourced` is `resourced`."""

from resourced.cli import main

if __name__ == "__main__":
    main()
