"""Energies of a set that belong to other frames, have other zeros or units, or are no energies of these frames."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from label_remarks import joined, refused, remarks_on
from labelled_springs import as_dataset, springs

from so3lab import datasets
from so3lab.units import hartree as HARTREE


def test_a_frame_whose_energy_is_another_one_is_named():
    arrays = springs(spread=0.03)
    arrays["energies"][11] += 5.0
    (remark,) = remarks_on(as_dataset(**arrays))
    assert "the energy of frame 11 does not go with those of 39 other frames" in remark


def test_a_cell_of_one_atom_has_its_energy_wherever_the_atom_is():
    rng, cell = np.random.default_rng(0), np.tile(3.5 * np.eye(3), (6, 1, 1))
    dataset = datasets.Dataset.from_arrays(
        "nickel", np.array([28]), rng.normal(size=(6, 1, 3)), np.full(6, -0.01), 1e-16 * rng.normal(size=(6, 1, 3)),
        cells=cell, pbc=np.ones((6, 3), bool),
    )  # fmt: skip
    assert remarks_on(dataset) == ()


def test_total_energies_of_few_frames_in_hartree_are_warned_of():
    arrays = springs(frames=2)
    (remark,) = remarks_on(as_dataset(**arrays | {"energies": arrays["energies"] / HARTREE}))
    assert "like total energies of all electrons in hartree" in remark


def test_one_molecule_of_several_is_found():
    right, wrong = as_dataset(**springs("C6H6", frames=60)), springs("CH3OH", frames=20)
    wrong = as_dataset(**wrong | {"forces": -wrong["forces"]})
    assert remarks_on(joined(right, as_dataset(**springs("CH3OH", frames=20)))) == ()
    refused(joined(right, wrong), "wrong sign")


def test_energies_of_other_frames_are_warned_of():
    arrays = springs(frames=80, spread=0.04)
    shuffled = np.random.default_rng(0).permutation(arrays["energies"])
    assert any("not at all" in remark for remark in remarks_on(as_dataset(**arrays | {"energies": shuffled})))


def many_molecules():
    """Four frames of each of ten."""
    names = ("CH4", "C2H6", "CH3OH", "CH3CH2OH", "H2CO", "C6H6", "HCOOH", "CH3CHO", "C2H4", "CH3CONH2")
    whole = as_dataset(**springs(names[0], frames=4, spread=0.04))
    for name in names[1:]:
        whole = joined(whole, as_dataset(**springs(name, frames=4, spread=0.04)))
    return whole


def test_energies_of_many_molecules_of_few_frames_are_judged_together():
    """Each molecule by itself has too few frames to tell."""
    right, rng = many_molecules(), np.random.default_rng(0)
    assert remarks_on(right) == ()
    noisy = replace(right, energies=right.energies + 2.0 * rng.normal(size=len(right)))
    assert any("not at all" in remark for remark in remarks_on(noisy))
    shuffled = replace(right, energies=right.energies.reshape(-1, 4)[:, [1, 2, 3, 0]].reshape(-1))
    assert any("not at all" in remark for remark in remarks_on(shuffled))
    shifted = replace(right, energies=right.energies + np.where(np.arange(len(right)) % 3 == 0, 3.0, 0.0))
    refused(shifted, r"two zeros: .* lie (3|3\.0\d*|2\.9\d*) eV below")


@pytest.mark.parametrize("name", ["ala2", "ala2-hot", "ethanol-hot"])
@pytest.mark.parametrize(("factor", "unit"), [(1 / HARTREE, "in eV beside others in hartree"), (96.485, "in kJ/mol")])
def test_energies_of_two_units_are_refused_by_the_unit(name, factor, unit):
    """Some frames of hot molecules are strained by more than an eV, which has no part in the gap."""
    right = datasets.load(name)
    half = np.where(np.arange(len(right)) < len(right) // 2, 1.0, factor)
    refused(replace(right, energies=right.energies * half), rf"two zeros: frames .*; they are like energies .*{unit}")


def test_two_zeros_of_energy_are_refused():
    arrays = springs()
    shifted = arrays["energies"] + np.where(np.arange(40) % 3 == 0, 12.0, 0.0)
    refused(as_dataset(**arrays | {"energies": shifted}), r"two zeros: frames 1, .* lie 12(\.\d+)? eV below frames 0, ")
    isomers = joined(as_dataset(**springs("CH3OCH3")), as_dataset(**springs("CH3CH2OH")))  # the same atoms, far apart
    assert remarks_on(isomers) == ()


def test_total_energies_beside_others_are_warned_of():
    total, other = as_dataset(**springs("CH4")), springs("C2H6")
    other = as_dataset(**other | {"energies": other["energies"] - other["energies"].mean() - 30.0})
    (remark,) = remarks_on(joined(total, other))
    assert "frames 0, 1, 2 and 37 more have total energies of all electrons" in remark
    hydrogen, carbon = springs("H2"), springs("C2H6")  # pseudopotentials leave hydrogen all its electrons
    carbon["energies"] = carbon["energies"] - carbon["energies"].mean() - 400.0
    assert remarks_on(joined(as_dataset(**hydrogen), as_dataset(**carbon))) == ()


def test_energies_that_do_not_vary_are_refused():
    arrays = springs()
    refused(as_dataset(**arrays | {"energies": np.full(40, arrays["energies"][0])}), "40 frames .* are all -4")
    (remark,) = remarks_on(as_dataset(**arrays | {"energies": np.round(arrays["energies"])}))
    assert "too few digits" in remark


def test_energies_in_single_precision_are_warned_of():
    arrays = springs()
    arrays["energies"] = (arrays["energies"] - 2e5).astype(np.float32)
    (remark,) = [remark for remark in remarks_on(as_dataset(**arrays)) if "precision" in remark]
    assert "steps of 15.6 meV" in remark


def test_copies_and_copies_with_other_energies_are_warned_of():
    arrays = springs(frames=20)
    twice = {key: value if key == "numbers" else np.concatenate([value, value[:5]]) for key, value in arrays.items()}
    (remark,) = remarks_on(as_dataset(**twice))
    assert remark.startswith("5 of 25 frames are copies of others (frame 20 is frame 0 again)")
    twice["energies"][22] += 0.02
    assert any("1 of these copies have other energies (frame 22)" in r for r in remarks_on(as_dataset(**twice)))


def scan(symbols="H2", start=0.45, step=0.1, frames=25, depth=4.75, width=1.94, rest=0.741):
    """Morse's curve of two atoms, most of it beyond a bond."""
    lengths = start + step * np.arange(frames)
    decay = np.exp(-width * (lengths - rest))
    pull = 2.0 * depth * width * (1.0 - decay) * decay
    axis = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return {
        "numbers": Atoms(symbols).numbers, "positions": lengths[:, None, None] * axis,
        "energies": depth * (1.0 - decay) ** 2 - 31.9,
        "forces": pull[:, None, None] * np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]),
    }  # fmt: skip


@pytest.mark.parametrize("step", [0.02, 0.05, 0.1, 0.2, 0.3, 0.5])
@pytest.mark.parametrize(
    "curve",
    [{}, {"symbols": "N2", "start": 0.8, "depth": 9.9, "width": 2.7, "rest": 1.098},
     {"symbols": "Cu2", "start": 1.61, "depth": 2.0, "width": 1.4, "rest": 2.22}],
)  # fmt: skip
def test_curves_of_two_atoms_are_compared_step_by_step(curve, step):
    """Most frames of a scan have no bond; whether energies follow forces is seen between neighbours of the curve."""
    arrays = scan(step=step, **curve)
    assert remarks_on(as_dataset(**arrays)) == ()
    if step <= 0.2:
        refused(as_dataset(**arrays | {"forces": -arrays["forces"]}), "wrong sign")
        refused(
            as_dataset(**arrays | {"energies": arrays["energies"] / HARTREE}),
            "in hartree beside forces|cannot both be right",
        )


def test_noise_on_a_curve_of_two_atoms_is_warned_of():
    arrays = scan(step=0.05, frames=60)
    noisy = arrays["energies"] + 2.0 * np.random.default_rng(0).normal(size=60)
    assert any("not at all" in remark for remark in remarks_on(as_dataset(**arrays | {"energies": noisy})))
