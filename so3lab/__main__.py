"""``python -m so3lab`` is the command ``so3lab``."""

from so3lab.app import main

if __name__ == "__main__":
    raise SystemExit(main())
