"""Threads whose words reach the page: in most notebooks those of all do, in marimo those of its own kind."""

import sys
import threading
from collections.abc import Callable


def new_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """A thread that does not keep its process alive, to be started; it may set traits of widgets and send messages.

    Args:
        target: What it does.
        name: What it is called in lists of threads, behind ``so3lab``.
    """
    kind = getattr(sys.modules.get("marimo"), "Thread", threading.Thread)
    return kind(target=target, name=f"so3lab {name}", daemon=True)
