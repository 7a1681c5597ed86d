"""The bar of a job without a browser: which buttons can be pressed, what it says, where errors stand."""

import threading
import time

import pytest
from so3lab_widgets.panels.job_bar import JobBar
from so3lab_widgets.running import jobs
from so3lab_widgets.running.jobs import Job
from waiting import wait_for


def counting(until: int, pause_s: float = 0.005):
    for number in range(until):
        time.sleep(pause_s)
        yield number


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    jobs.stop_all()
    assert set(threading.enumerate()) <= before


def pressable(bar: JobBar) -> list[str]:
    buttons = (bar.start_button, bar.pause_button, bar.step_button, bar.stop_button)
    return [button.description for button in buttons if not button.disabled]


def test_buttons_command_the_job_and_say_what_can_be_done():
    bar = JobBar(lambda: job.start(), lambda: "some words")
    job = Job(lambda: counting(10**6), name="bar")
    assert pressable(bar) == ["Start"]
    bar.watch(job)
    bar.start_button.click()
    wait_for(lambda: job.items > 2)
    assert pressable(bar) == ["Pause", "Stop"]
    bar.pause_button.click()
    wait_for(lambda: job.state == "paused")
    assert pressable(bar) == ["Go on", "Step", "Stop"]
    count = job.items
    bar.step_button.click()
    wait_for(lambda: job.items == count + 1)
    bar.start_button.click()
    wait_for(lambda: job.items > count + 3)
    bar.stop_button.click()
    wait_for(lambda: job.ended)
    wait_for(lambda: "stopped · some words" in bar.status.value)
    assert pressable(bar) == ["Start"]


def test_a_task_with_an_end_shows_how_far_it_is_and_how_long_it_takes():
    bar = JobBar(lambda: None)
    job = Job(lambda: counting(100, 0.01), progress=lambda number: (number + 1) / 100, name="bar").start()
    bar.watch(job)
    wait_for(lambda: job.progress > 0.3)
    bar.refresh()
    assert bar.bar.layout.display == ""
    assert 0.3 <= bar.bar.value < 1.0
    assert " s left" in bar.status.value
    job.join(5.0)
    assert "left" not in bar.status.value
    assert "finished" in bar.status.value


def test_it_says_how_many_items_are_made_but_not_at_each_of_many():
    said = []
    bar = JobBar(lambda: None, lambda: f"{job.items} made")
    job = Job(lambda: iter(range(500)), on_item=lambda item: bar.item_made(), name="bar")
    bar.watch(job)
    bar.status.observe(lambda change: said.append(change.new), "value")
    job.start().join(60)
    assert any("running · 1 made" in words for words in said)
    assert len(said) < 5 + job.elapsed_s / 0.5
    assert "finished · 500 made" in said[-1]


def test_an_error_stands_in_place_with_its_origin_in_the_log():
    def task():
        yield 1
        raise RuntimeError("the disk is full; <make> room")

    bar = JobBar(lambda: None)
    job = Job(task, name="bar")
    bar.watch(job)
    job.start().join(5.0)
    assert "the disk is full; &lt;make&gt; room" in bar.message.value
    assert 'role="alert"' in bar.message.value
    assert "stopped by an error" in bar.status.value
    assert pressable(bar) == ["Start"], "the way out is to try again"
    assert bar.details.layout.display == "none"
    bar.log_button.value = True
    assert bar.details.layout.display == ""
    assert "Traceback" in bar.details.value
    assert "in task" in bar.details.value


def test_a_job_that_waits_for_the_one_before_says_so_and_can_be_stopped():
    gate = threading.Event()
    busy = Job(lambda: iter([gate.wait(60)]), name="bar").start()
    bar = JobBar(lambda: None)
    job = Job(lambda: iter([1]), name="bar")
    bar.watch(job)
    job.start()
    bar.refresh()
    assert "waiting for the end of what ran before" in bar.status.value
    assert pressable(bar) == ["Start", "Stop"]
    bar.stop_button.click()
    gate.set()
    busy.join()
    job.join()
    assert "stopped" in bar.status.value
    assert job.items == 0


def test_a_job_that_is_forgotten_leaves_nothing_to_read():
    bar = JobBar(lambda: None)
    job = Job(lambda: iter([1 / 0]), name="bar")
    bar.watch(job)
    job.start().join(60)
    bar.forget()
    assert (bar.message.sentence, "ready" in bar.status.value) == ("", True)
    assert pressable(bar) == ["Start"]


def test_a_job_that_was_told_to_stop_says_so_until_it_has_ended():
    gate = threading.Event()
    job = Job(lambda: iter([gate.wait(60)]), name="bar")
    bar = JobBar(lambda: None)
    bar.watch(job)
    job.start()
    wait_for(lambda: "preparing" in bar.status.value)
    bar.stop_button.click()
    assert "stopping" in bar.status.value
    assert pressable(bar) == ["Start"], "another run may be started meanwhile"
    gate.set()
    job.join(10.0)
    wait_for(lambda: "stopped" in bar.status.value)
