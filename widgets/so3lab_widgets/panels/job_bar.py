"""Buttons and one line for a job: start, pause, step, stop, how far it is, and what went wrong, in place."""

import html
import time
from collections.abc import Callable

import ipywidgets as ipw

from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.running.jobs import Job
from so3lab_widgets.running.progress import duration

_WORDS = {"failed": "stopped by an error"}
"""States that are said in other words."""
_EVERY_S = 0.5
"""Between two accounts of how far a job is: items may be as short as milliseconds."""


class JobBar(ipw.VBox):
    """What a person sees of a job, and how to command it.

    Args:
        start: Makes and starts the job, or lets a paused one go on; called when somebody presses start.
        describe: A few words about the job while it runs, such as simulated time and speed.
        pause, step, stop: What these buttons do, where it is more than telling the job.

    Attributes:
        message: What went wrong, or what somebody else has to say.
    """

    def __init__(
        self,
        start: Callable[[], None],
        describe: Callable[[], str] = lambda: "",
        *,
        pause: Callable[[], None] | None = None,
        step: Callable[[], None] | None = None,
        stop: Callable[[], None] | None = None,
    ):
        self._job: Job | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._describe, self._told = describe, 0.0
        self.start_button = button("Start", "play", "start, or go on after a pause", lambda: start())
        self.pause_button = button("Pause", "pause", "wait after the present step", pause or self._pause)
        self.step_button = button("Step", "step-forward", "while paused: one piece of work", step or self._step)
        self.stop_button = button("Stop", "stop", "end", stop or self._stop)
        self.bar = ipw.FloatProgress(0.0, min=0.0, max=1.0, layout=ipw.Layout(width="140px", display="none"))
        self.status, self.message = ipw.HTML(), MessageLine()
        self.log_button = ipw.ToggleButton(
            False,
            description="Log",
            icon="list",
            tooltip="what happened, and where an error came from",
            layout=ipw.Layout(width="auto"),
        )
        self.log_button.observe(lambda change: self.refresh(), "value")
        self.details = ipw.HTML(layout=ipw.Layout(display="none", max_height="240px", overflow="auto"))
        buttons = (self.start_button, self.pause_button, self.step_button, self.stop_button, self.log_button)
        row = ipw.HBox([*buttons, self.bar, self.status], layout=ipw.Layout(flex_flow="row wrap", align_items="center"))
        super().__init__([row, self.message, self.details])
        self.refresh()

    def watch(self, job: Job) -> None:
        """Show this job from now on."""
        self._unsubscribe()
        self._job = job
        self.message.clear()
        self._unsubscribe = job.subscribe(lambda _: self.refresh())
        self.refresh()

    def forget(self) -> None:
        """Show no job any more, such as one that failed for a reason that is gone."""
        self._unsubscribe()
        self._job, self._unsubscribe = None, lambda: None
        self.bar.layout.display = "none"
        self.message.clear()
        self.refresh()

    def refresh(self) -> None:
        """Bring buttons and words up to date; also called by whoever knows that there is news."""
        job = self._job
        state = "ready" if job is None else job.state
        pausing, begun = job is not None and job.pausing, job is not None and job.items > 0
        stopping = job is not None and job.stopping
        waiting = job is not None and job.waiting and not pausing
        self.start_button.disabled = state == "running" and not (pausing or stopping)
        self.start_button.description = "Go on" if state == "paused" and begun else "Start"
        self.pause_button.disabled = state != "running" or pausing or stopping
        self.step_button.disabled = state != "paused" or stopping
        self.stop_button.disabled = not (waiting or state in ("running", "paused")) or stopping
        word: str = state
        if stopping:
            word = "stopping"
        elif waiting:
            word = "waiting for the end of what ran before"
        elif not begun:
            word = {"paused": "ready", "running": "preparing"}.get(state, state)
        words = [_WORDS.get(word, word), self._describe() if job is not None else ""]
        if job is not None and job.progress:
            self.bar.layout.display, self.bar.value = "", job.progress
            if job.remaining_s is not None and not job.ended:
                words.append(f"{duration(job.remaining_s)} left")
        self.status.value = f'<span role="status">{html.escape(" · ".join(filter(None, words)))}</span>'
        if job is not None and job.error:  # what somebody else has told stays until the next click
            self.message.warn(job.error)
        self.details.layout.display = "" if self.log_button.value else "none"
        if self.log_button.value:
            lines = "nothing has run yet" if job is None else "\n".join(job.log)
            self.details.value = f'<pre style="white-space: pre-wrap; margin: 0">{html.escape(lines)}</pre>'

    def item_made(self) -> None:
        """The job has made another item: say how far it is, at most twice a second."""
        if time.monotonic() - self._told > _EVERY_S:
            self._told = time.monotonic()
            self.refresh()

    def _pause(self) -> None:
        if self._job is not None:
            self._job.pause()

    def _step(self) -> None:
        if self._job is not None:
            self._job.step()

    def _stop(self) -> None:
        if self._job is not None:
            self._job.stop(wait=False)
            self.refresh()


def button(words: str, icon: str, tip: str, act: Callable[[], None]) -> ipw.Button:
    """A button that does something, with an icon of Font Awesome."""
    made = ipw.Button(description=words, icon=icon, tooltip=tip, layout=ipw.Layout(width="auto"))
    made.on_click(lambda _: act())
    return made
