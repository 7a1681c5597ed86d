"""Of runs that were asked for one after the other only the newest changes anything, however long the others prepare."""

import threading
from collections.abc import Iterator

import pytest
from so3lab_widgets.panels.attempt import Attempt, Attempts
from so3lab_widgets.panels.job_bar import JobBar
from so3lab_widgets.running import jobs
from waiting import wait_for


class Work:
    """A panel's work without a panel: fields that say what is wanted, preparations that can be held up, and items."""

    def __init__(self) -> None:
        self.fields: tuple[str, ...] = ("first",)
        self.gates: dict[str, threading.Event] = {}
        self.prepared: list[str] = []
        self.shown: list[str] = []
        self.items: list[tuple[str, int]] = []
        self.states: list[str] = []
        self.attempts = Attempts(
            self.make,
            lambda: self.fields,
            bar=JobBar(lambda: None),
            name="work",
            on_item=self.items.append,
            on_state=lambda job: self.states.append(job.state),
        )

    def make(self, attempt: Attempt) -> Iterator[tuple[str, int]]:
        name = self.fields[0]
        self.prepared.append(name)
        assert self.gates.get(name, SET).wait(60)
        if not attempt.change(lambda: self.shown.append(name)):
            return iter(())
        if name == "bad":
            raise ValueError("bad cannot be made")
        return ((name, number) for number in range(10**9))


SET = threading.Event()
SET.set()


@pytest.fixture
def work(monkeypatch):
    monkeypatch.setattr(jobs, "_PATIENCE_S", 0.05)  # whoever is held up is not waited for
    before, made = set(threading.enumerate()), Work()
    yield made
    made.attempts.give_up()
    for gate in made.gates.values():
        gate.set()
    wait_for(lambda: set(threading.enumerate()) <= before, "no thread")


def test_what_is_prepared_waits_and_is_what_start_goes_on_with(work):
    work.attempts.prepare()
    wait_for(lambda: work.attempts.job.state == "paused", "the preparations")
    assert (work.shown, work.items) == (["first"], [])
    assert work.attempts.goes_on
    assert not work.attempts.begun
    prepared = work.attempts.job
    work.attempts.start()
    wait_for(lambda: len(work.items) > 3, "items")
    assert work.attempts.job is prepared
    assert work.prepared == ["first"], "it was prepared once"


def test_what_waits_is_left_where_something_else_is_asked_for(work):
    work.attempts.prepare()
    wait_for(lambda: work.attempts.job.state == "paused", "the preparations")
    work.fields = ("second",)
    assert not work.attempts.goes_on
    work.attempts.start()
    wait_for(lambda: work.items, "items")
    assert {name for name, _ in work.items} == {"second"}
    assert work.attempts.made_from == ("second",)


def test_what_has_begun_goes_on_whatever_the_fields_say(work):
    work.attempts.start()
    wait_for(lambda: work.items, "items")
    work.attempts.pause()
    wait_for(lambda: work.attempts.job.state == "paused", "the pause")
    work.fields = ("second",)
    count, job = len(work.items), work.attempts.job
    work.attempts.start()
    wait_for(lambda: len(work.items) > count, "more items")
    assert work.attempts.job is job
    work.attempts.stop()
    assert not work.attempts.goes_on
    work.attempts.start()
    wait_for(lambda: ("second", 0) in work.items, "another run")


def test_preparations_that_come_too_late_change_nothing(work):
    gate = work.gates["first"] = threading.Event()
    work.attempts.start()
    wait_for(lambda: work.prepared == ["first"], "the first preparations")
    late = work.attempts.job
    work.fields = ("second",)
    work.attempts.start()
    wait_for(lambda: work.items, "items of the second")
    told = list(work.states)
    gate.set()
    wait_for(lambda: late.ended, "the end of the first")
    assert work.shown == ["second"]
    assert {name for name, _ in work.items} == {"second"}
    assert work.states == told, "nobody hears of what is wanted no more"


def test_an_item_that_was_in_the_making_is_shown_no_more(work):
    making, gate = threading.Event(), threading.Event()

    def slow(attempt: Attempt) -> Iterator[tuple[str, int]]:
        making.set()
        yield ("slow", 0) if gate.wait(60) else ("late", 0)

    work.attempts.begin(slow)
    assert making.wait(60)
    old, work.fields = work.attempts.job, ("second",)
    work.attempts.start()
    wait_for(lambda: work.items, "items of the other")
    gate.set()
    wait_for(lambda: old.ended, "the end of the slow one")
    assert old.items == 1, "it was made"
    assert {name for name, _ in work.items} == {"second"}


def test_of_many_that_are_asked_for_at_once_the_last_is_shown_last(work):
    gates = [work.gates.setdefault(str(number), threading.Event()) for number in range(5)]
    for number in range(5):
        work.fields = (str(number),)
        work.attempts.start()
        wait_for(lambda number=number: str(number) in work.prepared, "its preparations")
    for gate in reversed(gates):
        gate.set()
    wait_for(lambda: work.items, "items")
    assert work.shown == ["4"]


def test_an_end_while_it_is_prepared_is_final(work):
    gate = work.gates["first"] = threading.Event()
    work.attempts.prepare()
    wait_for(lambda: work.prepared, "preparations")
    work.attempts.give_up()
    gate.set()
    wait_for(lambda: work.attempts.job.ended, "the end")
    assert (work.shown, work.items) == ([], [])


def test_what_cannot_be_made_is_said_and_can_be_tried_again(work):
    work.fields = ("bad",)
    work.attempts.start()
    wait_for(lambda: work.attempts.job.ended, "the refusal")
    assert work.attempts.job.error == "bad cannot be made"
    assert "Traceback" not in "\n".join(work.attempts.job.log), "an error that people can cause needs no origin"
    work.fields = ("first",)
    work.attempts.start()
    wait_for(lambda: work.items, "items")


def test_a_run_may_go_on_in_another_way(work):
    work.attempts.begin(lambda attempt: iter([("other", 1)]))
    wait_for(lambda: work.attempts.job.ended, "its end")
    assert work.items == [("other", 1)]
    assert work.prepared == []
