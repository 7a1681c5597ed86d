"""How tests wait for what happens in another thread."""

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], object], what: str = "what is tested", seconds: float = 300.0) -> None:
    """Return as soon as a condition holds.

    Raises:
        AssertionError: If it does not in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.005)
