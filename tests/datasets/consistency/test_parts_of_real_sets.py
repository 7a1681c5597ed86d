"""Right labels of few or many real frames are left alone; wrong signs and units of theirs are found."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from so3lab import datasets
from so3lab.units import bohr as BOHR
from so3lab.units import hartree as HARTREE
from so3lab.units import kcal_per_mol as KCAL_PER_MOL
from so3lab.units import kJ_per_mol as KJ_PER_MOL

BUNDLED = ("ethanol", "ala2", "ala3")
PUBLIC = ("ethanol_pbe_rmd17", "aspirin_pbe_rmd17", "acac_pbe_d3")
WRONG = {
    "wrong sign": (1.0, -1.0),
    "like forces in kcal/mol/angstrom": (1.0, 1 / KCAL_PER_MOL),
    "like forces in kJ/mol/angstrom": (1.0, 1 / KJ_PER_MOL),
    "like forces in hartree/bohr": (1.0, BOHR / HARTREE),
    "energies have the wrong sign": (-1.0, 1.0),
    "energies in hartree beside forces in eV/angstrom": (1 / HARTREE, 1.0),
    "energies in kcal/mol beside forces in eV/angstrom": (1 / KCAL_PER_MOL, 1.0),
    "energies per atom": (None, 1.0),
}
"""Factors of energies and of forces, by the words that say so."""


def with_labels(dataset, energy, force):
    energy = 1.0 / dataset.max_atoms if energy is None else energy
    return replace(dataset, energies=dataset.energies * energy, forces=tuple(force * f for f in dataset.forces))


def in_box(dataset, edge=24.0):
    """The same in cells, with every atom put back into it."""
    frames = len(dataset)
    return replace(
        dataset,
        positions=tuple(np.mod(r + 1.3, edge) for r in dataset.positions),
        cells=np.tile(edge * np.eye(3), (frames, 1, 1)),
        pbc=np.ones((frames, 3), bool),
    )


def said(dataset):
    """Everything that the check says, refused or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", datasets.LabelWarning)
        return " ".join(datasets.check_labels(dataset, refuse=False))


@pytest.fixture(scope="module")
def sets(request):
    """Real sets by name, loaded once."""
    kept = {}

    def get(name):
        if name not in kept:
            source = name if name in BUNDLED else request.getfixturevalue("shared") / "public_data" / f"{name}.npz"
            kept[name] = replace(datasets.load(source, energy_unit="eV", check=False))  # not asked yet
        return kept[name]

    return get


def holds(dataset, wrong):
    """That right labels are left alone, in a cell too, and that those of ``wrong`` are found."""
    for one in (dataset, in_box(dataset)):
        assert said(one) == ""
        for words, factors in wrong.items():
            assert words in said(with_labels(one, *factors)) or (words.startswith("energ") and one.untold)


@pytest.mark.parametrize("name", BUNDLED)
def test_the_first_frames_of_bundled_sets(sets, name):
    holds(sets(name).select(range(10)), {words: WRONG[words] for words in list(WRONG)[:2]})
    assert said(sets(name).select(range(30))) == ""


@pytest.mark.study
@pytest.mark.parametrize("name", [*BUNDLED, *PUBLIC])
def test_parts_of_real_sets(sets, name):
    whole = sets(name)
    holds(whole.select(range(10)), WRONG)
    holds(whole.select(np.random.default_rng(0).choice(len(whole), 30, replace=False)), WRONG)
    holds(whole.select(range(1000)), {words: WRONG[words] for words in list(WRONG)[::3]})
    for frames in (20, 100):
        assert said(whole.select(range(frames))) == ""


def test_five_frames_of_a_tripeptide(sets):
    holds(sets("md22_ala3_5frames"), WRONG)
