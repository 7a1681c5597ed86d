"""How frames reach a browser: a mailbox of one, emptied at a bounded rate that follows what the browser can paint.

Nothing queues up: a frame that was not sent when the next one comes is forgotten. The browser does not acknowledge
frames, which would cost most of the rate; it reports now and then how many it has painted. When reports say that it
falls behind, or stop coming (a hidden tab, a closed page), fewer are sent.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from so3lab_widgets.running.threads import new_thread

FASTEST_HZ = 20.0
IN_SOFTWARE_HZ = 16.0
"""Where the browser draws without a graphics card, on the processor that computes what is drawn."""
SLOWEST_HZ = 1.0
SLOWER, FASTER = 0.75, 1.4
"""How much the rate changes at most from one report to the next."""
SILENCE_S = 3.0
"""After so long without a report nobody seems to look."""


class LatestValueSender:
    """Sends the newest of the things that are put into it.

    Args:
        send: Called in the sender's thread with the newest item; an error in it ends the sender.
        fastest_hz: Most items sent per second.
        name: Of the thread.
        clock: Gives seconds from any start.

    Attributes:
        rate_hz: Items per second that are sent at most, as of now.
        sent: Items sent so far.
    """

    def __init__(
        self,
        send: Callable[[Any], None],
        fastest_hz: float = FASTEST_HZ,
        name: str = "sender",
        clock: Callable[[], float] = time.monotonic,
    ):
        if not fastest_hz > 0:
            raise ValueError(f"fastest_hz must be positive, got {fastest_hz}")
        self._send, self._fastest_hz, self._name, self._clock = send, fastest_hz, name, clock
        self.rate_hz, self.sent = fastest_hz, 0
        self._full = threading.Condition()
        self._item: Any = None
        self._closed = self._sending = False
        self._thread: threading.Thread | None = None
        self._reported_at = self._clock()
        self._sent_at_report = 0
        self._unanswered_since = self._clock()

    def put(self, item: Any) -> None:
        """Make this the newest item; never waits. An item that is None is no item."""
        with self._full:
            if self._closed:
                return
            self._item = item
            if self._thread is None:
                self._reported_at = self._clock()
                self._thread = new_thread(self._run, self._name)
                self._thread.start()
            self._full.notify_all()

    def put_if_empty(self, item: Any) -> None:
        """Make this the newest item unless one waits already, which then does as well."""
        self.update(lambda waiting: item if waiting is None else waiting)

    def update(self, change: Callable[[Any], Any]) -> None:
        """Put what a function makes of the item that waits, or of None where none does."""
        with self._full:
            self.put(change(self._item))

    def report(self, painted: int) -> None:
        """The browser has painted so many items since it reported last."""
        now = self._clock()
        sent = self.sent - self._sent_at_report
        seconds = max(now - self._reported_at, 0.05)
        self._reported_at, self._sent_at_report = now, self.sent
        if sent and painted < 0.7 * sent:
            shown_hz = max(1.1 * painted / seconds, SLOWER * self.rate_hz)  # one hitch is not yet a slow page
            self.rate_hz = max(SLOWEST_HZ, min(self.rate_hz, shown_hz))
        else:
            self.rate_hz = min(self._fastest_hz, FASTER * self.rate_hz)

    def limit(self, fastest_hz: float) -> None:
        """Send no more than so many items per second from now on."""
        self._fastest_hz = fastest_hz
        self.rate_hz = min(self.rate_hz, fastest_hz)

    def flush(self, timeout_s: float = SILENCE_S) -> None:
        """Return when all that was put in is sent or forgotten, or after so long."""
        if self._thread is not threading.current_thread():
            with self._full:
                self._full.wait_for(lambda: self._closed or (self._item is None and not self._sending), timeout_s)

    def close(self) -> None:
        """Send nothing more; the thread ends."""
        with self._full:
            self._closed, self._item = True, None
            self._full.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(SILENCE_S)

    def _run(self) -> None:
        while True:
            with self._full:
                while self._item is None and not self._closed:
                    self._full.wait()
                if self._closed:
                    return
                item, self._item, self._sending = self._item, None, True
            started = self._clock()
            if self.sent == self._sent_at_report:  # after a pause nobody has been silent yet
                self._unanswered_since = started
            try:
                self._send(item)
            finally:
                with self._full:
                    self._sending = False
                    self._full.notify_all()
            self.sent += 1
            if started - self._unanswered_since > SILENCE_S:
                self.rate_hz = SLOWEST_HZ
            self._wait(started + 1.0 / self.rate_hz)

    def _wait(self, until: float) -> None:
        """Sleep, unless the sender is closed."""
        with self._full:
            while not self._closed and (left := until - self._clock()) > 0:
                self._full.wait(left)
