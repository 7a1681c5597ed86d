"""Commands hear of Ctrl-C, wherever Python was when it came."""

import signal
import threading

import pytest

from so3lab.app.console import Console
from so3lab.app.interrupts import SIGNALS, interrupts_remembered

pytestmark = pytest.mark.usefixtures("interruptible")


def arrives(number: int) -> None:
    """A signal that comes where nobody hears of it, such as in a callback."""
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_got_lost_is_raised_with_the_next_report_of_progress(number):
    with Console().progress("working") as line:
        line.update(0.1)
        arrives(number)
        with pytest.raises(KeyboardInterrupt):
            line.update(0.2)


def test_it_is_raised_once_and_handlers_are_as_before_afterwards():
    before = [signal.getsignal(number) for number in SIGNALS]
    with interrupts_remembered() as check:
        check()
        arrives(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            check()
        check()
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_handlers_of_others_stay():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with interrupts_remembered():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_thread_works_without_signals():
    done = []

    def work() -> None:
        with Console().progress("working") as line:
            line.update(1.0)
        done.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [before]
