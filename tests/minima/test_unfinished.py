"""What a round has relaxed when it is interrupted is kept, and is not relaxed again."""

import os
import sqlite3

import numpy as np
import pytest
from mmff import relax_by_mmff

from so3lab.minima import MinimaDatabase, Search, gather
from so3lab.minima.unfinished import Unfinished
from so3lab.minimize import Relaxed
from so3lab.pretrained import lennard_jones
from so3lab.structures import from_smiles

SMILES = "CCCO"
MODEL = lennard_jones()


class Counting:
    """Relaxes, counts, and is interrupted after so many structures."""

    def __init__(self, most=10**6):
        self.count, self._most, self._relax = 0, most, relax_by_mmff(SMILES)

    def __call__(self, structures):
        for one in self._relax(structures):
            if self.count == self._most:
                raise KeyboardInterrupt
            self.count += 1
            yield one


def search(file, relax, **options):
    options = {"proposals": ["torsions"], "round_size": 8, "resume": True, **options}
    return Search(MODEL, from_smiles(SMILES), relax=relax, out=file, **options)


def found(file):
    return [(one.energy, one.visits, one.atoms.positions.tolist()) for one in gather(MinimaDatabase(file))]


def test_an_interrupt_costs_no_relaxation(tmp_path):
    whole = Counting()
    list(search(tmp_path / "whole.db", whole).run(proposals=17))
    for most in (5, whole.count - 1):
        file = tmp_path / f"{most}.db"
        first, second = Counting(most), Counting()
        with pytest.raises(KeyboardInterrupt):
            list(search(file, first).run(proposals=17))
        list(search(file, second).run(proposals=17))
        assert first.count + second.count == whole.count
        assert found(file) == found(tmp_path / "whole.db")


def test_nothing_is_left_of_a_round_that_has_been_stored(tmp_path):
    one = search(tmp_path / "a.db", Counting())
    list(one.run(proposals=9))
    assert MinimaDatabase(tmp_path / "a.db").find(one.name).running == {}


def test_results_come_back_as_they_were(tmp_path, monkeypatch):
    monkeypatch.setattr("so3lab.minima.unfinished.EVERY_S", -1.0)  # at once: a kill leaves no time
    start = from_smiles(SMILES)
    start.info["charge"] = 1
    relaxed = next(iter(relax_by_mmff(SMILES)([start])))
    told = Relaxed(
        0, relaxed.atoms, relaxed.energy, 0.02, 1.5, 17, "fire", "bonds changed", bonds_made=((0, 3), (1, 2)),
        inverted_centres=(4,),
    )  # fmt: skip
    database = MinimaDatabase(tmp_path / "a.db")
    database.begin("search-a", start, {})
    Unfinished(store=lambda results: database.keep("search-a", results)).add(start, told)
    stored = Unfinished(MinimaDatabase(tmp_path / "a.db").find("search-a").running)
    again, moved = stored.find(start), start.copy()
    moved.positions[0, 0] += 1e-6
    assert stored.find(moved) is None
    assert again.atoms == told.atoms
    assert again.atoms.info == start.info
    np.testing.assert_array_equal(again.atoms.get_forces(), told.atoms.get_forces())
    for name in ("energy", "max_force", "gain_meV", "evaluations", "method", "why", "bonds_made", "inverted_centres"):
        assert getattr(again, name) == getattr(told, name)


def test_a_disk_that_is_full_is_a_sentence_and_costs_nothing(tmp_path, monkeypatch):
    file = tmp_path / "a.db"
    one = search(file, Counting())
    list(one.run(proposals=9))
    before = found(file)
    update = type(one._database._database)._update

    def full(*arguments, **options):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(type(one._database._database), "_update", full)
    with pytest.raises(OSError, match=r"a\.db cannot be written \(database or disk is full\).* is safe"):
        list(one.run(proposals=17))
    monkeypatch.setattr(type(one._database._database), "_update", update)
    assert found(file) == before
    list(search(file, Counting()).run(proposals=17))
    list(search(tmp_path / "whole.db", Counting()).run(proposals=17))
    assert found(file) == found(tmp_path / "whole.db")


def test_what_may_not_be_written_is_refused_at_once_and_can_be_read(tmp_path, monkeypatch):
    file = tmp_path / "a.db"
    list(search(file, Counting()).run(proposals=9))
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **how: mode != os.W_OK and access(path, mode, **how))
    relax = Counting()
    with pytest.raises(PermissionError, match=r"a\.db may not be written"):
        search(file, relax)
    assert relax.count == 0
    assert found(file)
