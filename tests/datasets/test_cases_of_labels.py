"""Labels as people bring them: each case is read as it was meant, refused, or warned of, at every door."""

import json
import warnings
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms
from labelled_springs import as_atoms, crystal, springs

from so3lab import datasets
from so3lab.app import main
from so3lab.units import bohr as BOHR
from so3lab.units import hartree as HARTREE


def written(path, frames):
    ase.io.write(path, frames, format="extxyz")
    return path


def info(capsys, *arguments):
    """Exit status of ``so3lab data info``, what it answers and what it remarks, each in one line."""
    status = main(["data", "info", *map(str, arguments)])
    said = capsys.readouterr()
    return status, " ".join(said.out.split()), " ".join(said.err.split())


def remarks_on(path, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", datasets.LabelWarning)
        return datasets.load(path, **arguments).remarks


# The folders of cases that were found by trying.


def test_energies_in_hartree_beside_forces_in_ev(shared, capsys):
    status, _, said = info(capsys, shared / "cases/energies-in-other-units/mixed_units.extxyz")
    assert status == 1
    assert "energies in hartree beside forces in eV/angstrom" in said
    assert "--no-checks leaves this check out" in said


def test_gradients_in_place_of_forces(shared, capsys):
    folder = shared / "cases/forces-with-wrong-sign"
    status, _, said = info(capsys, folder / "negated.extxyz")
    assert status == 1
    assert "forces have the wrong sign: they are gradients" in said
    assert info(capsys, folder / "right.extxyz")[0] == 0
    assert datasets.load(folder / "right.extxyz").remarks == ()


def test_gradients_are_refused_by_training_and_evaluation_too(shared, tmp_path, capsys):
    negated = shared / "cases/forces-with-wrong-sign/negated.extxyz"
    assert main(["train", str(negated), "--preset", "tiny", "--out", str(tmp_path / "m.so3.safetensors")]) == 1
    assert "wrong sign" in capsys.readouterr().err
    assert main(["evaluate", "ethanol", str(negated)]) == 1
    assert "wrong sign" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_sixty_times_the_same_frame(shared, tmp_path, capsys):
    same = shared / "cases/identical-frames/same.extxyz"
    status, _, said = info(capsys, same)
    assert status == 0
    assert "59 of 60 frames are copies of others" in said
    out = tmp_path / "m.so3.safetensors"
    assert main(["train", str(same), "--preset", "tiny", "--train", "40", "--valid", "10", "--out", str(out)]) == 1
    assert "only 1 of whose 60 frames differ" in " ".join(capsys.readouterr().err.split())


def test_names_that_mace_writes(shared, capsys):
    file = shared / "cases/keys-on-the-command-line/ref.extxyz"
    status, _, said = info(capsys, file)
    assert status == 0
    assert "energies are read from 'REF_energy'" in said
    assert "forces are read from 'REF_forces'" in said
    assert info(capsys, file, "--keys", "energies=REF_energy,forces=REF_forces")[0] == 0
    status, _, said = info(capsys, file, "--keys", "energies=E0")
    assert status == 1
    assert "no energies under 'E0'; it has 'REF_energy'" in said
    assert "pass --keys energies=..." in said


@pytest.mark.parametrize("text", ["energies", "energies=", "energies=a,energies=b", "=a"])
def test_keys_that_are_none_are_refused(capsys, text):
    status, _, said = info(capsys, "ethanol", "--keys", text)
    assert status == 1
    assert "--keys must" in said


def test_text_in_an_energy(shared, capsys):
    status, _, said = info(capsys, shared / "cases/text-in-energy/text.extxyz")
    assert status == 1
    assert "frame 0 of" in said
    assert "text.extxyz, 'energy': must be a number, got '-4209.7043087356005 eV'" in said
    assert "say the unit once, as --energy-unit eV" in said


def test_radicals_keep_their_spins(shared):
    dataset = datasets.load(shared / "cases/spin-in-training-data/radicals.extxyz")
    radical = np.array([len(z) == 4 for z in dataset.numbers])
    np.testing.assert_array_equal(dataset.unpaired_electrons, radical.astype(float))
    assert "spin" not in dataset.labels


# Others of the same kinds, with where they come from.


@pytest.mark.parametrize(
    ("energy", "force", "source"),
    [
        ("REF_energy", "REF_forces", "github.com/ACEsuit/mace/issues/933"),
        ("Energy", "force", "github.com/deepmodeling/dpdata/issues/983"),
        ("DFT_energy", "DFT_forces", "github.com/ACEsuit/mace/issues/17"),
        ("dft_energy", "dft_force", "github.com/ACEsuit/ACEpotentials.jl/issues/107"),
        ("total_energy", "forces", "github.com/mir-group/nequip, key mapping of extxyz data"),
        ("free_energy", "forces", "github.com/deepmodeling/dpdata/issues/973"),
    ],
)
def test_usual_names_are_read(tmp_path, energy, force, source):
    arrays = springs(frames=5)
    dataset = datasets.load(written(tmp_path / "a.extxyz", as_atoms(arrays, energy, force)))
    np.testing.assert_allclose(dataset.energies, arrays["energies"], err_msg=source)
    np.testing.assert_allclose(np.stack(dataset.forces), arrays["forces"], atol=1e-7)
    assert dataset.meta["energies_read_from"] == energy


def test_the_plain_name_goes_before_others(tmp_path):
    """github.com/ACEsuit/mace/issues/994: files that carry energy, free_energy and dft_energy side by side."""
    arrays = springs(frames=5)
    frames = as_atoms(arrays)
    for atoms in frames:
        atoms.info |= {"dft_energy": 0.0, "free_energy": 1.0}
    dataset = datasets.load(written(tmp_path / "a.extxyz", frames))
    np.testing.assert_allclose(dataset.energies, arrays["energies"])
    assert "energies_read_from" not in dataset.meta


def test_isolated_atoms_need_no_forces(tmp_path):
    """github.com/ACEsuit/mace-jax/issues/23: reference energies of atoms among the frames."""
    atom = Atoms("O", info={"REF_energy": -2042.0, "config_type": "IsolatedAtom"})
    frames = [atom, *as_atoms(springs(frames=5), "REF_energy", "REF_forces")]
    dataset = datasets.load(written(tmp_path / "a.extxyz", frames))
    assert (len(dataset), dataset.sizes[0]) == (6, 1)
    assert not dataset.forces[0].any()


def test_forces_of_held_atoms_are_those_of_the_file(tmp_path):
    """github.com/ACEsuit/mace/pull/1448: ASE gives held atoms no force when it is asked in its usual way."""
    arrays = springs(frames=6)
    frames = as_atoms(arrays)
    for atoms in frames:
        atoms.set_constraint(FixAtoms([0, 1, 2]))
    dataset = datasets.load(written(tmp_path / "a.extxyz", frames))
    np.testing.assert_allclose(np.stack(dataset.forces), arrays["forces"], atol=1e-7)


def test_forces_that_a_program_left_out_for_held_atoms(tmp_path):
    """github.com/deepmodeling/deepmd-kit/issues/3300: frozen atoms have zeros in trajectories."""
    arrays = springs(frames=6)
    arrays["forces"][:, 3:] = 0.0
    remarks = remarks_on(written(tmp_path / "a.extxyz", as_atoms(arrays)))
    assert any("exactly zero beside others" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("value", "reason", "source"),
    [
        ("nan", "probably failed", "github.com/aiqm/ANI1x_datasets/issues/6"),
        ("None", "probably failed", "Python's way to say that there is none"),
        ("converged", "if another entry holds the number", "github.com/libAtoms/QUIP/issues/207"),
        ("*************", "Fortran prints stars", "Fortran 2018, 13.7.2.1: a field that is too narrow"),
        ("-154.7 Ha", "energy_unit='hartree'", "units behind numbers, as in outputs of many programs"),
        ("-154.7 bananas", "write the number alone", "the same without a known unit"),
    ],
)
def test_entries_that_are_no_energies_are_named(tmp_path, value, reason, source):
    frames = as_atoms(springs(frames=3))
    frames[1].info["energy"] = value
    with pytest.raises(
        ValueError, match=r"frame 1 of .*a\.extxyz, 'energy': must be a (finite )?number, got"
    ) as caught:
        datasets.load(written(tmp_path / "a.extxyz", frames))
    assert reason in str(caught.value), source


def test_fortran_exponents_are_read(tmp_path):
    """Fortran 2018, 13.7.2.3.3: double precision may be written with a D."""
    arrays = springs(frames=3)
    frames = as_atoms(arrays)
    for atoms in frames:
        atoms.info["energy"] = f"{atoms.info['energy']:.12e}".replace("e", "D")
    dataset = datasets.load(written(tmp_path / "a.extxyz", frames))
    np.testing.assert_allclose(dataset.energies, arrays["energies"])


def test_forces_that_are_no_numbers_are_named(tmp_path):
    """github.com/brucefan1983/GPUMD/issues/423: a word where a force should be."""
    arrays = springs(frames=3)
    words = arrays["forces"].astype("U24")
    words[2, 4, 1] = "NaN"
    arrays = {"z": arrays["numbers"], "R": arrays["positions"], "E": arrays["energies"], "F": words}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=r"a\.npz, 'F', frame 2, atom 4: must be a finite number, got 'NaN'"):
        datasets.load(tmp_path / "a.npz", energy_unit="eV")


def test_gradients_under_a_name_that_says_so(tmp_path):
    """github.com/openmm/spice-dataset/issues/94 and github.com/facebookresearch/JMP/issues/1: dft_total_gradient."""
    arrays = springs()
    np.savez(
        tmp_path / "a.npz", z=arrays["numbers"], R=arrays["positions"], dft_total_energy=arrays["energies"],
        dft_total_gradient=-arrays["forces"],
    )  # fmt: skip
    with pytest.raises(ValueError, match="of 'dft_total_gradient', if it is named, the negative is taken"):
        datasets.load(tmp_path / "a.npz", energy_unit="eV")
    loaded = datasets.load(tmp_path / "a.npz", energy_unit="eV", keys={"forces": "dft_total_gradient"})
    np.testing.assert_allclose(np.stack(loaded.forces), arrays["forces"])


def test_gradients_in_hartree_per_angstrom(tmp_path):
    """github.com/isayev/COMP6/issues/2: stored as forces, in hartree/Å."""
    arrays = springs()
    np.savez(
        tmp_path / "a.npz", z=arrays["numbers"], R=arrays["positions"], E=arrays["energies"] / HARTREE,
        F=-arrays["forces"] / HARTREE,
    )  # fmt: skip
    with pytest.raises(ValueError, match="wrong sign"):
        datasets.load(tmp_path / "a.npz", energy_unit="hartree")


def test_energies_converted_and_forces_not(tmp_path):
    """github.com/ACEsuit/mace-foundations/issues/51: CP2K gives hartree and hartree/bohr."""
    arrays = springs()
    arrays["forces"] = arrays["forces"] / (HARTREE / BOHR)
    with pytest.raises(ValueError, match="like forces in hartree/bohr, and were read as eV/angstrom"):
        datasets.load(written(tmp_path / "a.extxyz", as_atoms(arrays)))


def test_the_unit_of_the_file_is_the_one_that_is_named(tmp_path):
    """github.com/learningmatter-mit/NeuralForceField/issues/12: energies in eV in a file that is read as kcal/mol."""
    arrays = springs()
    np.savez(
        tmp_path / "a.npz", z=arrays["numbers"], R=arrays["positions"], E=arrays["energies"],
        F=arrays["forces"] * 23.0605,
    )  # fmt: skip
    with pytest.raises(ValueError, match="energies in eV beside forces in kcal/mol/angstrom give, read as kcal/mol"):
        datasets.load(tmp_path / "a.npz", energy_unit="kcal/mol")


def test_energies_of_two_programs(tmp_path):
    """github.com/isayev/ANI1_dataset/issues/5: total energies of one method differ between programs."""
    arrays = springs()
    arrays["energies"][20:] += 3.4
    with pytest.raises(ValueError, match="energies have two zeros"):
        datasets.load(written(tmp_path / "a.extxyz", as_atoms(arrays)))


def test_total_energies_in_single_precision(tmp_path):
    """github.com/openmm/spice-dataset/issues/55 and github.com/brucefan1983/GPUMD/issues/258."""
    arrays = springs("C6H6", frames=20)
    np.savez(
        tmp_path / "a.npz", z=np.tile(arrays["numbers"], 5), E=(5 * arrays["energies"]).astype(np.float32),
        R=np.concatenate([arrays["positions"] + 8.0 * k for k in range(5)], axis=1),
        F=np.tile(arrays["forces"], (5, 1)),
    )  # fmt: skip
    assert any("single precision, in steps of 2.0 meV" in r for r in remarks_on(tmp_path / "a.npz", energy_unit="eV"))


def test_gradients_with_errors_add_up_to_something(tmp_path):
    """github.com/openmm/spice-dataset/issues/103: gradients of ion pairs that miss parts of the grid."""
    arrays = springs("N2", frames=30)
    arrays["forces"][:, 0] *= 1.3
    remarks = remarks_on(written(tmp_path / "a.extxyz", as_atoms(arrays)))
    assert any("isolated molecules do not add up to zero" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("stress", "github.com/mir-group/allegro/issues/92"),
        ("virial", "github.com/libAtoms/QUIP/issues/227"),
        ("REF_virials", "github.com/ACEsuit/mace/issues/1518"),
    ],
)
def test_stress_and_virial_of_cells_are_read_and_those_of_molecules_said(tmp_path, capsys, name, source):
    frames = crystal().to_atoms()
    for atoms in frames:
        atoms.info[name] = np.eye(3) * 0.01
    status, said, _ = info(capsys, written(tmp_path / "a.extxyz", frames))
    assert status == 0
    assert f"stresses read from: {name}" in said, source
    molecules = as_atoms(springs(frames=5))
    for atoms in molecules:
        atoms.info[name] = np.eye(3)
    _, _, said = info(capsys, written(tmp_path / "b.extxyz", molecules))
    assert f"left out: '{name}': the frames are no cells" in said


@pytest.mark.parametrize(
    ("name", "labels", "unpaired", "source"),
    [
        ("O2", {"multiplicity": 3}, 2, "Gaussian's second number"),
        ("O2", {"spin": 2}, 2, "PySCF: mol.spin is 2S"),
        ("O2", {"spin": 3}, 2, "github.com/facebookresearch/fairchem/issues/1186: spin is 2S + 1"),
        ("CH3", {}, 1, "an odd number of electrons cannot all be paired"),
        ("CH3", {"charge": 1}, 0, "and the cation has an even number"),
    ],
)
def test_spins_mean_what_they_mean_in_structures(tmp_path, name, labels, unpaired, source):
    arrays = springs(name, frames=3)
    frames = as_atoms(arrays)
    for atoms in frames:
        atoms.info |= labels
    dataset = datasets.load(written(tmp_path / "a.extxyz", frames))
    assert dataset.unpaired_electrons.tolist() == [unpaired] * 3, source
    stored = {key: np.full(3, value) for key, value in labels.items()}
    np.savez(
        tmp_path / "a.npz", z=arrays["numbers"], R=arrays["positions"], E=arrays["energies"], F=arrays["forces"],
        **stored,
    )  # fmt: skip
    assert datasets.load(tmp_path / "a.npz", energy_unit="eV").unpaired_electrons.tolist() == [unpaired] * 3


def test_spins_that_cannot_be_are_refused_with_their_frame(tmp_path):
    """github.com/ACEsuit/mace/issues/1730: a multiplicity that the electrons cannot have."""
    frames = as_atoms(springs("CH3", frames=3))
    for number, atoms in enumerate(frames):
        atoms.info["multiplicity"] = 3 if number == 2 else 2
    with pytest.raises(ValueError, match=r"frame 2 of .*a\.extxyz: multiplicity means 2 unpaired electrons"):
        datasets.load(written(tmp_path / "a.extxyz", frames))


def test_spins_and_charges_of_arrays_must_go_together():
    arrays = springs("H2O", frames=3)
    water = datasets.Dataset.from_arrays("water", **arrays)
    cations = replace(water, total_charges=np.ones(3), unpaired_electrons=None)
    assert cations.unpaired_electrons.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match=r"frame 0: unpaired_electrons must be odd for a total charge of \+1, got 0"):
        replace(water, total_charges=np.ones(3))


def test_remarks_are_part_of_the_answer(tmp_path, capsys):
    arrays = springs("H2O", frames=6)
    arrays["forces"] += 0.2
    path = written(tmp_path / "a.extxyz", as_atoms(arrays))
    status, answer, said = info(capsys, path, "--json")
    assert status == 0
    (remark,) = json.loads(answer)["remarks"]
    assert remark in said
    with pytest.warns(datasets.LabelWarning, match="add up to zero"):
        datasets.load(path)
    status, answer, _ = info(capsys, path, "--json", "--no-checks")
    assert json.loads(answer)["remarks"] == []
