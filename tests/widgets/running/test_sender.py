"""The newest item wins, the rate is bounded, and it follows what the browser can paint."""

import threading

import pytest
from so3lab_widgets.running import sender as sender_module
from so3lab_widgets.running.sender import LatestValueSender
from waiting import wait_for


class Clock:
    """Time that stands still until a test moves it on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_newest_item_wins_and_the_last_one_always_arrives():
    """Time stands still while many are put: one is sent at once, and with every turn of the clock the newest alone."""
    sent, clock = [], Clock()
    sender = LatestValueSender(sent.append, fastest_hz=50.0, clock=clock)
    sender.put(1)
    wait_for(lambda: sent == [1], "the first, at once")
    turns = [1]
    for number in range(2, 3001):
        sender.put(number)
        if number % 100 == 0:
            assert sent == turns, "traffic is bounded, however fast frames come"
            clock.now += 1 / 50 + 1e-6
            turns.append(number)
            wait_for(lambda: sent == turns, "the newest")
    assert sent[-1] == 3000
    sender.put(3001)
    sender.close()
    sender.put(3002)
    assert sent == turns, "nothing is sent any more"
    assert not any(thread.name == "so3lab sender" for thread in threading.enumerate())


def test_a_sender_that_is_slow_does_not_hold_up_who_puts():
    """All are put while the first is still on its way; of those that waited, the newest alone follows."""
    sent, busy, go_on = [], threading.Event(), threading.Event()

    def send(item):
        busy.set()
        go_on.wait(60)
        sent.append(item)

    sender = LatestValueSender(send)
    sender.put(1)
    assert busy.wait(60)
    for number in range(2, 100):
        sender.put(number)
    assert sent == []
    go_on.set()
    wait_for(lambda: sent == [1, 99], "the newest")
    sender.close()


def test_the_rate_follows_reports():
    clock = Clock()
    sender = LatestValueSender(lambda item: None, fastest_hz=20.0, clock=clock)

    def half_a_second(sent: int, painted: int) -> float:
        clock.now += 0.5
        sender.sent += sent
        sender.report(painted)
        return sender.rate_hz

    assert half_a_second(10, 10) == 20.0
    assert half_a_second(10, 4) == pytest.approx(15.0), "it may have been a hitch"
    half_a_second(10, 4)
    assert half_a_second(10, 4) == pytest.approx(8.8)  # a little more than the 8 per second that it managed
    assert half_a_second(4, 4) == pytest.approx(12.32)
    for _ in range(10):
        half_a_second(10, 0)
    assert sender.rate_hz == sender_module.SLOWEST_HZ
    for _ in range(20):
        half_a_second(1, 1)
    assert sender.rate_hz == 20.0
    assert half_a_second(0, 0) == 20.0, "nothing was sent, so nothing is too slow"


def send_one(sender: LatestValueSender) -> None:
    """Put an item, and wait until it is sent."""
    before = sender.sent
    sender.put(before + 1)
    wait_for(lambda: sender.sent > before, "the next item")


def test_silence_means_that_nobody_looks():
    clock = Clock()
    sender = LatestValueSender(lambda item: None, fastest_hz=100.0, clock=clock)
    for _ in range(4):
        send_one(sender)
        clock.now += 0.9 * sender_module.SILENCE_S / 3
    assert sender.rate_hz == 100.0, "no silence yet"
    clock.now += 0.2 * sender_module.SILENCE_S
    send_one(sender)
    wait_for(lambda: sender.rate_hz == sender_module.SLOWEST_HZ, "the slowest rate")
    sender.report(sender.sent)
    assert sender.rate_hz > sender_module.SLOWEST_HZ, "somebody looks again"
    sender.close()
    with pytest.raises(ValueError, match="fastest_hz must be positive, got 0"):
        LatestValueSender(lambda item: None, fastest_hz=0)


def test_a_pause_is_no_silence():
    clock = Clock()
    sender = LatestValueSender(lambda item: None, fastest_hz=100.0, clock=clock)
    for _ in range(3):
        send_one(sender)
        sender.report(1)
        clock.now += 3 * sender_module.SILENCE_S  # nothing is shown, so that nothing can be reported
    send_one(sender)
    sender.close()
    assert sender.rate_hz == 100.0


def test_a_limit_holds_whatever_the_page_could_paint():
    sender = LatestValueSender(lambda item: None, 20.0)
    sender.limit(2.0)
    for _ in range(20):
        sender.report(5)
    assert sender.rate_hz == 2.0
    sender.limit(4.0)
    for _ in range(20):
        sender.report(5)
    assert sender.rate_hz == 4.0
    sender.close()


def test_whoever_flushes_goes_on_when_the_newest_is_sent():
    sent, may = [], threading.Event()

    def send(item):
        may.wait(60)
        sent.append(item)

    sender = LatestValueSender(send, fastest_hz=1000.0)
    sender.flush()  # nothing was put in
    for item in range(5):
        sender.put(item)
    threading.Timer(0.05, may.set).start()
    sender.flush(60)
    assert sent[-1] == 4
    sender.close()
