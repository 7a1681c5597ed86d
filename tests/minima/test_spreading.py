"""A search on many workers finds what a search on one does, whoever dies."""

import os
import signal
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import pytest
from mmff import relax_by_mmff

from so3lab.machine.processes import SpawnedProcesses
from so3lab.minima import Search
from so3lab.minima.spreading import SpreadRelaxation
from so3lab.pretrained import lennard_jones
from so3lab.structures import from_smiles

SMILES, PROPOSALS = "CCCO", 40


class DiesOnce:
    """Relaxes, unless a file is there: whoever takes it away dies of it."""

    def __init__(self, poison):
        self.poison, self.relax = poison, relax_by_mmff(SMILES)

    def __call__(self, structures):
        try:
            os.unlink(self.poison)
        except FileNotFoundError:
            return list(self.relax(structures))
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody survives this")


def search(executor=None, relax=None, **options):
    return Search(
        lennard_jones(), from_smiles(SMILES), proposals=["torsions"], relax=relax or relax_by_mmff(SMILES),
        executor=executor, round_size=20, **options,
    )  # fmt: skip


def content(one):
    for _ in one.run(proposals=PROPOSALS):
        pass
    return [(minimum.energy, minimum.visits, minimum.parent) for minimum in one.minima], one.ledger.counts


@pytest.fixture(scope="module")
def undisturbed():
    """What a search in one process finds."""
    return content(search())


class Unlucky(Executor):
    """Works at once, but loses its worker at some calls."""

    def __init__(self, losses):
        self.losses, self.calls = losses, 0

    def submit(self, function, *arguments):
        future = Future()
        future.set_running_or_notify_cancel()
        self.calls += 1
        if self.calls in self.losses:
            future.set_exception(BrokenProcessPool("a process died"))
        else:
            future.set_result(function(*arguments))
        return future


@pytest.mark.parametrize("workers", [1, 3])
def test_the_minima_do_not_depend_on_the_number_of_workers(undisturbed, workers):
    with ThreadPoolExecutor(workers) as executor:
        assert content(search(executor)) == undisturbed


def test_work_of_lost_workers_is_done_again(undisturbed):
    assert content(search(Unlucky({2, 5, 6}))) == undisturbed


def test_work_that_kills_every_worker_is_given_up_and_what_was_stored_stays(undisturbed, tmp_path):
    one = search(Unlucky(set(range(4, 100))), out=tmp_path / "a.db")
    with pytest.raises(RuntimeError, match="given up: work lost its worker 4 times"):
        content(one)
    found = content(search(ThreadPoolExecutor(1), out=tmp_path / "a.db", resume=True))
    assert found == undisturbed


def test_a_broken_executor_is_made_anew_or_explained(undisturbed):
    class Broken(Executor):
        def submit(self, function, *arguments):
            raise BrokenProcessPool("a process died")

    with pytest.raises(RuntimeError, match="give a function that makes one"):
        content(search(Broken()))
    made = [Broken(), ThreadPoolExecutor(2)]
    assert content(search(lambda: made.pop(0))) == undisturbed
    assert not made


def test_errors_of_the_work_itself_are_raised():
    with ThreadPoolExecutor(1) as executor, pytest.raises(ZeroDivisionError):
        content(search(executor, relax=divides))


def divides(structures):
    return [1 / 0 for _ in structures]


def test_wrong_pieces_are_refused():
    for wrong in ({"piece": 0}, {"retries": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SpreadRelaxation(ThreadPoolExecutor(1), divides, **wrong)


@pytest.mark.process
def test_a_killed_process_costs_nothing(undisturbed, tmp_path):
    poison = tmp_path / "poison"
    one = search(partial(SpawnedProcesses, 2), relax=DiesOnce(poison))
    accounts = one.run(proposals=PROPOSALS)
    next(accounts)
    poison.touch()
    for _ in accounts:
        pass
    assert not poison.exists()
    assert content(one) == undisturbed


@pytest.mark.process
def test_a_killed_dask_worker_costs_nothing(undisturbed, tmp_path):
    dask = pytest.importorskip("dask", reason="needs the extra 'cluster'")
    from distributed import LocalCluster

    from so3lab.cluster import connect

    poison = tmp_path / "poison"
    calm = {"distributed.scheduler.allowed-failures": 0}  # Dask itself tries again no more: we do
    with (
        dask.config.set(calm),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        connect(cluster.scheduler_address) as client,
    ):
        executor = client.get_executor(pure=False)
        one = search(executor, relax=DiesOnce(poison), out=tmp_path / "a.db")
        accounts = one.run(proposals=PROPOSALS)
        next(accounts)
        poison.touch()
        for _ in accounts:
            pass
        assert not poison.exists()
        assert content(search(executor, out=tmp_path / "a.db", resume=True)) == undisturbed
