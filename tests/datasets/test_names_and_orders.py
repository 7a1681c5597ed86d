"""Two sets of labels, gradients, charges of some frames, elements in another order: chosen and said, or asked."""

import ase.io
import numpy as np
import pytest
from labelled_springs import as_atoms, springs

from so3lab import datasets
from so3lab.app import main
from so3lab.datasets.sanity_checks import check_units_and_geometry


def written(path, frames):
    ase.io.write(path, frames, format="extxyz")
    return path


def two_families(tmp_path):
    """The file that trainers of MACE write: plain labels of another method beside reference ones."""
    arrays = springs()
    frames = as_atoms(arrays, "REF_energy", "REF_forces")
    for atoms in frames:
        atoms.info["energy"] = atoms.info["REF_energy"] + 1.0
        atoms.arrays["forces"] = 1.1 * atoms.arrays["REF_forces"]
    return arrays, written(tmp_path / "two.extxyz", frames)


def test_reference_labels_go_before_plain_ones_and_both_are_said(tmp_path, capsys):
    arrays, path = two_families(tmp_path)
    data = datasets.load(path)
    np.testing.assert_allclose(data.energies, arrays["energies"])
    np.testing.assert_allclose(np.stack(data.forces), arrays["forces"], atol=1e-7)
    assert data.meta["labels_left_out"].startswith("'energy', 'forces': 'REF_energy' and 'REF_forces' are read")
    main(["data", "info", str(path)])
    assert "left out 'energy', 'forces'" in capsys.readouterr().err
    chosen = datasets.load(path, keys={"energies": "energy", "forces": "forces"})
    np.testing.assert_allclose(chosen.energies, arrays["energies"] + 1.0)
    assert "labels_left_out" not in chosen.meta


def test_a_label_goes_with_the_other_of_its_family(tmp_path):
    """dft_forces beside two energies: the energy of the same name is meant."""
    arrays = springs()
    np.savez(
        tmp_path / "a.npz", z=arrays["numbers"], R=arrays["positions"], E=arrays["energies"] + 3.0,
        dft_energy=arrays["energies"], dft_forces=arrays["forces"],
    )  # fmt: skip
    data = datasets.load(tmp_path / "a.npz", energy_unit="eV")
    np.testing.assert_allclose(data.energies, arrays["energies"])
    assert data.meta["labels_left_out"].startswith("'E'")


@pytest.mark.parametrize("name", ["gradients", "dft_total_gradient"])
def test_the_negative_of_a_gradient_is_taken_and_said(tmp_path, name):
    arrays = springs()
    np.savez(
        tmp_path / "a.npz", z=arrays["numbers"], R=arrays["positions"], E=arrays["energies"],
        **{name: -arrays["forces"]},
    )  # fmt: skip
    written(tmp_path / "a.extxyz", as_atoms(arrays | {"forces": -arrays["forces"]}, forces=name))
    for file in ("a.npz", "a.extxyz"):
        data = datasets.load(tmp_path / file, energy_unit="eV", keys={"forces": name})
        np.testing.assert_allclose(np.stack(data.forces), arrays["forces"], atol=1e-6)
        assert data.meta["forces_read_from"] == f"{name} times -1, because forces are minus the gradient"
    with pytest.raises(ValueError, match="if it is named, the negative is taken"):
        datasets.load(tmp_path / "a.npz", energy_unit="eV")


def charged(*which):
    frames = as_atoms(springs("CH3OH", frames=6))
    for i in which:
        frames[i].info["charge"] = -1
    return frames


def test_charges_of_some_frames_alone_are_refused_and_our_own_files_are_not(tmp_path):
    path = written(tmp_path / "some.extxyz", charged(0, 2, 4, 5))
    with pytest.raises(
        ValueError, match=r"frames 0, 2, 4 and 1 more carry one \(-1 e in frame 0\), frames 1 and 3 say"
    ):
        datasets.load(path)
    frames = charged(*range(6))
    frames[3].info["charge"] = 1
    whole = datasets.load(written(tmp_path / "all.extxyz", frames), check=False)
    mixed = datasets.from_atoms([whole[0], whole[3], whole.select([1])[0]], "again")
    assert mixed.total_charges.tolist() == [-1.0, 1.0, -1.0]


@pytest.mark.parametrize("name", ["CH3CH2OH", "C2H6", "CH3CHO", "C6H6"])
def test_elements_in_another_order_than_positions_are_refused(name):
    arrays = springs(name)
    turned = datasets.Dataset.from_arrays(name, **arrays | {"numbers": arrays["numbers"][::-1]})
    check_units_and_geometry(datasets.Dataset.from_arrays(name, **arrays))
    with pytest.raises(ValueError, match="probably in another order than positions"):
        check_units_and_geometry(turned)
