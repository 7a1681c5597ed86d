"""A job runs, waits, makes single steps, ends for every reason there is, and leaves no thread behind."""

import threading
import time

import pytest
from so3lab_widgets.running import jobs
from so3lab_widgets.running.jobs import Job
from waiting import wait_for


class Counter:
    """A task that counts, slowly, and knows whether it was closed."""

    def __init__(self, until: int = 10**9, pause_s: float = 0.001):
        self.until, self.pause_s, self.closed, self.seen = until, pause_s, False, []

    def __call__(self):
        try:
            for number in range(self.until):
                time.sleep(self.pause_s)
                yield number
        finally:
            self.closed = True


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    jobs.stop_all()
    assert set(threading.enumerate()) <= before


def test_a_job_runs_to_its_end_and_tells_how_far_it_is():
    task, states = Counter(20), []
    job = Job(task, on_item=task.seen.append, progress=lambda number: (number + 1) / 20, name="count")
    job.subscribe(lambda job: states.append(job.state))
    assert job.remaining_s is None
    assert job.start() is job
    wait_for(lambda: job.progress > 0.5)
    assert 0 < job.remaining_s < job.elapsed_s
    job.join(5.0)
    assert task.seen == list(range(20))
    assert states == ["running", "finished"]
    assert (job.progress, job.remaining_s, job.items, job.error) == (1.0, 0.0, 20, None)
    assert jobs.running() == []
    job.start()  # an ended job stays what it is
    assert job.state == "finished"


def test_time_left_is_told_from_the_pace_since_the_first_item(monkeypatch):
    """Neither compiling nor what an earlier part of a run had done counts."""
    now = [0.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now[0])

    def task():
        now[0] += 60.0  # to compile
        for share in (0.5, 0.6, 0.7):
            now[0] += 1.0
            yield share

    told = []
    job = Job(task, progress=lambda share: share, on_item=lambda _: told.append(job.remaining_s), name="resumed")
    job.start().join()
    assert told[0] is None
    assert told[1:] == pytest.approx([4.0, 3.0])


def test_rest_waits_for_what_is_in_the_making_and_steps_asked_for_before_are_forgotten():
    gate, making, seen = threading.Event(), [], []

    def task():
        for number in range(100):
            making.append(number)
            if number:
                gate.wait(60)
            yield number

    job = Job(task, on_item=seen.append, name="gate")
    job.pause_and_wait()  # nothing has begun
    job.start(paused=True)
    job.pause_and_wait()
    job.step()
    wait_for(lambda: seen == [0])
    job.pause_and_wait()
    for _ in range(5):
        job.step()
    wait_for(lambda: making == [0, 1])
    with pytest.raises(TimeoutError, match=r"has not paused within 0.05 s"):
        job.pause_and_wait(0.05)
    assert job.state == "paused", "a step is made in the state of a pause"
    gate.set()
    job.pause_and_wait()
    assert seen == [0, 1], "what was in the making, and no more"
    job.start()
    job.pause_and_wait()
    count = len(seen)
    time.sleep(0.05)
    assert len(seen) == count
    job.stop()


def test_a_job_that_is_stopped_before_its_turn_does_not_call_its_task():
    begun, gate = [], threading.Event()
    first = Job(lambda: iter([gate.wait(60)]), name="turn").start()
    second = Job(lambda: iter(begun.append(2) or ()), name="turn").start()
    second.stop(wait=False)
    gate.set()
    second.join(10)
    first.join(10)
    assert (begun, second.state) == ([], "stopped")


def test_pause_step_and_going_on():
    task = Counter()
    job = Job(task, on_item=task.seen.append, name="count").start()
    wait_for(lambda: len(task.seen) > 3)
    job.pause()
    wait_for(lambda: job.state == "paused")
    count, elapsed = len(task.seen), job.elapsed_s
    time.sleep(0.05)
    assert len(task.seen) == count
    assert job.elapsed_s == elapsed, "time stands still in a pause"
    for extra in (1, 2):
        job.step()
        wait_for(lambda extra=extra: len(task.seen) == count + extra)
    assert job.state == "paused"
    job.start()
    wait_for(lambda: len(task.seen) > count + 5)
    job.stop()
    assert job.state == "stopped"
    assert task.closed
    assert task.seen == list(range(len(task.seen))), "nothing is lost or made twice"


def test_a_paused_job_can_be_stopped_and_one_that_never_began():
    task = Counter()
    job = Job(task, name="count").start()
    job.pause()
    job.step()
    wait_for(lambda: job.state == "paused")
    job.stop()
    assert (job.state, task.closed) == ("stopped", True)
    never = Job(task, name="never")
    never.stop()
    assert never.start().state == "stopped"


def test_an_error_is_a_sentence_in_place_and_its_origin_is_in_the_log(capsys):
    def task():
        yield 1
        raise ValueError("temperature_K must be positive,\n  got -3")

    job = Job(task, name="bad").start()
    job.join(5.0)
    assert job.state == "failed"
    assert job.error == "temperature_K must be positive, got -3"
    assert "Traceback" in "\n".join(job.log)
    assert not capsys.readouterr().err, "nothing lands in whatever cell ran last"
    expected = Job(task, name="bad", expected=(ValueError,)).start()
    expected.join(5.0)
    assert expected.error == job.error
    assert "Traceback" not in "\n".join(expected.log)
    in_listener = Job(Counter(3), name="good")
    in_listener.subscribe(lambda job: 1 / 0)
    in_listener.start().join(5.0)
    assert in_listener.state == "finished", "a listener that fails is not the job's failure"
    in_item = Job(Counter(3), on_item=lambda item: 1 / 0, name="item").start()
    in_item.join(5.0)
    assert in_item.error == "division by zero"


def test_a_second_job_of_the_same_name_stops_the_first():
    first, second, other = (Job(Counter(), name=name) for name in ("md", "md", "training"))
    first.start(), other.start(), second.start()
    wait_for(lambda: second.state == "running")
    assert first.state == "stopped"
    assert {id(job) for job in jobs.running()} == {id(second), id(other)}
    jobs.stop_all()
    assert [job.state for job in (second, other)] == ["stopped", "stopped"]


def test_a_job_prepares_and_waits():
    job = Job(Counter(), name="prepared").start(paused=True)
    wait_for(lambda: job.state == "paused")
    assert job.items == 0
    job.start()
    wait_for(lambda: job.items > 0)
    job.stop()


def test_a_job_can_stop_itself():
    def stop(number):
        if number == 3:
            job.stop()

    job = Job(Counter(), on_item=stop, name="self")
    job.start().join(5.0)
    assert (job.state, job.items) == ("stopped", 4)


def test_whoever_stops_a_job_that_has_just_ended_finds_everybody_told():
    """A panel completes its files when it is told; whoever has waited for the end may open them."""
    told, tell = [], threading.Event()
    job = Job(lambda: iter([1]))
    job.subscribe(lambda job: told.append(tell.wait(20)) if job.ended else None)
    job.start()
    wait_for(lambda: job.ended, "the end")
    threading.Timer(0.05, tell.set).start()
    job.stop()
    assert told == [True]


def test_whoever_waits_for_a_rest_goes_on_at_a_pause_and_at_the_end():
    task = Counter()
    job = Job(task, name="count")
    job.rest()  # before the beginning
    job.start()
    wait_for(lambda: task.seen or job.items > 3)
    job.pause()
    job.rest()
    assert job.state == "paused"
    made = job.items
    job.step()
    job.rest()
    assert job.items == made + 1
    job.stop(wait=False)
    job.rest()
    assert (job.state, task.closed) == ("stopped", True)


def test_all_are_told_before_any_is_waited_for():
    """A panel that goes waits once, however many jobs it has."""
    told = threading.Event()

    def waits_for_the_other():
        yield 0
        told.wait()
        yield 1

    first, second = Job(waits_for_the_other, name="first"), Job(Counter(), name="second")
    second.stop, before = (lambda wait=True: (told.set(), before(wait=wait))), second.stop
    first.start(), second.start()
    wait_for(lambda: first.items and second.items)
    other = Job(Counter(), name="other").start()
    jobs.stop_all([first, second])
    assert [first.state, second.state] == ["stopped", "stopped"]
    assert not other.ended


def test_a_job_that_is_stopped_while_it_starts_can_be_waited_for(monkeypatch):
    job, replace, stopped = Job(Counter(), name="count"), jobs._replace, []

    def stop():
        job.stop()
        stopped.append(job.state)

    def replace_slowly(started):
        stopper.start()
        stopper.join(0.05)  # as far as it comes before the thread runs
        return replace(started)

    stopper = threading.Thread(target=stop)
    monkeypatch.setattr(jobs, "_replace", replace_slowly)
    job.start()
    stopper.join()
    assert stopped == ["stopped"]
