"""`python -m isogenic.cli` is `isogenic`."""

from isogenic.cli import main

if __name__ == "__main__":
    main()
