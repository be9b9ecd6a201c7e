"""``python -m nemgan`` is ``nemgan``."""

from nemgan.cli import main

if __name__ == "__main__":
    main()
