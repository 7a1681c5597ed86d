"""Labels survive kills, several processes agree with one, and no bad number becomes a label."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import CalculationFailed
from ase.calculators.emt import EMT
from ase.io import read, write

from so3lab import labels
from so3lab.structures import with_electrons


@pytest.fixture
def frames():
    """Twelve rattled ethanol molecules."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(12):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.05, rng=rng)
        made.append(atoms)
    return made


class DoesNotConverge(EMT):
    """Fails where the first two atoms are nearer than usual."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        if atoms.get_distance(0, 1) < 1.5:
            raise CalculationFailed("the field did not converge")
        super().calculate(atoms, properties, system_changes)


class NotFinite(EMT):
    """Returns NaN for the force on the first atom."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.results["forces"][0] = np.nan


class NetForce(EMT):
    """Pushes the whole molecule."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.results["forces"] += [0.0, 0.0, 0.01]


class NetTorque(EMT):
    """Turns the whole molecule without pushing it."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        centred = atoms.positions - atoms.positions.mean(axis=0)
        self.results["forces"] += 0.01 * np.cross([0.0, 0.0, 1.0], centred)


def run(frames, level, out, **options):
    return list(labels.label(frames, level, out, **options))


def test_labels_are_the_calculators_numbers(frames, tmp_path):
    reports = run(frames, EMT, tmp_path / "labels.jsonl")
    read_back = labels.read_labels(tmp_path / "labels.jsonl")
    assert read_back.indices == list(range(len(frames)))
    assert read_back.failures == {}
    assert [report.done for report in reports] == list(range(len(frames) + 1))
    assert reports[-1].remaining_s == 0
    for atoms, energy, forces in zip(frames, read_back.energies, read_back.forces, strict=True):
        atoms.calc = EMT()
        assert energy == atoms.get_potential_energy()
        assert (forces == atoms.get_forces()).all()


@pytest.mark.process
def test_several_processes_agree_with_one(frames, tmp_path):
    run(frames, EMT, tmp_path / "one")
    run(frames, EMT, tmp_path / "two", processes=2)
    with ThreadPoolExecutor(2) as executor:
        run(frames, EMT, tmp_path / "threads", executor=executor)
    one = labels.read_labels(tmp_path / "one")
    for other in ("two", "threads"):
        parallel = labels.read_labels(tmp_path / other)
        assert parallel.indices == one.indices
        assert (parallel.energies == one.energies).all()
        assert np.array_equal(parallel.forces, one.forces)


@pytest.mark.process
def test_workers_get_one_thread_and_the_callers_environment_stays(frames, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    run(frames[:2], threads_as_energy, tmp_path / "labels", processes=2)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert (labels.read_labels(tmp_path / "labels").energies == 1.0).all()


def threads_as_energy():
    """A calculator whose energy is the number of threads its process may use."""
    return ThreadsAsEnergy()


class ThreadsAsEnergy(EMT):
    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.results["energy"] = float(os.environ["OMP_NUM_THREADS"])


SLOW_RUN = """
import sys, time
from ase.calculators.emt import EMT
from ase.io import read
from so3lab import labels

class Slow(EMT):
    def calculate(self, *arguments, **options):
        time.sleep(0.2)
        super().calculate(*arguments, **options)

if __name__ == "__main__":
    for _ in labels.label(read(sys.argv[1], ":"), Slow, sys.argv[2], processes=int(sys.argv[3])):
        pass
"""


@pytest.mark.process
@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_run_continues_and_ends_with_the_same_labels(frames, tmp_path, processes):
    write(tmp_path / "frames.traj", frames)
    (tmp_path / "slow_run.py").write_text(SLOW_RUN)
    journal = tmp_path / "labels.jsonl"
    command = [sys.executable, "slow_run.py", "frames.traj", journal.name, str(processes)]
    process = subprocess.Popen(command, cwd=tmp_path)
    deadline = time.monotonic() + 300
    while (not journal.exists() or journal.read_bytes().count(b"\n") < 3) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = journal.read_bytes()
    assert 3 <= before.count(b"\n") < len(frames)
    subprocess.run(command, cwd=tmp_path, check=True)
    assert journal.read_bytes().startswith(before)  # nothing was computed twice
    run(read(tmp_path / "frames.traj", ":"), EMT, tmp_path / "uninterrupted")
    killed, whole = labels.read_labels(journal), labels.read_labels(tmp_path / "uninterrupted")
    assert killed.indices == whole.indices == list(range(len(frames)))
    assert np.array_equal(killed.energies, whole.energies)
    assert np.array_equal(killed.forces, whole.forces)


@pytest.mark.parametrize("torn", [5, 40, -1])
def test_a_line_torn_by_a_kill_is_labelled_again(frames, tmp_path, torn):
    journal = tmp_path / "labels.jsonl"
    run(frames, EMT, journal)
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:4]) + lines[4][:torn])
    assert labels.read_labels(journal).indices == [0, 1, 2, 3]
    assert run(frames, EMT, journal)[0].done == 4
    assert journal.read_bytes() == whole


def test_a_damaged_line_in_the_middle_is_an_error(frames, tmp_path):
    journal = tmp_path / "labels.jsonl"
    run(frames, EMT, journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"{torn\n", *lines[2:]]))
    with pytest.raises(ValueError, match="line 2 cannot be read"):
        run(frames, EMT, journal)


def test_frames_that_do_not_converge_are_reported_and_skipped(frames, tmp_path):
    journal = tmp_path / "labels.jsonl"
    expected = [i for i, atoms in enumerate(frames) if atoms.get_distance(0, 1) < 1.5]
    assert 0 < len(expected) < len(frames)
    reports = run(frames, DoesNotConverge, journal)
    assert [report.frame for report in reports if report.failure] == expected
    assert reports[-1].failed == len(expected)
    read_back = labels.read_labels(journal)
    assert list(read_back.failures) == expected
    assert not set(expected) & set(read_back.indices)
    assert "did not converge" in read_back.failures[expected[0]]
    assert run(frames, DoesNotConverge, journal)[0].done == len(frames)  # not tried again by itself
    assert len(run(frames, DoesNotConverge, journal, retry_failed=True)) == 1 + len(expected)


@pytest.mark.parametrize(
    ("factory", "reason"),
    [(NotFinite, "finite"), (NetForce, "forces must sum to zero"), (NetTorque, "torques must sum to zero")],
)
def test_impossible_numbers_are_refused(frames, tmp_path, factory, reason):
    run(frames, factory, tmp_path / "labels")
    read_back = labels.read_labels(tmp_path / "labels")
    assert read_back.indices == []
    assert all(reason in failure for failure in read_back.failures.values())


def test_a_calculator_without_these_elements_stops_the_run(frames, tmp_path):
    frames[0].numbers[0] = 92
    with pytest.raises(NotImplementedError):
        run(frames, EMT, tmp_path / "labels")


def test_a_journal_of_other_frames_or_another_level_is_refused(frames, tmp_path):
    journal = tmp_path / "labels.jsonl"
    run(frames[:3], EMT, journal)
    with pytest.raises(ValueError, match="level 'NetForce'"):
        run(frames, NetForce, journal)
    frames[1].positions[0, 0] += 1e-9
    with pytest.raises(ValueError, match="another structure"):
        run(frames, EMT, journal)


def test_more_frames_can_be_added_later(frames, tmp_path):
    journal = tmp_path / "labels.jsonl"
    run(frames[:3], EMT, journal)
    assert run(frames, EMT, journal)[0].done == 3
    assert len(labels.labelled_frames(frames, journal)) == len(frames)


def test_unknown_levels_are_named(frames, tmp_path):
    with pytest.raises(ValueError, match=r"one of \['gfn2', 'pbe'\].*'ccsd'"):
        run(frames, "ccsd", tmp_path / "labels")


def test_labelled_frames_survive_extended_xyz(frames, tmp_path):
    journal = tmp_path / "labels.jsonl"
    run(frames, EMT, journal)
    write(tmp_path / "labelled.extxyz", labels.labelled_frames(frames, journal))
    back = read(tmp_path / "labelled.extxyz", ":")
    read_back = labels.read_labels(journal)
    assert [atoms.get_potential_energy() for atoms in back] == pytest.approx(list(read_back.energies))
    assert back[5].get_forces() == pytest.approx(read_back.forces[5], abs=1e-7)


@pytest.mark.parametrize("level", ["gfn2", "pbe"])
def test_named_levels_have_forces_that_are_the_slope_of_the_energy(tmp_path, level):
    pytest.importorskip({"gfn2": "tblite", "pbe": "pyscf"}[level], reason="needs the extra 'labels'")
    water, step = molecule("H2O"), 1e-3
    water.rattle(0.05, seed=1)
    shifted = [water.copy(), water.copy(), water.copy()]
    shifted[1].positions[1, 2] += step
    shifted[2].positions[1, 2] -= step
    run(shifted, level, tmp_path / "labels")
    read_back = labels.read_labels(tmp_path / "labels")
    slope = -(read_back.energies[1] - read_back.energies[2]) / (2 * step)
    assert read_back.failures == {}
    assert read_back.forces[0][1, 2] == pytest.approx(slope, abs=2e-4)


@pytest.mark.parametrize(("formula", "charge", "multiplicity"), [("OH", -1, 1), ("OH", 0, 2), ("NH4", 1, 1)])
def test_ions_and_radicals_are_what_they_say(tmp_path, formula, charge, multiplicity):
    tblite = pytest.importorskip("tblite.ase", reason="needs the extra 'labels'")
    atoms = molecule("CH4" if formula == "NH4" else formula)
    atoms.numbers[0] = 7 if formula == "NH4" else 8
    run([with_electrons(atoms, charge=charge, multiplicity=multiplicity)], "gfn2", tmp_path / "labels")
    (energy,) = labels.read_labels(tmp_path / "labels").energies
    plain = Atoms(atoms.numbers, atoms.positions)
    plain.calc = tblite.TBLite(charge=charge, multiplicity=multiplicity, verbosity=0)
    assert energy == pytest.approx(plain.get_potential_energy(), abs=1e-4)


def test_an_unconverged_density_functional_calculation_is_no_label(tmp_path):
    pytest.importorskip("pyscf", reason="needs the extra 'labels'")
    run([molecule("H2O")], hopeless, tmp_path / "labels")
    (failure,) = labels.read_labels(tmp_path / "labels").failures.values()
    assert "must converge" in failure
    assert "energy" not in json.loads((tmp_path / "labels").read_text())


def hopeless():
    """PBE that is asked to converge better than arithmetic allows."""
    from so3lab.labels.methods import PySCFDensityFunctional

    return PySCFDensityFunctional("PBE", "sto-3g", grid_level=0, convergence_hartree=1e-30)


def test_frames_that_were_found_become_a_set(frames, tmp_path):
    found = labels.labelled_set(frames, EMT, tmp_path / "found.jsonl")
    assert (found.name, len(found), found.meta["level_of_theory"]) == ("found", len(frames), "EMT")
    for number, atoms in enumerate(frames):
        atoms.calc = EMT()
        assert found.energies[number] == pytest.approx(atoms.get_potential_energy())
        np.testing.assert_allclose(found.forces[number], atoms.get_forces(), atol=1e-9)


def test_a_set_holds_what_got_a_label_and_none_is_refused(frames, tmp_path):
    frames[3].set_distance(0, 1, 1.4)
    some = labels.labelled_set(frames, DoesNotConverge, tmp_path / "some.jsonl", name="mine")
    assert some.name == "mine"
    assert len(some) == some.meta["labelled_frames"] < some.meta["found_frames"] == len(frames)
    with pytest.raises(
        ValueError, match=r"none of the 12 frames got a label; frame 0: energy and forces must be finite"
    ):
        labels.labelled_set(frames, NotFinite, tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match="frames must be at least one structure, got none"):
        labels.labelled_set([], EMT, tmp_path / "empty.jsonl")
