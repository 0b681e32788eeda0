"""`python -m resourced.ctl` is `resourcectl`."""

from resourced.ctl import main

if __name__ == "__main__":
    main()
