"""The newest item wins, the rate is bounded, and it follows what the browser can paint."""

import itertools
import threading
import time

import pytest
from so3lab_widgets.running import sender as sender_module
from so3lab_widgets.running.sender import LatestValueSender
from waiting import wait_for


def test_the_newest_item_wins_and_the_last_one_always_arrives():
    sent = []
    sender = LatestValueSender(lambda item: sent.append((time.monotonic(), item)), fastest_hz=50.0)
    started = time.monotonic()
    for number in range(1, 3001):
        sender.put(number)
        if number % 10 == 0:
            time.sleep(0.001)
    took = time.monotonic() - started
    wait_for(lambda: sent[-1][1] == 3000)
    items = [item for _, item in sent]
    assert items == sorted(set(items))
    assert len(items) <= 50.0 * took + 3, "traffic is bounded, however fast frames come"
    gaps = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(sent)]
    assert min(gaps) > 0.015
    sender.close()
    sender.put(1)
    time.sleep(0.05)
    assert sent[-1][1] == 3000
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


def test_the_rate_follows_reports(monkeypatch):
    sender = LatestValueSender(lambda item: None, fastest_hz=20.0)
    clock = [100.0]
    monkeypatch.setattr(sender_module.time, "monotonic", lambda: clock[0])
    sender._reported_at = clock[0]

    def half_a_second(sent: int, painted: int) -> float:
        clock[0] += 0.5
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


def test_silence_means_that_nobody_looks(monkeypatch):
    monkeypatch.setattr(sender_module, "SILENCE_S", 0.05)
    sent = []
    sender = LatestValueSender(lambda item: sent.append(item), fastest_hz=100.0)
    for number in range(1, 60):
        sender.put(number)
        time.sleep(0.005)
    assert sender.rate_hz == sender_module.SLOWEST_HZ
    assert len(sent) < 15
    sender.report(len(sent))
    assert sender.rate_hz > sender_module.SLOWEST_HZ, "somebody looks again"
    sender.close()
    with pytest.raises(ValueError, match="fastest_hz must be positive, got 0"):
        LatestValueSender(sent.append, fastest_hz=0)


def test_a_pause_is_no_silence(monkeypatch):
    monkeypatch.setattr(sender_module, "SILENCE_S", 0.05)
    sent = []
    sender = LatestValueSender(lambda item: sent.append(item), fastest_hz=100.0)
    for number in (1, 2):
        sender.put(number)
        wait_for(lambda number=number: sender.sent == number)
        sender.report(1)
        time.sleep(0.15)  # nothing is shown, so that nothing can be reported
    assert sender.rate_hz == 100.0
    sender.close()


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
