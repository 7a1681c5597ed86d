"""Molecules that stand wholly in one of two sources are told by what their elements contribute; one source never is.

``molecules_of_two_methods.csv`` holds total energies of 173 molecules, as RDKit and MMFF94 make them, computed with
GFN2-xTB and GFN1-xTB (tblite 0.8.0).
"""

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from ase.formula import Formula
from ase.symbols import symbols2numbers

from so3lab import datasets
from so3lab.datasets.consistency.two_sources import check_two_sources

with Path(__file__).with_name("molecules_of_two_methods.csv").open() as _file:
    ROWS = list(csv.DictReader(_file))
NUMBERS = [np.array(symbols2numbers(list(Formula(row["formula"])))) for row in ROWS]
ENERGIES = {name: np.array([float(row[f"{name}_eV"]) for row in ROWS]) for name in ("GFN2", "GFN1")}


def molecules(energies, chosen=None, **others) -> datasets.Dataset:
    """Of which only elements and energies are asked."""
    chosen = range(len(NUMBERS)) if chosen is None else chosen
    numbers = tuple(NUMBERS[number] for number in chosen)
    places = tuple(np.arange(3.0 * len(z)).reshape(-1, 3) for z in numbers)
    forces = tuple(np.zeros((len(z), 3)) for z in numbers)
    return datasets.Dataset("molecules", numbers, places, energies, forces, **others)


@pytest.mark.parametrize("name", ENERGIES)
def test_one_method_has_one_zero(name):
    assert check_two_sources(molecules(ENERGIES[name])) == []
    rng = np.random.default_rng(0)
    for _ in range(40):
        chosen = rng.choice(len(NUMBERS), rng.integers(30, 150), replace=False)
        assert check_two_sources(molecules(ENERGIES[name][chosen], chosen)) == []


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_two_methods_have_two(share):
    second = np.random.default_rng(1).random(len(NUMBERS)) < share
    (finding,) = check_two_sources(molecules(np.where(second, ENERGIES["GFN1"], ENERGIES["GFN2"])))
    assert not finding.refused
    assert "energies of molecules seem to have two zeros: frames" in finding.sentence
    assert "put energies of different programs or methods on one zero" in finding.sentence


def test_ions_and_cells_are_not_compared_with_molecules():
    """Their energies differ for good reasons; a set of them alone is asked as well."""
    second = np.random.default_rng(1).random(len(NUMBERS)) < 0.5
    energies = np.where(second, ENERGIES["GFN1"], ENERGIES["GFN2"])
    assert check_two_sources(molecules(energies, total_charges=np.where(second, 2.0, 0.0))) == []
    cells = np.tile(20.0 * np.eye(3), (len(NUMBERS), 1, 1))
    assert check_two_sources(molecules(energies, cells=cells, pbc=np.ones((len(NUMBERS), 3), bool))) == []


@pytest.mark.parametrize("names", itertools.combinations(("saturated", "unsaturated", "rings"), 2))
def test_homologous_series_are_no_sources(names):
    """Each obeys a line of its own, from which the others lie off; but none lets one ask the other."""
    series = {
        "saturated": [(n, 2 * n + 2, o) for n in range(1, 12) for o in (0, 1, 2)],
        "unsaturated": [(n, n, o) for n in range(4, 15) for o in (0, 1, 2)],
        "rings": [(n, 2 * n, o) for n in range(3, 14) for o in (0, 1, 2)],
    }
    own = {"saturated": (-60.0, -14.0, -110.0), "unsaturated": (-61.0, -13.0, -111.0), "rings": (-60.2, -14.1, -110.0)}
    counts = [count for name in names for count in series[name]]
    energies = np.array([np.dot(count, own[name]) for name in names for count in series[name]])
    numbers = [np.repeat([6, 1, 8], count) for count in counts]
    dataset = datasets.Dataset(
        "series", tuple(numbers), tuple(np.arange(3.0 * len(z)).reshape(-1, 3) for z in numbers), energies,
        tuple(np.zeros((len(z), 3)) for z in numbers),
    )  # fmt: skip
    assert check_two_sources(dataset) == []
