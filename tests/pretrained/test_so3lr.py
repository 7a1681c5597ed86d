"""The published SO3LR, whole: numbers of the authors' program, the three electrostatics, what it refuses."""

import functools

import ase
import numpy as np
import pytest
import so3lr_reference
from ase.build import molecule

from so3lab import datasets, training, units
from so3lab.potential import Potential
from so3lab.pretrained import load_so3lr

pytestmark = pytest.mark.study

MOLECULES = ("H2O", "NH3", "CH4", "ethanol", "ethanol_md17", "nh4plus", "acetate", "dha")
CUTOFFS = {"lr12": 12.0, "lr1000": 1000.0, "lrNone": None}


@functools.cache
def so3lr(mode: str = "compat", cutoff: float | None = None, dtype: str = "float64") -> Potential:
    return load_so3lr(so3lr_reference.FOLDER, dtype, mode, cutoff)


def stored(name: str, precision: str = "f64"):
    return np.load(so3lr_reference.FOLDER / f"so3lr_{name}_{precision}.npz")


def structure(arrays) -> ase.Atoms:
    atoms = ase.Atoms(arrays["numbers"], arrays["positions"])
    atoms.info["charge"] = float(arrays["total_charge"])
    if "cell" in arrays:
        atoms.set_cell(arrays["cell"])
        atoms.set_pbc(True)
    return atoms


def charged(symbols: str, positions, charge: float = 0.0) -> ase.Atoms:
    return ase.Atoms(symbols, positions, info={"charge": charge})


@functools.cache
def batch(key: str, dtype: str = "float64"):
    """All stored molecules that have numbers for this cutoff, predicted together: {name: (stored, result)}."""
    arrays = {name: stored(name) for name in MOLECULES}
    arrays = {name: values for name, values in arrays.items() if f"{key}/energy" in values}
    results = so3lr("compat", CUTOFFS[key], dtype).predict([structure(values) for values in arrays.values()])
    return {name: (arrays[name], result) for name, result in zip(arrays, results, strict=True)}


@pytest.mark.parametrize("key", CUTOFFS)
def test_molecules_equal_the_published_program(shared, key):
    for name, (expected, result) in batch(key).items():
        atoms = len(expected["numbers"])
        assert abs(result.energy - expected[f"{key}/energy"]) < 1e-6 * atoms, name
        np.testing.assert_allclose(result.forces, expected[f"{key}/forces"], atol=1e-5, err_msg=name)
        for ours, theirs in (
            ("learned", "E_learned"),
            ("repulsion", "E_zbl"),
            ("electrostatics", f"{key}/E_electrostatic"),
            ("dispersion", f"{key}/E_dispersion"),
        ):
            assert abs(result.energy_terms[ours] - expected[theirs]) < 1e-6 * atoms, (name, ours)
        assert sum(result.energy_terms.values()) == pytest.approx(result.energy, abs=1e-9)
        np.testing.assert_allclose(result.partial_charges, expected["partial_charges"], atol=1e-6)
        np.testing.assert_allclose(result.hirshfeld_ratios, expected["hirshfeld_ratios"], atol=1e-6)
        np.testing.assert_allclose(result.dipole, expected["dipole"], atol=1e-6)
        np.testing.assert_allclose(
            result.atomic_energies, expected[f"{key}/atomic_energy_total"].reshape(-1), atol=1e-6
        )


def test_single_precision_keeps_forces(shared):
    for name, (expected, result) in batch("lr12", "float32").items():
        np.testing.assert_allclose(result.forces, expected["lr12/forces"], atol=1e-3, err_msg=name)
    for name in ("H2O", "ethanol", "nh4plus", "dha"):
        np.testing.assert_allclose(
            batch("lr12", "float32")[name][1].forces, stored(name, "f32")["lr12/forces"], atol=1e-3
        )


def test_the_fast_form_keeps_forces_in_single_precision(shared):
    """Compressed filters and, where there is a compiler, loops in C, against the published program and our own."""
    single = so3lr("compat", CUTOFFS["lr12"], "float32")
    for name in ("ethanol", "nh4plus"):
        expected = stored(name)
        fast, slow = single.calculator().get_forces(structure(expected)), single(structure(expected)).forces
        np.testing.assert_allclose(fast, expected["lr12/forces"], atol=1e-3, err_msg=name)
        np.testing.assert_allclose(fast, slow, atol=1e-4, err_msg=name)
    close = ase.Atoms("HH", [[0, 0, 0], [0.45, 0, 0]])
    np.testing.assert_allclose(single.calculator().get_forces(close), single(close).forces, atol=1e-4)


def test_a_cell_that_has_travelled_and_a_slab_lose_nothing(shared):
    single = so3lr("wolf", 6.0, "float32")
    water = ase.Atoms(WATER, cell=[9.0, 9.0, 9.0], pbc=True)
    far = ase.Atoms(water, positions=water.positions + 6300.0)
    np.testing.assert_allclose(single(far).forces, single(water).forces, atol=1e-5)
    slab, thick = (ase.Atoms(WATER, cell=[9, 9, c], pbc=[True, True, False]) for c in (0, 50))
    for one in (slab, thick):
        stress = single(one).stress
        assert np.isfinite(stress).all()
        assert np.abs(stress[:2]).max() > 0


def box_equal_to_stored(name: str, cutoff: float):
    """Result of a water box and what the published program says, after comparing energy, forces and stress."""
    expected = stored(name)
    result = so3lr("compat", cutoff)(structure(expected))
    assert abs(result.energy - expected["ase_energy"]) < 1e-7 * abs(expected["ase_energy"])
    np.testing.assert_allclose(result.forces, expected["ase_forces"], atol=1e-5)
    np.testing.assert_allclose(result.stress, expected["ase_stress"], atol=1e-6)
    return result, expected


def test_water_box_equals_the_published_program(shared):
    result, expected = box_equal_to_stored("water64", 6.0)
    np.testing.assert_allclose(result.partial_charges, expected["partial_charges"], atol=1e-6)
    np.testing.assert_allclose(result.hirshfeld_ratios, expected["hirshfeld_ratios"], atol=1e-6)
    for term in ("electrostatic", "dispersion"):
        ours = result.energy_terms["electrostatics" if term == "electrostatic" else term]
        assert ours == pytest.approx(expected[f"atomic_{term}"].sum(), abs=1e-5)
    assert result.dipole is None


def test_large_water_box_equals_the_published_program(shared):
    box_equal_to_stored("water512", 12.0)


WATER = charged("OHH", [[0, 0, 0.1173], [0, 0.7572, -0.4692], [0, -0.7572, -0.4692]])
TETRAHEDRON = [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
SPECIFIED = {  # specification, section 8.1; total, learned, repulsion, electrostatics, dispersion in eV
    "water": (WATER, (-5.015366327, -5.376237267, 1.325570524, -0.961621119, -0.003078465)),
    "hydroxide": (
        charged("OH", [[0, 0, 0], [0, 0, 0.97]], -1.0),
        (-0.794962706, -1.447030484, 0.591558795, 0.061622959, -0.001113975),
    ),
    "ammonium": (
        charged("NH4", [[0, 0, 0], *(0.594 * np.array(TETRAHEDRON)).tolist()], 1.0),
        (-9.347696080, -10.854164694, 1.213979605, 0.296423462, -0.003934453),
    ),
    "water dimer": (
        WATER + charged("OHH", [[2.9, 0.2, 0.1], [3.3, 0.9, 0.6], [3.4, -0.6, 0.2]]),
        (-9.955671614, -10.868265853, 2.765601959, -1.841459806, -0.011547915),
    ),
    "chloromethane": (
        charged(
            "CHHHCl",
            [[0, 0, -1.13], [1.03, 0, -1.47], [-0.515, 0.892, -1.47], [-0.515, -0.892, -1.47], [0, 0, 0.66]],
        ),
        (-7.164117046, -7.523255051, 0.434543078, -0.061008103, -0.014396970),
    ),
}
FORCES = {  # eV/Å on the atom of this number
    "water": (1, (0, 0.1289670838, -0.2606846656)),
    "hydroxide": (0, (0, 0, 0.0413311436)),
    "ammonium": (1, (-0.19214291588,) * 3),
    "water dimer": (3, (-1.1057596738, 0.1666776268, -0.9550460644)),
    "chloromethane": (4, (np.nan, np.nan, -0.3409849091)),  # z alone is specified
}


def test_specified_values(shared):
    structures = [atoms for atoms, _ in SPECIFIED.values()]
    results = dict(zip(SPECIFIED, so3lr("compat", 12.0).predict(structures), strict=True))
    for name, (_, expected) in SPECIFIED.items():
        terms = results[name].energy_terms
        found = [
            results[name].energy,
            *(terms[t] for t in ("learned", "repulsion", "electrostatics", "dispersion")),
        ]
        np.testing.assert_allclose(found, expected, atol=3e-8, err_msg=name)
        atom, force = FORCES[name]
        given = np.isfinite(force)
        np.testing.assert_allclose(results[name].forces[atom][given], np.array(force)[given], atol=1e-7, err_msg=name)
    np.testing.assert_allclose(results["hydroxide"].partial_charges, [-0.977351415, -0.022648585], atol=1e-8)
    np.testing.assert_allclose(results["hydroxide"].hirshfeld_ratios, [0.6481467861, 0.7350936128], atol=1e-8)
    assert results["water"].dipole[2] == pytest.approx(-0.3953047795, abs=1e-8)
    assert results["chloromethane"].partial_charges[4] == pytest.approx(-0.1772131552, abs=1e-8)


def test_truncation_without_self_term_gives_wrong_forces_for_a_molecule(shared):
    """The size of the published program's defect on one water molecule, and its repair."""
    exact, compat, wolf = (
        so3lr(mode, cutoff)(WATER) for mode, cutoff in (("exact", None), ("compat", 12.0), ("wolf", 12.0))
    )
    assert exact.energy == pytest.approx(-5.424203, abs=1e-6)
    assert exact.forces[0, 2] == pytest.approx(-0.03231, abs=1e-5)
    assert np.abs(compat.forces - exact.forces).max() == pytest.approx(0.553, abs=2e-3)
    assert np.abs(wolf.forces - exact.forces).max() < 1e-3
    assert wolf.energy == pytest.approx(exact.energy, abs=1e-3)


def test_exact_electrostatics_of_water_against_truncated(shared):
    """Deviations in bulk water as measured independently: specification, section 8.2."""
    box = structure(stored("water64"))
    exact, compat, wolf = (
        so3lr(mode, cutoff, "float32")(box) for mode, cutoff in (("exact", 12.0), ("compat", 12.0), ("wolf", 12.0))
    )
    rms = lambda a, b: np.sqrt(np.mean((a.forces - b.forces) ** 2))  # noqa: E731
    assert rms(compat, exact) == pytest.approx(0.148, rel=0.02)
    assert np.abs(compat.forces - exact.forces).max() == pytest.approx(0.432, rel=0.02)
    assert rms(wolf, exact) == pytest.approx(0.025, rel=0.05)
    assert np.abs(wolf.forces - exact.forces).max() == pytest.approx(0.111, rel=0.02)
    assert (compat.energy - exact.energy) / 64 == pytest.approx(0.255, abs=2e-3)
    assert (wolf.energy - exact.energy) / 64 == pytest.approx(-2e-5, abs=2e-4)


def test_what_the_model_never_saw_is_refused(shared):
    potential = so3lr("exact", None)
    refused = {
        "atoms hold Si": ase.Atoms("Si", info={"charge": 0}),
        "charge must be a whole number": charged("OHH", WATER.positions, 0.5),
        "charge must leave the structure its inner shells.* H2 can have -2 to [+]1": charged(
            "HH", [[0, 0, 0], [0, 0, 0.74]], 3.0
        ),
        "charge must leave .* got -50: H2O can have -4 to [+]8": charged("OHH", WATER.positions, -50.0),
        "must be a number, got '-1 e'": ase.Atoms(WATER, info={"charge": "-1 e"}),
        "charge must leave an even number of electrons.* leaves 9": charged("OHH", WATER.positions, 1.0),
        "spin must be 0": ase.Atoms("OO", [[0, 0, 0], [0, 0, 1.2]], info={"spin": 2}),
        'got 2 unpaired electrons; if the structure has none, set atoms.info."spin". = 0': molecule("O2"),
        "spin must be 0.*got 1 unpaired": ase.Atoms("OO", [[0, 0, 0], [0, 0, 1.2]], info={"multiplicity": 2}),
        "H0 and H1 are 0.00 Å apart.*a copy of the first": ase.Atoms("HH", [[0, 0, 0], [0, 0, 0]]),
        "pbc must be True in all three directions": ase.Atoms(WATER, cell=[9, 9, 9], pbc=[True, True, False]),
    }
    for sentence, atoms in refused.items():
        with pytest.raises(ValueError, match=sentence):
            potential(atoms)


def test_frames_that_the_model_never_saw_are_refused_with_their_number(shared):
    water = np.stack([WATER.positions] * 8)
    frames = datasets.Dataset.from_arrays(
        "ions", WATER.numbers, water, np.zeros(8), np.zeros((8, 3, 3)), total_charges=np.eye(8)[5]
    )
    neutral = frames.select(slice(0, 5))
    potential, settings = so3lr("exact", None, "float32"), training.TrainingSettings(epochs=1, batch_size=2)
    with pytest.raises(ValueError, match="frame 5: charge must leave an even number of electrons"):
        training.evaluate(potential, frames)
    for sets, sentence in (
        ((frames, neutral), "training frame 5"),
        ((neutral, frames), "validation frame 5"),
    ):
        with pytest.raises(ValueError, match=f"{sentence}: charge must leave an even number"):
            next(training.train(*sets, potential.settings, settings, start=potential))


def test_charge_comes_from_the_argument_or_the_structure(shared):
    potential = so3lr("compat", 12.0)
    neutral = ase.Atoms("OH", SPECIFIED["hydroxide"][0].positions)
    assert potential(neutral, charge=-1).energy == pytest.approx(-0.794962706, abs=1e-7)
    with pytest.raises(ValueError, match="even number of electrons"):
        potential(neutral)
    neutral.calc = potential.calculator(charge=-1)
    assert neutral.get_potential_energy() == pytest.approx(-0.794962706, abs=1e-7)
    np.testing.assert_allclose(neutral.get_charges(), [-0.977351415, -0.022648585], atol=1e-8)
    np.testing.assert_allclose(neutral.get_dipole_moment(), neutral.get_charges() @ neutral.positions)


def test_calculator_sees_a_changed_charge(shared):
    """ASE does not compare ``atoms.info``; an energy of the old charge must not come back."""
    atoms = molecule("NH3")
    atoms.calc = so3lr("exact", None).calculator()
    before = atoms.get_potential_energy()
    atoms.info["charge"] = 2.0
    assert atoms.get_charges().sum() == pytest.approx(2.0)
    assert abs(atoms.get_potential_energy() - before) > 1.0


def test_units_are_those_of_the_specification():
    assert units.coulomb_constant == pytest.approx(14.399645351950548, rel=1e-9)
    assert units.hartree == pytest.approx(27.211386024367243, rel=1e-9)
    assert units.bohr == pytest.approx(0.5291772105638411, rel=1e-9)
