"""Charge and spin have one meaning whatever their names and conventions; what contradicts itself is refused."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointDFTCalculator

from so3lab import datasets
from so3lab.structures import total_charge, understand, unpaired_electrons, with_electrons
from so3lab.structures.electrons import check_parity, stated_charge

SULFATE = Atoms("SO4", [[0, 0, 0], [0.9, 0.9, 0.9], [-0.9, -0.9, 0.9], [-0.9, 0.9, -0.9], [0.9, -0.9, -0.9]])

CHARGES = {
    "charge": "the key of ASE's extended XYZ tools and of xtb",
    "total_charge": "MACE, mace-foundations#66",
    "Q": "sGDML, PhysNet and SpookyNet archives",
    "net_charge": "Amber's antechamber, -nc",
    "Charge": "ORCA and Open Babel print it with a capital",
    "total-charge": "Q-Chem and TURBOMOLE write words with dashes",
}
"""Names of the charge in headers, and who writes them."""


def named(atoms: Atoms, **info) -> Atoms:
    result = atoms.copy()
    result.info.update(info)
    return result


@pytest.mark.parametrize("key", CHARGES)
@pytest.mark.parametrize("value", [-2, -2.0, "-2", "2-", np.int64(-2), np.array([-2])])
def test_a_charge_has_one_meaning_under_every_name(key, value):
    assert total_charge(named(SULFATE, **{key: value})) == -2


def test_charges_of_atoms_add_up():
    ion = SULFATE.copy()
    ion.set_initial_charges([2.0, -1.002, -1.002, -0.998, -0.999])
    assert stated_charge(ion) == (-2.0, "sum of initial_charges")
    ion.set_initial_charges(np.zeros(5))
    assert stated_charge(ion) == (0.0, "")


def test_partial_charges_that_are_no_whole_number_ask_for_the_total():
    ion = SULFATE.copy()
    ion.set_initial_charges([1.4, -0.75, -0.75, -0.75, -0.75])
    with pytest.raises(ValueError, match=r"initial_charges must be a whole number.*got -1.6; give the total charge"):
        total_charge(ion)
    assert total_charge(named(ion, charge=-2)) == -2


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        ({"charge": 0, "total_charge": -2}, r"got 0 e \(charge\) and -2 e \(total_charge\); remove the wrong one"),
        ({"charge": "minus two"}, "must be a number, got 'minus two'"),
        ({"Q": np.nan}, "must be a number, got nan"),
        ({"charge": True}, "must be a number, got True"),
        ({"multiplicity": 0}, r"2S \+ 1, so at least 1"),
        ({"multiplicity": 3, "spin": 0}, r"got 2 \(multiplicity\) and 0 \(spin\)"),
        ({"spin": 2.5}, r"\(2S\) or the multiplicity \(2S \+ 1\) of 48 electrons, got 2.5"),
        ({"spin": -1}, r"\(2S\) or the multiplicity"),
        ({"uhf": 1.5}, "whole number of unpaired electrons"),
    ],
)
def test_what_contradicts_itself_or_is_no_number_is_refused(info, sentence):
    ion = named(SULFATE, **info)
    with pytest.raises(ValueError, match=sentence):
        (total_charge(ion), unpaired_electrons(ion))


def test_charges_that_agree_are_no_contradiction_and_tables_are_no_charges():
    assert total_charge(named(SULFATE, charge=-2, total_charge=-2.0)) == -2
    assert total_charge(named(SULFATE, Q=np.ones((3, 3)), charge=-2)) == -2


SPINS = [
    ("CH3", {"multiplicity": 2}, 1, "Q-Chem, Gaussian, ORCA: 2S + 1"),
    ("CH3", {"spin": 2}, 1, "fairchem#1186: spin is a multiplicity"),
    ("CH3", {"spin": 1}, 1, "PySCF: spin is 2S"),
    ("CH3", {"spin": 0.5}, 1, "SchNetPack and textbooks: S"),
    ("CH4", {"spin": 1}, 0, "fairchem: a closed shell has spin 1"),
    ("CH4", {"total_spin": 1}, 0, "mace#1730: total_spin is a multiplicity"),
    ("CH4", {"spin": 0}, 0, "PySCF"),
    ("O2", {"spin": 2}, 2, "PySCF's example of triplet oxygen"),
    ("O2", {"spin": 3}, 2, "the same in fairchem"),
    ("O2", {"uhf": 2}, 2, "xtb's --uhf"),
    ("O2", {"spin_multiplicity": 3}, 2, "pymatgen's Molecule"),
    ("O2", {}, 2, "magnetic moments of ASE's g2 set, 1 on each atom"),
    ("H2O", {"charge": 1, "spin": 2}, 1, "fairchem; the cation has an odd number of electrons"),
    ("H2O", {"charge": 1, "spin": 1}, 1, "PySCF"),
]


@pytest.mark.parametrize(("name", "info", "unpaired", "source"), SPINS)
def test_spins_mean_what_their_program_means(name, info, unpaired, source):
    assert unpaired_electrons(named(molecule(name), **info)) == unpaired, source


def test_moments_of_an_antiferromagnet_cancel_and_those_of_a_metal_are_no_whole_number():
    iron = bulk("Fe", cubic=True)
    iron.set_initial_magnetic_moments([2.2, -2.2])
    assert unpaired_electrons(iron) == pytest.approx(0.0)
    iron.set_initial_magnetic_moments([2.2, 2.2])
    assert unpaired_electrons(iron) == pytest.approx(4.4)
    canted = Atoms("Fe2", positions=[[0, 0, 0], [0, 0, 2.5]])
    canted.set_initial_magnetic_moments([[0, 0, 2.0], [0, 2.0, 0]])
    assert unpaired_electrons(canted) == pytest.approx(np.sqrt(8))


def test_a_multiplicity_of_the_wrong_parity_is_refused_for_molecules():
    with pytest.raises(ValueError, match=r"multiplicity means 1 unpaired.*CH4 with a charge of \+0 cannot.*10 elec"):
        check_parity(named(molecule("CH4"), multiplicity=2))
    check_parity(named(bulk("Na"), spin=0))
    check_parity(named(molecule("CH4"), multiplicity=3))


def test_what_a_person_says_takes_the_place_of_all_that_a_file_says():
    ion = named(SULFATE, total_charge=-1, Q=-1, spin=1)
    ion.set_initial_charges([-1, 0, 0, 0, 0])
    changed = with_electrons(ion, charge=-2, multiplicity=1)
    assert (total_charge(changed), unpaired_electrons(changed)) == (-2, 0)
    assert total_charge(ion) == -1
    with pytest.raises(ValueError, match="whole number"):
        with_electrons(ion, multiplicity=1.5)


def frame(**info) -> Atoms:
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = named(SULFATE, **info)
    atoms.calc = SinglePointCalculator(atoms, energy=-20000.0, forces=np.zeros((5, 3)) + 0.1)
    return atoms


def test_data_sets_read_the_same_names(tmp_path):
    assert datasets.from_atoms([frame(net_charge=-2)] * 2, "ions").total_charges.tolist() == [-2, -2]
    with pytest.raises(ValueError, match="frame 1 of ions: the total charge must be said once"):
        datasets.from_atoms([frame(charge=-2), frame(charge=-2, Q=0)], "ions")
    arrays = {
        "z": SULFATE.numbers, "R": np.stack([SULFATE.positions] * 2), "E": np.full(2, -20000.0),
        "F": np.full((2, 5, 3), 0.1), "units": "eV",
    }  # fmt: skip
    np.savez(tmp_path / "one.npz", **arrays, net_charge=[-2, -1], q=np.zeros((2, 5)))
    assert datasets.load(tmp_path / "one.npz", energy_unit="eV").total_charges.tolist() == [-2, -1]
    np.savez(tmp_path / "two.npz", **arrays, Q=[-2, -1], charge=-2)
    with pytest.raises(ValueError, match="frame 1 has -1 e under 'Q' and -2 e under 'charge'"):
        datasets.load(tmp_path / "two.npz", energy_unit="eV")


def test_tot_q_is_a_total_charge():
    assert stated_charge(Atoms("OH", info={"tot_q": -1})) == (-1.0, "tot_q")


def with_results(atoms: Atoms, **results) -> Atoms:
    atoms.calc = SinglePointDFTCalculator(atoms, energy=-9.0, forces=np.zeros((len(atoms), 3)), **results)
    return atoms


@pytest.mark.parametrize(
    "results", [{"magmoms": [1.0, 1.0]}, {"magmom": 2.0}, {"magmoms": [0.99, 1.0], "magmom": 1.99}]
)
def test_computed_moments_tell_the_spin_where_nothing_else_does(tmp_path, results):
    """ASE keeps those that a program printed as results, and writes them into extended XYZ and trajectories."""
    oxygen = Atoms("O2", [[0, 0, 0], [0, 0, 1.21]])
    with_results(oxygen, **{name: np.array(value) if name == "magmoms" else value for name, value in results.items()})
    assert unpaired_electrons(oxygen) == 2
    oxygen.write(tmp_path / "o2.extxyz")
    assert understand(tmp_path / "o2.extxyz").unpaired.value == 2
    assert datasets.load(tmp_path / "o2.extxyz", check=False).unpaired_electrons.tolist() == [2]
    assert understand(oxygen, multiplicity=1).unpaired == (0, "multiplicity")


def test_computed_moments_that_tell_no_spin_are_none():
    assert unpaired_electrons(with_results(Atoms("O2", [[0, 0, 0], [0, 0, 1.21]]), magmom=0.01)) == 0
    assert unpaired_electrons(with_results(Atoms("O2", [[0, 0, 0], [0, 0, 1.21]]), magmom=1.0)) == 0  # 16 electrons
    assert unpaired_electrons(with_results(bulk("Cu", cubic=True), magmom=4.0)) == 0


@pytest.mark.parametrize(("name", "charge"), [("mulliken", -2), ("Formal_Charges", -2), ("esp-charges", -2)])
def test_columns_of_charges_count_whatever_their_capitals(name, charge):
    ion = SULFATE.copy()
    ion.arrays[name] = np.array([2.0, -1.0, -1.0, -1.0, -1.0])
    assert total_charge(ion) == charge


def test_columns_of_charges_that_nobody_knows_are_said():
    ion = Atoms("OH", [[0, 0, 0], [0, 0, 0.97]])
    ion.arrays["my_charges"] = np.array([-1.2, 0.2])
    assert "the column my_charges is left out, and adds up to -1" in understand(ion).notes[0]
    ion.arrays["my_charges"] = np.array([-0.2, 0.2])
    assert not understand(ion).notes


@pytest.mark.parametrize("info", [{"charges": [-1.2, 0.2]}, {"formal_charges": np.array([-1, 0])}])
def test_charges_of_atoms_may_stand_in_info(info):
    assert total_charge(named(Atoms("OH", [[0, 0, 0], [0, 0, 0.97]]), **info)) == -1


def test_none_says_nothing():
    hydroxyl = named(Atoms("OH", [[0, 0, 0], [0, 0, 0.97]]), charge=None, spin=None, multiplicity=2)
    found = understand(hydroxyl)
    assert (found.charge, found.unpaired) == ((0, ""), (1, "multiplicity"))


def test_more_electrons_than_there_are_cannot_be_taken():
    with pytest.raises(
        ValueError, match=r"a total charge of \+10 e \(charge\) takes more electrons than the 9 that HO has"
    ):
        understand(named(Atoms("OH", [[0, 0, 0], [0, 0, 0.97]]), charge=10))
    assert understand("smiles:[H+]").charge.value == 1


@pytest.mark.parametrize(
    ("smiles", "charge", "source"),
    [
        ("[O-][H]", -1, "smiles"),
        ("[O-:1][H:2]", -1, "smiles"),  # mapped, as in SPICE
        ("[OH-]", -1, "smiles"),
        ("O", 0, "smiles"),
        ("[NH4+]", 0, ""),  # of other atoms
    ],
)
def test_a_smiles_beside_a_structure_tells_its_charge(smiles, charge, source):
    assert stated_charge(named(Atoms("OH", [[0, 0, 0], [0, 0, 0.97]]), smiles=smiles)) == (charge, source)


def test_a_charge_that_is_said_goes_before_a_smiles():
    assert total_charge(named(Atoms("OH", [[0, 0, 0], [0, 0, 0.97]]), smiles="[OH-]", charge=0)) == 0


def test_numbers_of_electrons_are_no_charges():
    """Bader's atoms as Henkelman's program prints them: eight valence electrons of water, not a charge of +8."""
    water = molecule("H2O")
    water.arrays["bader_charges"] = np.array([7.2, 0.4, 0.4])
    assert stated_charge(water) == (0.0, "")
    assert "the column bader_charges is left out, and adds up to 8" in understand(water).notes[0]
    water.arrays["bader_charges"] = np.array([-1.2, 0.1, 0.1])
    assert stated_charge(water) == (-1.0, "sum of bader_charges")
