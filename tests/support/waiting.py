"""How tests wait for what happens in another thread."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator


def wait_for(condition: Callable[[], object], what: str = "what is tested", seconds: float = 300.0) -> None:
    """Return as soon as a condition holds.

    Raises:
        AssertionError: If it does not in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.005)


@contextlib.contextmanager
def no_threads_left() -> Iterator[None]:
    """Threads of so3lab that begin within end soon after: what an older attempt is still preparing changes nothing."""
    before = set(threading.enumerate())
    yield
    wait_for(
        lambda: not [one for one in set(threading.enumerate()) - before if one.name.startswith("so3lab")], "no threads"
    )
