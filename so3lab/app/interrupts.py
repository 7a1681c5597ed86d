"""What Ctrl-C and a batch queue's SIGTERM do to a command: it stops where it can leave everything in order."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interrupts_remembered() -> Iterator[Callable[[], None]]:
    """Raise ``KeyboardInterrupt`` when a signal comes, and again when the function that this gives is called.

    Python raises it wherever it is just then. In a callback from C, or while something is thrown away, it prints the
    exception and goes on as if nothing had been; whoever calls the function now and then hears of it nevertheless.
    Threads other than the first have no signals, and the handlers of others are left as they are.
    """
    pressed = threading.Event()

    def press(number: int, frame: FrameType | None) -> None:
        pressed.set()
        raise KeyboardInterrupt

    def check() -> None:
        if pressed.is_set():
            pressed.clear()
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in SIGNALS} if _is_first_thread() else {}
    ours = [number for number, handler in before.items() if handler in (signal.default_int_handler, signal.SIG_DFL)]
    for number in ours:
        signal.signal(number, press)
    try:
        yield check
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _is_first_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
