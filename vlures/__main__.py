"""`python -m vlures` is `vlures`."""

from vlures.cli import main

if __name__ == "__main__":
    main()
