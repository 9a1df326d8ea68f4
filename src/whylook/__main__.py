"""`python -m whylook` is `whylook`."""

from whylook.cli import main

if __name__ == "__main__":
    main()
